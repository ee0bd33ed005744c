//! The life of a host from bare metal to member of a Proxmox VE cluster, without any I/O of its own.

pub mod machine;
#[cfg(feature = "orchestrator")]
pub mod memory;
pub mod model;
#[cfg(feature = "orchestrator")]
pub mod orchestrator;
#[cfg(feature = "orchestrator")]
pub mod ports;
pub mod render;
