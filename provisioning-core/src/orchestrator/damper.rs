//! Keeps machines that repeat themselves, and strangers, from filling the journal.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::model::{HostId, Timestamp};

/// Lets one note of a kind through per host and minute.
#[derive(Debug, Default)]
pub(super) struct Damper {
    latest: Mutex<BTreeMap<(Option<HostId>, &'static str), Timestamp>>,
}

/// One a minute still shows when it began, how often it goes on, and when it ended.
const PAUSE: Duration = Duration::from_secs(60);

impl Damper {
    /// Whether a note of this kind may be written now.
    pub(super) fn lets_through(&self, host: Option<HostId>, kind: &'static str, at: Timestamp) -> bool {
        let mut latest = self.latest.lock().expect("no caller panics while it holds the damper");
        match latest.get(&(host, kind)) {
            Some(before) if at.since(*before) < PAUSE => false,
            _ => {
                latest.retain(|_, before| at.since(*before) < PAUSE);
                latest.insert((host, kind), at);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_note_of_a_kind_passes_per_minute() {
        let damper = Damper::default();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        assert!(damper.lets_through(None, "a", at(0)));
        assert!(!damper.lets_through(None, "a", at(59)));
        assert!(damper.lets_through(None, "b", at(59)));
        assert!(damper.lets_through(None, "a", at(60)));
    }
}
