//! A machine's trail: what it was seen doing on its way from power-on to the installer, in order.

use serde::{Deserialize, Serialize};

use super::sighting::Sighted;
use crate::machine::BootAnswer;
use crate::model::Timestamp;

/// The longest text of a machine or of a boot server's log that is kept, in characters.
const TEXT_CHARS_MAX: usize = 160;

/// Something that a machine was seen doing, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    /// When.
    pub at: Timestamp,
    /// What.
    pub trace: Trace,
}

/// What a machine was seen doing. Variants are only ever added: rows of discovered machines hold them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "trace", rename_all = "snake_case")]
pub enum Trace {
    /// The boot server saw it, or did something for it.
    BootServer {
        /// What.
        what: Sighted,
    },
    /// It asked us what to boot.
    ScriptAsked {
        /// What it was told.
        told: BootAnswer,
        /// What it calls itself: the `User-Agent` of its request.
        agent: Option<String>,
    },
    /// Its installer was given the answer file.
    AnswerFetched,
    /// Its installer asked for an answer file and was refused.
    AnswerRefused {
        /// Why, in words.
        why: String,
    },
    /// It reported that it is installed, or runs from its disk.
    Installed,
}

impl Trace {
    /// What tells repeats of one step from another step.
    pub fn kind(&self) -> String {
        let program = |ipxe: bool| if ipxe { "ipxe" } else { "firmware" };
        match self {
            Self::BootServer { what } => match what {
                Sighted::Discovered(client) => format!("discovered by {}", program(client.ipxe)),
                Sighted::LeftAlone(client) => format!("left alone {}", program(client.ipxe)),
                Sighted::Offered { client, .. } => format!("offered to {}", program(client.ipxe)),
                Sighted::BootServerAsked { client, .. } => format!("boot server asked by {}", program(client.ipxe)),
                Sighted::Requested { .. } => "requested".to_owned(),
                Sighted::Acknowledged { .. } => "acknowledged".to_owned(),
                Sighted::Denied { .. } => "denied".to_owned(),
                Sighted::NoAddress { .. } => "no address".to_owned(),
                Sighted::FileSent { file } => format!("sent {file}"),
                Sighted::FileMissing { file } => format!("missing {file}"),
                Sighted::FileBroken { file, .. } => format!("broken {}", file.as_deref().unwrap_or_default()),
            },
            Self::ScriptAsked { told, .. } => format!("script {told:?}"),
            Self::AnswerFetched => "answer".to_owned(),
            Self::AnswerRefused { .. } => "answer refused".to_owned(),
            Self::Installed => "installed".to_owned(),
        }
    }
}

impl Sighted {
    /// Whether an ordinary DHCP client does the same: an installer, an installed host, anything with a lease. Netbooting
    /// firmware names its architecture.
    pub fn is_ordinary(&self) -> bool {
        match self {
            Self::Discovered(client) | Self::LeftAlone(client) => client.arch.is_none() && !client.ipxe,
            Self::Requested { .. } | Self::Acknowledged { .. } | Self::Denied { .. } => true,
            Self::Offered { .. }
            | Self::BootServerAsked { .. }
            | Self::NoAddress { .. }
            | Self::FileSent { .. }
            | Self::FileMissing { .. }
            | Self::FileBroken { .. } => false,
        }
    }

    /// With its texts cut to what the journal keeps: they come from the network.
    #[must_use]
    pub fn shortened(self) -> Self {
        match self {
            Self::Offered { client, address, file } => {
                Self::Offered { client, address, file: file.as_deref().map(shortened) }
            }
            Self::BootServerAsked { client, file } => {
                Self::BootServerAsked { client, file: file.as_deref().map(shortened) }
            }
            Self::Denied { why } => Self::Denied { why: shortened(&why) },
            Self::NoAddress { why } => Self::NoAddress { why: shortened(&why) },
            Self::FileSent { file } => Self::FileSent { file: shortened(&file) },
            Self::FileMissing { file } => Self::FileMissing { file: shortened(&file) },
            Self::FileBroken { file, why } => {
                Self::FileBroken { file: file.as_deref().map(shortened), why: shortened(&why) }
            }
            same @ (Self::Discovered(_) | Self::LeftAlone(_) | Self::Requested { .. } | Self::Acknowledged { .. }) => {
                same
            }
        }
    }
}

/// A text from the network as it is kept: without control characters, at most 160 characters of it.
pub fn shortened(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_the_network_is_kept_short_and_on_one_line() {
        let what = Sighted::FileMissing { file: format!(" a\n\u{1b}[31m{}", "x".repeat(500)) }.shortened();
        let Sighted::FileMissing { file } = what else { panic!("it stays what it is") };
        assert!(file.starts_with("a[31mxxx") && file.len() == TEXT_CHARS_MAX, "{file}");
    }
}
