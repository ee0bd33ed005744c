//! What `provisioning config init` finds out about this machine, and how it writes its files.

pub mod files;
pub mod network;
pub mod region;
pub mod root_password;

/// A value to propose, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The value.
    pub value: String,
    /// Where it is from, to stand behind "from".
    pub because: String,
}

impl Proposal {
    /// A proposal.
    pub fn new(value: impl Into<String>, because: impl Into<String>) -> Self {
        Self { value: value.into(), because: because.into() }
    }
}
