//! Adapters for the ports of `provisioning-core`: one module and one Cargo feature each, none on by default.
//!
//! No adapter knows another. Each keeps the `# Contract` of the port it implements.

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
