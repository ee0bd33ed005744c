//! What each fuzz target does with its bytes: reads them as a stranger's, and checks what comes out.
//!
//! The checks stand here once for three users: the fuzz targets, the tests that replay `corpus/`, and the property
//! tests, which include these files by their path. A check fails by panicking.

pub mod names;
pub mod reports;
pub mod served;
pub mod simulated;

pub use names::{boot_token, hostname, mac};
pub use reports::{install_report, phone_home, system_info};
pub use served::{iso9660, range};
pub use simulated::{answer_rules, cpio, ipxe};
