//! Download slots: how many machines may pull an image at once, and in what order the others follow.
//!
//! A machine that has to wait is told so with its boot script: iPXE asks again by itself after the `Retry-After` of a
//! 503, for as long as it takes (`reference/netboot.md` §3.5). Nothing is kept on disk: after a restart the machines
//! that wait ask again within seconds, and the order is that of their asking.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use provisioning_core::model::{OperationId, Timestamp};

use super::downloads::Downloads;
use crate::bandwidth::Bandwidth;

/// A machine that has had no byte for this long gives its slot back: it hangs, was switched off, or goes its own way.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// A machine that has not asked for this long no longer waits.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(45);

/// Whether a machine may begin to download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now.
    Now,
    /// Later: it is at this place in the line, 1 being the next, and shall ask again after `pause`.
    Wait {
        /// Its place.
        place: usize,
        /// When to ask again.
        pause: Duration,
    },
}

/// How the slots are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotsTaken {
    /// How many there are; `None` without a limit, and then nothing is counted.
    pub limit: Option<usize>,
    /// Machines that download.
    pub in_use: usize,
    /// Machines that wait for it.
    pub waiting: usize,
}

/// The slots of a server; by default as many as there are machines.
#[derive(Debug, Default)]
pub struct Slots {
    limit: Option<usize>,
    /// Who has no more bytes than these before it makes room for the next.
    handover: u64,
    line: Mutex<Line>,
}

impl Slots {
    /// As many as `limit`, or as share `bandwidth` well; with neither nobody waits.
    pub fn new(limit: Option<usize>, bandwidth: Option<Bandwidth>) -> Self {
        let shared = bandwidth.map(Bandwidth::machines);
        // A number that was written is kept to the letter. Where the bandwidth is what counts, the next machine comes
        // a little early, so that the wire is not idle until it has asked again.
        let handover = if limit.is_some() { 0 } else { bandwidth.map_or(0, Bandwidth::handover) };
        let limit = limit.into_iter().chain(shared).min();
        Self { limit, handover, line: Mutex::default() }
    }

    /// Whether there is a limit.
    pub fn are_counted(&self) -> bool {
        self.limit.is_some()
    }

    /// A machine asks for its boot script, and would download at once if it got it.
    pub fn ask(&self, operation: OperationId, now: Timestamp, downloads: &Downloads) -> Turn {
        let Some(limit) = self.limit else { return Turn::Now };
        self.line().ask(limit, operation, now, |operation| progress(downloads, operation, self.handover))
    }

    /// How they are taken now.
    pub fn taken(&self, now: Timestamp, downloads: &Downloads) -> SlotsTaken {
        if self.limit.is_none() {
            return SlotsTaken::default();
        }
        let mut line = self.line();
        line.sweep(now, &|operation| progress(downloads, operation, self.handover));
        SlotsTaken { limit: self.limit, in_use: line.running.len(), waiting: line.waiting.len() }
    }

    /// The place of an operation whose machine waits, 1 being the next.
    pub fn place(&self, operation: OperationId) -> Option<usize> {
        self.limit?;
        self.line().place(operation)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far the download of an operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    bytes: u64,
    done: bool,
}

fn progress(downloads: &Downloads, operation: OperationId, handover: u64) -> Progress {
    let bytes = downloads.of(operation).map_or(0, |download| download.bytes);
    Progress { bytes, done: downloads.left(operation).is_some_and(|left| left <= handover) }
}

/// Those who download and those who wait.
#[derive(Debug, Default)]
struct Line {
    /// The machines with a slot: what they had and when that was last more than before.
    running: BTreeMap<OperationId, (u64, Timestamp)>,
    /// Those who wait, the first to have asked first: `(first asked, operation)` to when they last asked.
    waiting: BTreeMap<(Timestamp, OperationId), Timestamp>,
}

impl Line {
    fn ask(
        &mut self,
        limit: usize,
        operation: OperationId,
        now: Timestamp,
        progress: impl Fn(OperationId) -> Progress,
    ) -> Turn {
        self.sweep(now, &progress);
        if self.running.contains_key(&operation) {
            return Turn::Now;
        }
        let first_asked = self.key(operation).unwrap_or((now, operation));
        self.waiting.insert(first_asked, now);
        let place = self.place(operation).unwrap_or(1);
        let free = limit.saturating_sub(self.running.len());
        if place <= free {
            self.waiting.remove(&first_asked);
            self.running.insert(operation, (progress(operation).bytes, now));
            return Turn::Now;
        }
        Turn::Wait { place: place - free, pause: pause(place) }
    }

    /// Takes the slots of those that are done or idle, and forgets who no longer asks.
    fn sweep(&mut self, now: Timestamp, progress: &impl Fn(OperationId) -> Progress) {
        self.running.retain(|operation, (had, since)| {
            let Progress { bytes, done } = progress(*operation);
            if bytes != *had {
                (*had, *since) = (bytes, now);
            }
            !done && now.since(*since) < IDLE_MAX
        });
        self.waiting.retain(|_, asked| now.since(*asked) < FORGOTTEN_AFTER);
    }

    fn key(&self, operation: OperationId) -> Option<(Timestamp, OperationId)> {
        self.waiting.keys().find(|(_, waits)| *waits == operation).copied()
    }

