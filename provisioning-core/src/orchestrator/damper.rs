//! Keeps machines that repeat themselves, and strangers, from filling the journal.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::model::{HostId, MacAddr, Timestamp};

/// Lets one note of a kind through per host and minute.
#[derive(Debug, Default)]
pub(super) struct Damper {
    latest: Mutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    notes: BTreeMap<(Option<HostId>, &'static str), Timestamp>,
    /// How many were left when old ones were last forgotten.
    left: usize,
}

/// One a minute still shows when it began, how often it goes on, and when it ended.
const PAUSE: Duration = Duration::from_secs(60);
/// Fewer notes than this are not worth forgetting.
const SWEPT_FROM: usize = 256;

impl Damper {
    /// Whether a note of this kind may be written now.
    pub(super) fn lets_through(&self, host: Option<HostId>, kind: &'static str, at: Timestamp) -> bool {
        let mut latest = self.latest.lock().expect("no caller panics while it holds the damper");
        let Latest { notes, left } = &mut *latest;
        if notes.get(&(host, kind)).is_some_and(|before| at.since(*before) < PAUSE) {
            return false;
        }
        // Not each time: a fleet that boots at once would have all notes looked through for each of its machines.
        if notes.len() >= 2 * *left + SWEPT_FROM {
            notes.retain(|_, before| at.since(*before) < PAUSE);
            *left = notes.len();
        }
        notes.insert((host, kind), at);
        true
    }
}

/// Lets of each machine's footprints through what tells something new: each kind once a minute, and at most twelve
/// lines within two minutes, which is what one netboot leaves.
#[derive(Debug, Default)]
pub(super) struct TrailDamper {
    machines: Mutex<BTreeMap<MacAddr, Recent>>,
}

#[derive(Debug)]
struct Recent {
    since: Timestamp,
    latest: Timestamp,
    said: Vec<(String, Timestamp)>,
    lines: usize,
    /// When it was last seen doing what only netbooting machines do.
    netbooted_at: Timestamp,
}

/// Lines of one machine within [`BOOT`].
const LINES_MAX: usize = 12;
/// So long after a netboot an ordinary DHCP request may still belong to it.
const NETBOOT_ECHO: Duration = Duration::from_secs(300);
/// How long the firmware's part of a netboot takes at most.
const BOOT: Duration = Duration::from_secs(120);
/// Machines that are remembered; beyond these the one that was silent the longest is forgotten.
const MACHINES_MAX: usize = 4_096;

impl TrailDamper {
    /// Whether a machine is, or was until a moment ago, on its way from power-on to its system. All else that it asks
    /// of DHCP is not of interest here.
    pub(super) fn is_netbooting(&self, mac: MacAddr, at: Timestamp) -> bool {
        let machines = self.machines.lock().expect("no caller panics while it holds the damper");
        machines.get(&mac).is_some_and(|recent| at.since(recent.netbooted_at) < NETBOOT_ECHO)
    }

    /// Whether a footprint of this kind may be written now.
    pub(super) fn lets_through(&self, mac: MacAddr, kind: String, is_ordinary: bool, at: Timestamp) -> bool {
        let mut machines = self.machines.lock().expect("no caller panics while it holds the damper");
        if !machines.contains_key(&mac) && machines.len() >= MACHINES_MAX {
            let quietest = machines.iter().min_by_key(|(_, recent)| recent.latest).map(|(mac, _)| *mac);
            quietest.and_then(|mac| machines.remove(&mac));
        }
        let begun = || Recent { since: at, latest: at, said: vec![], lines: 0, netbooted_at: at };
        let recent = machines.entry(mac).or_insert_with(begun);
        recent.latest = at;
        if !is_ordinary {
            recent.netbooted_at = at;
        }
        if at.since(recent.since) >= BOOT {
            (recent.since, recent.lines) = (at, 0);
        }
        recent.said.retain(|(_, before)| at.since(*before) < PAUSE);
        let is_new = recent.lines < LINES_MAX && recent.said.iter().all(|(said, _)| *said != kind);
        if is_new {
            recent.said.push((kind, at));
            recent.lines += 1;
        }
        is_new
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

    fn mac(n: u16) -> MacAddr {
        let [high, low] = n.to_be_bytes();
        MacAddr::new([0x52, 0x54, 0, 0, high, low]).unwrap()
    }

    #[test]
    fn a_machine_that_repeats_itself_is_heard_once_a_minute() {
        let damper = TrailDamper::default();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        let heard = (0..120).filter(|n| damper.lets_through(mac(7), "discovered".to_owned(), false, at(*n))).count();
        assert_eq!(heard, 2);
        assert!(
            damper.lets_through(mac(8), "discovered".to_owned(), false, at(119)),
            "another machine is another matter"
        );
    }

    #[test]
    fn a_machine_that_always_says_something_new_has_twelve_lines_a_netboot() {
        let damper = TrailDamper::default();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        let heard = |from: i64| {
            (from..from + 120).filter(|n| damper.lets_through(mac(7), n.to_string(), false, at(*n))).count()
        };
        assert_eq!((heard(0), heard(120)), (12, 12));
    }

    #[test]
    fn a_storm_of_machines_is_remembered_within_bounds() {
        let damper = TrailDamper::default();
        for n in 0..5_000 {
            assert!(damper.lets_through(mac(n), "a".to_owned(), false, Timestamp::from_millis(n.into())));
        }
        assert_eq!(damper.machines.lock().unwrap().len(), MACHINES_MAX);
    }

    #[test]
    fn a_lease_that_is_renewed_belongs_to_no_netboot() {
        let damper = TrailDamper::default();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        assert!(!damper.is_netbooting(mac(7), at(0)));
        assert!(damper.lets_through(mac(7), "offered".to_owned(), false, at(0)));
        for renewal in [100, 200, 299] {
            assert!(damper.is_netbooting(mac(7), at(renewal)));
            damper.lets_through(mac(7), "requested".to_owned(), true, at(renewal));
        }
        assert!(!damper.is_netbooting(mac(7), at(300)), "renewals do not make it last");
    }
}
