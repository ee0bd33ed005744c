//! The answer file: what the Proxmox installer wants to know, as typed sections that `toml` or `serde_json`
//! writes. No template and no text pasted together: every value is of a parsed type, so nothing breaks out of it.
//!
//! [`answer`] is the whole of it. What an installer understands depends on its release ([`Dialect`]), and whether
//! it reads JSON on its request as well ([`format_for`]). Each section has a file: `global`, `network`, `disk`, and
//! `report` for the two by which we hear of the installation's end; `document` puts them together.

mod dialect;
mod disk;
mod document;
mod error;
mod format;
mod global;
mod network;
mod report;

pub use dialect::{Dialect, supports_provisioning};
pub use document::{Answer, AnswerInput, answer};
pub use error::{AddressFault, AnswerError};
pub use format::{Format, format_for};
