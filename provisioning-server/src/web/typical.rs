//! How long each stage usually takes on each server type: the median of what the journal tells.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use provisioning_core::machine::Phase;
use provisioning_core::model::{HostId, OperationId, ServerTypeKey, Timestamp};
use provisioning_core::ports::{Happening, HostFilter, JournalEntry, JournalQuery, StoreError};

use super::Web;

/// Of so many latest runs of a stage the median is taken.
const RUNS_MAX: usize = 101;

/// Fewer runs than these say nothing.
const RUNS_MIN: usize = 3;

/// So much of the journal is read when the server has just started.
const ENTRIES_MAX: u64 = 20_000;

/// Entries that are read at once.
const BATCH: usize = 1000;

/// How long a stage usually takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usual {
    /// The median.
    pub(super) time: Duration,
    /// Of how many runs.
    pub(super) runs: usize,
}

/// What stages took, gathered from the journal as it grows.
#[derive(Debug, Default)]
pub(super) struct Typical {
    /// The last entry that was heeded.
    seen: u64,
    types: BTreeMap<HostId, ServerTypeKey>,
    /// The stage that each running operation is in, and since when.
    open: BTreeMap<OperationId, (Phase, Timestamp)>,
    taken: BTreeMap<(ServerTypeKey, Phase), VecDeque<Duration>>,
}

impl Typical {
    /// Learns from an entry of a host of this type.
    pub(super) fn heed(&mut self, entry: &JournalEntry, server_type: &ServerTypeKey) {
        let (Happening::Moved { from, to, .. }, Some(operation)) = (&entry.what, entry.operation) else { return };
        if from == to {
            return;
        }
        // What a failed stage took says when it was given up, not how long it takes.
        if let Some((phase, since)) = self.open.remove(&operation).filter(|_| *to != Phase::Failed) {
            let taken = self.taken.entry((server_type.clone(), phase)).or_default();
            taken.push_back(entry.at.since(since));
            if taken.len() > RUNS_MAX {
                taken.pop_front();
            }
        }
        match to {
            // A machine is powered on when somebody gets round to it.
            Phase::Registered | Phase::PxeReady | Phase::Ready | Phase::Failed => {}
            Phase::PxeBooted | Phase::Installing | Phase::Installed | Phase::FirstBoot | Phase::Joining => {
                self.open.insert(operation, (*to, entry.at));
            }
        }
    }

    /// How long a stage usually takes on a server type; `None` while too little is known.
    pub(super) fn usual(&self, server_type: &ServerTypeKey, phase: Phase) -> Option<Usual> {
        let mut taken: Vec<Duration> = self.taken.get(&(server_type.clone(), phase))?.iter().copied().collect();
        taken.sort_unstable();
        let time = *taken.get(taken.len() / 2)?;
        (taken.len() >= RUNS_MIN).then_some(Usual { time, runs: taken.len() })
    }

    /// Reads what was written since the last time.
    async fn catch_up(&mut self, web: &Web) -> Result<(), StoreError> {
        let store = web.orchestrator.store();
        if self.seen == 0 {
            self.seen = store.last_seq().await?.saturating_sub(ENTRIES_MAX);
        }
        loop {
            let entries = store.journal(&JournalQuery::after(self.seen, BATCH)).await?;
            let is_new = |entry: &JournalEntry| entry.host.is_some_and(|host| !self.types.contains_key(&host));
            if entries.iter().any(|entry| matches!(entry.what, Happening::Moved { .. }) && is_new(entry)) {
                let records = store.hosts(&HostFilter::default()).await?;
                self.types = records.into_iter().map(|record| (record.host.id, record.host.server_type)).collect();
            }
            for entry in &entries {
                match (entry.host, &entry.what) {
                    // Its type may be another now.
                    (Some(host), Happening::HostEdited { .. } | Happening::HostRemoved { .. }) => {
                        self.types.remove(&host);
                    }
                    (Some(host), _) => {
                        if let Some(server_type) = self.types.get(&host).cloned() {
                            self.heed(entry, &server_type);
                        }
                    }
                    (None, _) => {}
                }
                self.seen = entry.seq;
            }
            if entries.len() < BATCH {
                return Ok(());
            }
        }
    }
}

/// How long each stage usually takes on a server type, as of now.
pub(super) async fn usual_times(web: &Web, server_type: &ServerTypeKey) -> Result<BTreeMap<Phase, Usual>, StoreError> {
    let mut typical = web.typical.lock().await;
    typical.catch_up(web).await?;
    let phases = Phase::ALL.into_iter();
    Ok(phases.filter_map(|phase| Some((phase, typical.usual(server_type, phase)?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning_core::machine::EventKind;
    use provisioning_core::ports::Source;

    fn moved(operation: u8, seconds: i64, from: Phase, to: Phase) -> JournalEntry {
        let what = Happening::Moved { event: EventKind::Started, from, to };
        let (host, operation) = (HostId::from_bytes([operation; 16]), OperationId::from_bytes([operation; 16]));
        let at = Timestamp::from_millis(seconds * 1000);
        JournalEntry { seq: 1, at, host: Some(host), operation: Some(operation), source: Source::Host, what }
    }

    fn kind() -> ServerTypeKey {
        "compute".parse().expect("a key")
    }

    #[test]
    fn the_median_of_what_a_stage_took_is_usual_once_three_runs_are_known() {
        let mut typical = Typical::default();
        for (operation, seconds) in [(1, 60), (2, 600), (3, 90)] {
            assert_eq!(typical.usual(&kind(), Phase::Installing), None);
            typical.heed(&moved(operation, 0, Phase::PxeBooted, Phase::Installing), &kind());
            typical.heed(&moved(operation, seconds, Phase::Installing, Phase::Installed), &kind());
        }
        let usual = Usual { time: Duration::from_secs(90), runs: 3 };
        assert_eq!(typical.usual(&kind(), Phase::Installing), Some(usual));
        assert_eq!(typical.usual(&"storage".parse().expect("a key"), Phase::Installing), None);
    }

    #[test]
    fn a_stage_that_failed_or_that_waits_for_a_person_counts_for_nothing() {
        let mut typical = Typical::default();
        for operation in 1..=5 {
            typical.heed(&moved(operation, 0, Phase::Registered, Phase::PxeReady), &kind());
            typical.heed(&moved(operation, 9, Phase::PxeReady, Phase::PxeBooted), &kind());
            typical.heed(&moved(operation, 99, Phase::PxeBooted, Phase::Failed), &kind());
        }
        assert_eq!(typical.usual(&kind(), Phase::PxeReady), None);
        assert_eq!(typical.usual(&kind(), Phase::PxeBooted), None);
    }

    #[test]
    fn old_runs_are_forgotten() {
        let mut typical = Typical::default();
        for run in 0..(RUNS_MAX * 2) {
            let seconds = if run < RUNS_MAX { 10 } else { 20 };
            typical.heed(&moved(1, 0, Phase::PxeBooted, Phase::Installing), &kind());
            typical.heed(&moved(1, seconds, Phase::Installing, Phase::Installed), &kind());
        }
        let usual = typical.usual(&kind(), Phase::Installing).expect("there were runs");
        assert_eq!((usual.time, usual.runs), (Duration::from_secs(20), RUNS_MAX));
    }
}
