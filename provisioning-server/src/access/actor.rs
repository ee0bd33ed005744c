//! Who a request comes from, as handlers and the audit see it.

use provisioning_core::ports::AccessPath;
use serde::{Deserialize, Serialize};

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look at everything that is not secret, and change nothing.
    Read,
    /// Everything.
    Full,
}

impl Scope {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Full => "full",
        }
    }
}

/// Somebody who operates. Stands in the extensions of every request that was let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The name of the token or login.
    pub name: String,
    /// How they have proven it.
    pub via: AccessPath,
    /// What they may do.
    pub scope: Scope,
}

impl Actor {
    /// Whoever may open the control socket.
    pub fn control() -> Self {
        Self { name: "control socket".to_owned(), via: AccessPath::Control, scope: Scope::Full }
    }

    /// Anybody, on an open server.
    pub fn anybody() -> Self {
        Self { name: "anybody".to_owned(), via: AccessPath::Open, scope: Scope::Full }
    }
}
