//! Conformance suites: what an adapter of yours has to pass.
//!
//! There is one suite for each port. Every bullet of a port's `# Contract` is a rule: an async function of the same
//! name over a fixture. Write the fixture, which makes your adapter, and one line in your tests; it turns each rule
//! into a test of its own name and needs no runtime of yours.
//!
//! ```
//! use provisioning_core::conformance::StoreFixture;
//! use provisioning_core::memory::MemoryStore;
//!
//! struct InMemory;
//!
//! impl StoreFixture for InMemory {
//!     type Store = MemoryStore;
//!
//!     async fn fresh(&self) -> MemoryStore {
//!         MemoryStore::new()
//!     }
//!
//!     async fn reopen(&self, store: MemoryStore) -> MemoryStore {
//!         store
//!     }
//! }
//!
//! // Expands to `#[test] fn commit_is_all_or_nothing() …` and all other rules.
//! provisioning_core::store_conformance!(InMemory);
//! ```
//!
//! | port | fixture | macro |
//! |---|---|---|
//! | [`Store`](crate::ports::Store): rows, journal and outbox | [`StoreFixture`] | [`store_conformance!`](crate::store_conformance) |
//! | [`Vault`](crate::ports::Vault) | [`VaultFixture`] | [`vault_conformance!`](crate::vault_conformance) |
//! | [`BootServer`](crate::ports::BootServer) | [`BootServerFixture`] | [`boot_server_conformance!`](crate::boot_server_conformance) |
//! | [`RemoteShell`](crate::ports::RemoteShell) and [`Shell`](crate::ports::Shell) | [`RemoteShellFixture`] | [`remote_shell_conformance!`](crate::remote_shell_conformance) |
//! | [`ClusterMember`](crate::ports::ClusterMember) | [`ClusterMemberFixture`] | [`cluster_member_conformance!`](crate::cluster_member_conformance) |
//! | [`Inventory`](crate::ports::Inventory) | [`InventoryFixture`] | [`inventory_conformance!`](crate::inventory_conformance) |
//! | [`Power`](crate::ports::Power) | [`PowerFixture`] | [`power_conformance!`](crate::power_conformance) |
//!
//! The macros take an expression that makes the fixture, once for each rule, inside a tokio runtime; it may `.await`.
//! Two suites in one file go into modules of their own.

pub mod bookmarks;
pub mod boot_server;
pub mod cluster_member;
pub mod inventory;
mod macros;
pub mod power;
pub mod remote_shell;
mod rule;
pub mod sample;
pub mod store;
pub mod vault;

pub use bookmarks::BookmarksFixture;
pub use boot_server::{BootServerCapabilities, BootServerFixture};
pub use cluster_member::ClusterMemberFixture;
pub use inventory::InventoryFixture;
pub use power::PowerFixture;
pub use remote_shell::{RemoteShellFixture, ShellCapabilities};
pub use rule::{Broken, Checked};
pub use store::StoreFixture;
pub use vault::VaultFixture;

#[doc(hidden)]
pub mod __private {
    pub use super::rule::{attempt, run};
}
