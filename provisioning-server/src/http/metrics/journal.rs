//! What the journal tells from the start of the process on: how long operations stay in their legs, and how they end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use provisioning_core::machine::{EventKind, Phase};
use provisioning_core::model::{HostId, Timestamp};
use provisioning_core::orchestrator::Orchestrator;
use provisioning_core::ports::{Happening, JournalEntry};

use super::MakeHistogram;
use super::labels::{Ended, OfPhase};
use crate::http::hub::FULL_READ;

/// How long until a store that did not answer is asked again.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// What happens within this time is read together: nobody scrapes that often.
const GATHERED: Duration = Duration::from_millis(50);

/// What operations fail by. Each is there from the start, as 0, so that an alert does not miss the first.
const REASONS: [&str; 13] = [
    "deadline_passed",
    "cancelled",
    "no_host_key",
    "host_key_mismatch",
    "key_lost",
    "name_taken",
    "join_failed",
    "half_joined",
    "join_unfinished",
    "no_witness",
    "key_still_opens",
    "inventory_refused",
    "unexpected",
];

/// The figures, and when each host came to where it is.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    time_in_leg: Family<OfPhase, Histogram, MakeHistogram>,
    operations: Family<Ended, Counter>,
}

impl Default for Journal {
    fn default() -> Self {
        let legs: MakeHistogram = || Histogram::new([5.0, 15.0, 60.0, 180.0, 300.0, 600.0, 1200.0, 2400.0, 3600.0]);
        let operations = Family::<Ended, Counter>::default();
        for ended in std::iter::once(Ended::ready()).chain(REASONS.map(Ended::failed)) {
            drop(operations.get_or_create(&ended));
        }
        Self { time_in_leg: Family::new_with_constructor(legs), operations }
    }
}

impl Journal {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "How long operations stayed in each leg";
        registry.register_with_unit("time_in_leg", help, Unit::Seconds, self.time_in_leg.clone());
        registry.register("operations", "Operations that ended, by outcome and reason", self.operations.clone());
    }

    /// Counts what is told from now on, for ever.
    pub(super) async fn follow(self, orchestrator: Arc<Orchestrator>) {
        let mut entered = BTreeMap::new();
        let mut feed = loop {
            match orchestrator.store().last_seq().await {
                Ok(last) => break orchestrator.feed(last),
                Err(_) => tokio::time::sleep(AFTER_TROUBLE).await,
            }
        };
        loop {
            match feed.next().await {
                Ok(entries) => {
                    for entry in &entries {
                        self.note(entry, &mut entered);
                    }
                    if entries.len() < FULL_READ {
                        tokio::time::sleep(GATHERED).await;
                    }
                }
                Err(error) => {
                    // The orchestrator's loop warns of a store that does not answer: once.
                    tracing::debug!(%error, "could not read the journal for the metrics, trying again");
                    tokio::time::sleep(AFTER_TROUBLE).await;
                }
            }
        }
    }

    pub(super) fn note(&self, entry: &JournalEntry, entered: &mut BTreeMap<HostId, Timestamp>) {
        let (Some(host), Happening::Moved { event, from, to }) = (entry.host, &entry.what) else { return };
        if let Some(since) = entered.insert(host, entry.at) {
            let leg = OfPhase { phase: from.as_str() };
            self.time_in_leg.get_or_create(&leg).observe(entry.at.since(since).as_secs_f64());
        }
        let ended = match (to, event) {
            (Phase::Ready, _) => Ended::ready(),
            (Phase::Failed, EventKind::StepFailed { why, .. }) => Ended::failed(why.as_str()),
            (Phase::Failed, EventKind::Expired { .. }) => Ended::failed("deadline_passed"),
            (Phase::Failed, event) => Ended::failed(event.as_str()),
            _ => return,
        };
        entered.remove(&host);
        self.operations.get_or_create(&ended).inc();
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::machine::FailureReason;

    use super::*;

    #[test]
    fn every_reason_is_there_from_the_start() {
        let said = || "said".to_owned();
        let all = [
            FailureReason::DeadlinePassed { last_error: None },
            FailureReason::Cancelled,
            FailureReason::NoHostKey,
            FailureReason::HostKeyMismatch,
            FailureReason::KeyLost,
            FailureReason::NameTaken { node: said() },
            FailureReason::JoinFailed { said: said() },
            FailureReason::HalfJoined { node: said(), said: said() },
            FailureReason::JoinUnfinished { said: said() },
            FailureReason::NoWitness { said: said() },
            FailureReason::KeyStillOpens,
            FailureReason::InventoryRefused { said: said() },
            FailureReason::Unexpected { said: said() },
        ];
        assert_eq!(all.map(|reason| reason.as_str()), REASONS);
    }
}
