//! Adapters for the ports of `provisioning-core`: one module and one Cargo feature each, none on by default.
//!
//! No adapter knows another. Each keeps the `# Contract` of the port it implements, and its tests run that port's
//! conformance suite. Take those that you want, and bring your own for the rest.
//!
//! | feature | port | what it speaks to |
//! |---|---|---|
//! | `sqlite` | `Store`, `Vault`, `Bookmarks` | a file, with a sealing key beside it |
//! | `dnsmasq` | `BootServer` | a dnsmasq that it starts, watches and reads the log of |
//! | `ssh` | `RemoteShell` | root's shell on hosts, with pinned host keys |
//! | `proxmox` | `ClusterMember` | the API of a member of the cluster |
//! | `infrastructure` | `Inventory` | an HTTP service of the operator's, by templates |
//! | `system` | `Clock`, `Entropy` | the machine it runs on |
//!
//! ```
//! # #[cfg(all(feature = "system", feature = "ssh"))] {
//! use std::sync::Arc;
//!
//! use provisioning_adapters::{ssh::SshShell, system::{SystemClock, SystemEntropy}};
//! use provisioning_core::ports::{Clock, Entropy, RemoteShell};
//!
//! // The orchestrator takes each port as a shared trait object.
//! let clock: Arc<dyn Clock> = Arc::new(SystemClock);
//! let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
//! let shell: Arc<dyn RemoteShell> = Arc::new(SshShell::new());
//! # drop((clock, entropy, shell));
//! # }
//! ```

#[cfg(feature = "dnsmasq")]
pub mod dnsmasq;
#[cfg(feature = "infrastructure")]
pub mod infrastructure;
#[cfg(feature = "proxmox")]
pub mod proxmox;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "ssh")]
pub mod ssh;
#[cfg(feature = "system")]
pub mod system;