    fn place(&self, operation: OperationId) -> Option<usize> {
        self.waiting.keys().position(|(_, waits)| *waits == operation).map(|before| before + 1)
    }
}

/// Those who are next ask often, so that a slot is not left empty; those far behind cost little.
fn pause(place: usize) -> Duration {
    Duration::from_secs(if place <= 10 { 2 } else { 10 })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::super::downloads::Part;
    use super::*;

    /// A line of a given number of slots, and what each machine has been sent.
    struct Site {
        limit: usize,
        line: Line,
        sent: RefCell<BTreeMap<OperationId, Progress>>,
    }

    fn id(n: u8) -> OperationId {
        OperationId::new(Timestamp::from_millis(i64::from(n)), [n; 10])
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1000)
    }

    impl Site {
        fn new(limit: usize) -> Self {
            Self { limit, line: Line::default(), sent: RefCell::default() }
        }

        fn ask(&mut self, n: u8, seconds: i64) -> Option<usize> {
            let sent = self.sent.borrow();
            let progress = |op| sent.get(&op).copied().unwrap_or(Progress { bytes: 0, done: false });
            match self.line.ask(self.limit, id(n), at(seconds), progress) {
                Turn::Now => None,
                Turn::Wait { place, .. } => Some(place),
            }
        }

        fn send(&self, n: u8, bytes: u64, done: bool) {
            self.sent.borrow_mut().insert(id(n), Progress { bytes, done });
        }
    }

    #[test]
    fn who_comes_first_is_served_first() {
        let mut site = Site::new(2);
        assert_eq!([1, 2, 3, 4].map(|n| site.ask(n, 0)), [None, None, Some(1), Some(2)]);
        assert_eq!(site.ask(1, 1), None, "who has a slot keeps it");
        site.send(1, 100, true);
        assert_eq!(site.ask(4, 2), Some(1), "the third goes first");
        assert_eq!(site.ask(3, 3), None);
        assert_eq!(site.ask(4, 4), Some(1));
        site.send(2, 100, true);
        assert_eq!(site.ask(4, 5), None);
    }

    #[test]
    fn a_machine_that_hangs_gives_its_slot_back() {
        let mut site = Site::new(1);
        assert_eq!(site.ask(1, 0), None);
        for seconds in [20, 40, 59] {
            assert_eq!(site.ask(2, seconds), Some(1));
        }
        assert_eq!(site.ask(2, 60), None);
    }

    #[test]
    fn a_slow_machine_keeps_its_slot_as_long_as_bytes_go_out() {
        let mut site = Site::new(1);
        assert_eq!(site.ask(1, 0), None);
        for step in 1..100 {
            site.send(1, u64::try_from(step).unwrap(), false);
            assert_eq!(site.ask(2, step * 30), Some(1));
        }
    }

    #[test]
    fn a_machine_that_no_longer_asks_holds_up_nobody() {
        let mut site = Site::new(1);
        assert_eq!(site.ask(1, 0), None);
        assert_eq!(site.ask(2, 0), Some(1));
        assert_eq!(site.ask(3, 0), Some(2));
        site.send(1, 5, false);
        assert_eq!(site.ask(3, 30), Some(2));
        site.send(1, 6, false);
        assert_eq!(site.ask(3, 50), Some(1));
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let slots = Slots::new(None, None);
        assert_eq!(slots.ask(id(1), at(0), &Downloads::default()), Turn::Now);
        assert_eq!(slots.place(id(1)), None);
    }

    #[test]
    fn a_bandwidth_lets_in_the_next_machine_when_little_is_left_of_the_one_before() {
        let slots = Slots::new(None, Some("100Mbit/s".parse().unwrap()));
        let downloads = Downloads::default();
        let ask = |n: u8| slots.ask(id(n), at(0), &downloads);
        let waits = Turn::Wait { place: 1, pause: Duration::from_secs(2) };
        assert_eq!((ask(1), ask(2)), (Turn::Now, waits));
        let mut served = downloads.begin(id(1), Part::Initrd, 1_000_000_000, 0);
        served(900_000_000);
        assert_eq!(ask(2), waits);
        served(60_000_000);
        assert_eq!(ask(2), Turn::Now);
        let strict = Slots::new(Some(1), Some("100Mbit/s".parse().unwrap()));
        assert_eq!(strict.ask(id(3), at(0), &downloads), Turn::Now);
        drop(downloads.begin(id(3), Part::Initrd, 1_000_000_000, 999_999_999));
        assert_eq!(strict.ask(id(4), at(0), &downloads), waits, "the number was asked for");
    }

    proptest! {
        #[test]
        fn never_more_download_than_there_are_slots(limit in 1..5_usize, asks in prop::collection::vec((1..20_u8, any::<bool>()), 1..200)) {
            let mut site = Site::new(limit);
            for (seconds, (n, done)) in asks.into_iter().enumerate() {
                site.ask(n, i64::try_from(seconds).unwrap());
                prop_assert!(site.line.running.len() <= limit);
                if done && site.line.running.contains_key(&id(n)) {
                    site.send(n, 1, true);
                }
            }
        }
    }
}
