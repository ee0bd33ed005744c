//! Ports: what the core asks of the world. Each method's promises stand in the trait's `# Contract`.

mod bookmarks;
mod boot_server;
mod cluster_member;
mod error;
mod inventory;
mod journal;
mod remote_shell;
mod store;
mod surroundings;
mod vault;

pub use bookmarks::Bookmarks;
pub use boot_server::{BootEntry, BootPlan, BootServer, BootServerError};
pub use cluster_member::{ClusterMember, ClusterMemberError, ClusterNode, ClusterStatus, NobodyToAsk};
pub use error::{BoxError, Retry, chain};
pub use inventory::{Inventory, InventoryError, InventoryRecord, NoInventory};
pub use journal::{AccessPath, AuditRecord, Happening, JournalEntry, MachineRequest, NewEntry, Source};
pub use remote_shell::{Command, KeyPair, Output, RemoteShell, Shell, ShellError, Target};
pub use store::{
    Change, Committed, HostFilter, HostRecord, JournalQuery, Prune, Pruned, Revision, Store, StoreError, Work, WorkId,
    WriteTrouble,
};
pub use surroundings::{Clock, Entropy, EntropyExt, PersonAtThePowerButton, Power, PowerAnswer};
pub use vault::{Vault, VaultError};
#[cfg(feature = "mocks")]
pub use {
    bookmarks::MockBookmarks,
    boot_server::MockBootServer,
    cluster_member::MockClusterMember,
    inventory::MockInventory,
    remote_shell::{MockRemoteShell, MockShell},
    store::MockStore,
    surroundings::{MockClock, MockEntropy, MockPower},
    vault::MockVault,
};
