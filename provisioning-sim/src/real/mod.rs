//! What the simulated hosts do over real sockets, with real bytes.

pub mod answer;
pub mod cluster;
mod cluster_state;
pub mod fleet;
pub mod host;
pub mod http;
pub mod installer;
pub mod ipxe;
pub mod iso;
pub(crate) mod local_shell;
pub mod node;
mod node_commands;
mod node_files;
mod node_runs;
pub mod pvecm;
pub mod ssh;
mod ssh_session;
