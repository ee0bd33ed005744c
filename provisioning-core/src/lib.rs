//! The life of a host from bare metal to member of a Proxmox VE cluster, without a socket, a file, a clock or a die
//! of its own.
//!
//! ```text
//! orchestrator ──▶ ports ──▶ machine, render ──▶ model        never the other way
//! ```
//!
//! Read in this order: [`machine::step`], the table of a host's life; `ports`, what the core asks of
//! the world; `orchestrator`, the thin async around both. [`render`] writes what machines
//! read, [`model`] holds the parsed types.
//!
//! Embedders bring adapters for the ports, or take those of `provisioning-adapters`, and drive one
//! `Orchestrator`: `register`, `start`, then answer machines with `boot_script`, `answer_file`, `first_boot_script`
//! and `report` while `run` is polled. See `examples/embed.rs`.
//!
//! Features: `orchestrator` (default) brings ports, memory adapters and orchestrator, and with them tokio;
//! `conformance` the suites that an adapter of your own has to pass; `mocks` exports mockall mocks of the ports.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod machine;
#[cfg(feature = "orchestrator")]
pub mod memory;
pub mod model;
pub mod netboot;
#[cfg(feature = "orchestrator")]
pub mod orchestrator;
#[cfg(feature = "orchestrator")]
pub mod ports;
pub mod render;
