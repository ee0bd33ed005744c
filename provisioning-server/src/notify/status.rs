//! What is known of each target since the server was started.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use provisioning_core::model::Timestamp;

/// What became of the latest tries to reach a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// When it took an event last.
    pub last_success_at: Option<Timestamp>,
    /// The journal place of that event.
    pub last_seq: Option<u64>,
    /// When it last did not, and why.
    pub last_error: Option<(Timestamp, String)>,
    /// How often the next event was tried in vain.
    pub attempts: u32,
    /// When it is tried next, if it was tried in vain.
    pub next_try_at: Option<Timestamp>,
    /// Events that were given up on.
    pub dropped: u64,
}

/// What came of a try to tell a target of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It took it.
    Taken,
    /// It did not, and is asked again.
    Failed,
    /// It did not, and the event is given up.
    Dropped,
}

impl Delivery {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// Of all targets, by name.
#[derive(Debug)]
pub(super) struct Statuses(BTreeMap<String, Mutex<Status>>);

impl Statuses {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|name| (name, Mutex::default())).collect())
    }

    pub(super) fn get(&self, name: &str) -> Status {
        self.change(name, |status| status.clone()).unwrap_or_default()
    }

    /// Writes something down; `None` for a target that there is not.
    pub(super) fn change<T>(&self, name: &str, change: impl FnOnce(&mut Status) -> T) -> Option<T> {
        self.0.get(name).map(|status| change(&mut status.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
