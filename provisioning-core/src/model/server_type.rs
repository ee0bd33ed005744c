//! Hardware classes: what hosts of one kind have in common.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::disk::DiskSetup;
use super::name::{Hostname, ServerTypeKey};

/// A hardware class of `server-types.yaml`, parsed. An operation keeps a copy of it, so that what the operator
/// confirmed is what gets installed, whatever happens to the file meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerType {
    /// The key that hosts name it by.
    pub key: ServerTypeKey,
    /// The name shown to people.
    pub display_name: String,
    /// The disks that an installation wipes.
    pub disk: DiskSetup,
    /// The NIC that should carry the management address (`eno1`); a report that says otherwise is journalled.
    pub management_nic: Option<NicName>,
    /// What the class has for a GPU, for the inventory; free text.
    pub gpu: Option<String>,
    /// What the names of its hosts begin with.
    pub hostname_prefix: Option<Hostname>,
}

/// A network interface's kernel name: 1-15 of letters, digits, `.`, `_`, `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NicName(Arc<str>);

super::name::text_type!(NicName, ParseNicError);

impl std::str::FromStr for NicName {
    type Err = ParseNicError;

    fn from_str(text: &str) -> Result<Self, ParseNicError> {
        let fits = (1..=15).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if fits { Ok(Self(text.into())) } else { Err(ParseNicError) }
    }
}

/// The text is no interface name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a network interface's name such as eno1: at most 15 letters, digits, . _ -")]
pub struct ParseNicError;
