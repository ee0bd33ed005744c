//! Renderers: typed values to the texts that machines read. Built from parsed types only, so nothing can break
//! out of a line.

pub mod answer;
mod first_boot;
mod ipxe;
mod remote;

pub use first_boot::{FirstBootScript, first_boot_script};
pub use ipxe::{BootScript, LOCAL_DISK_SCRIPT, boot_script};
pub use remote::{JOIN_TIME_LIMIT_SECONDS, RemoteCommand};
