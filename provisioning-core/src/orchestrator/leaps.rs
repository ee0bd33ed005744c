//! Leaps of the wall clock: deadlines outlive the process and are wall-clock times, so that they are moved along when
//! somebody sets the clock. Nobody has more or less time by that, and nobody fails of it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Orchestrator;
use super::apply::Along;
use crate::machine::{EventKind, HostState, Phase, WorkKind};
use crate::model::{OperationId, Timestamp};
use crate::ports::{Happening, HostFilter, NewEntry, Source, StoreError, Work};

/// Less than this is a correction, such as those of NTP, and no leap: deadlines are minutes away.
const LEAP_MIN: Duration = Duration::from_secs(10);

/// The two clocks when they were last looked at, and a leap that is not yet dealt with.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    last: Option<(Timestamp, Duration)>,
    leap_millis: i64,
    /// Whose deadlines were moved along by that leap already, when the store failed in between.
    moved: BTreeSet<OperationId>,
}

/// Phases that have deadlines.
const WITH_DEADLINES: [Phase; 5] =
    [Phase::PxeBooted, Phase::Installing, Phase::Installed, Phase::FirstBoot, Phase::Joining];

impl Orchestrator {
    /// Looks whether the wall clock has leapt since the last look, and moves along what was written down before. A leap
    /// while no process of ours runs is not seen.
    pub(super) async fn heed_clock(&self, watch: &mut ClockWatch) -> Result<(), StoreError> {
        let now = self.ports.clock.now();
        let Some(steady) = self.ports.clock.steady() else { return Ok(()) };
        if let Some((wall_before, steady_before)) = watch.last.replace((now, steady)) {
            let expected = wall_before + steady.saturating_sub(steady_before);
            let leap_millis = now.as_millis() - expected.as_millis();
            if u128::from(leap_millis.unsigned_abs()) >= LEAP_MIN.as_millis() {
                watch.leap_millis += leap_millis;
            }
        }
        if watch.leap_millis == 0 {
            return Ok(());
        }
        self.move_along(watch, now).await?;
        *watch = ClockWatch { last: watch.last, ..ClockWatch::default() };
        Ok(())
    }

    async fn move_along(&self, watch: &mut ClockWatch, now: Timestamp) -> Result<(), StoreError> {
        let by_millis = watch.leap_millis;
        for phase in WITH_DEADLINES {
            for record in self.ports.store.hosts(&HostFilter { phase: Some(phase), ..HostFilter::default() }).await? {
                let HostState::Provisioning { leg, run } = &record.state else { continue };
                let allowed = self.policy.time_allowed(*leg).unwrap_or(self.policy.joining);
                let is_from_before = run.deadline.is_some_and(|at| is_from_before(at, allowed, by_millis, now));
                if !is_from_before || watch.moved.contains(&run.operation) {
                    continue;
                }
                let event = EventKind::ClockLeapt { by_millis }.of(run.operation);
                self.apply(record.host.id, &event, Source::Provisioning, &Along::default()).await?;
                watch.moved.insert(run.operation);
            }
        }
        if by_millis < 0 {
            self.hurry_work(by_millis, now).await?;
        }
        let direction = if by_millis > 0 { "forward" } else { "back" };
        let (seconds, moved) = (by_millis.unsigned_abs() / 1_000, watch.moved.len());
        tracing::warn!(seconds, moved, "the clock was set {direction}: deadlines were moved along");
        let text = format!("the clock was set {direction} by {seconds} s: {moved} deadlines were moved along");
        let what = Happening::Warning { text };
        let entry = NewEntry { at: now, host: None, operation: None, source: Source::Provisioning, what };
        self.write_down(vec![entry]).await
    }

    /// Work that was put off until a time of the clock before would wait for as long as the clock went back.
    async fn hurry_work(&self, by_millis: i64, now: Timestamp) -> Result<(), StoreError> {
        for work in self.ports.store.work().await? {
            // Keys are kept for as long as a join can be resumed, which is a time that is written down elsewhere.
            if work.id.kind != WorkKind::EraseKey && work.due > now {
                let due = work.due - Duration::from_millis(by_millis.unsigned_abs());
                self.ports.store.reschedule(&Work { due: due.max(now), ..work }, None).await?;
            }
        }
        Ok(())
    }
}

/// Whether a deadline was written down before the leap: seen by the clock as it is now, it gives a leg of which no more than
/// `allowed` is given too little, or too much. In doubt a host has more time rather than less, and never more than a
/// leg's whole.
fn is_from_before(deadline: Timestamp, allowed: Duration, by_millis: i64, now: Timestamp) -> bool {
    let leap = Duration::from_millis(by_millis.unsigned_abs());
    if by_millis > 0 { deadline + leap <= now + allowed } else { deadline > now + allowed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_from_before_a_leap_are_told_from_those_after_it() {
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        let (hour, allowed) = (3_600_000, Duration::from_secs(20 * 60));
        // It was minute 100, and is 160.
        assert!(is_from_before(at(120), allowed, hour, at(160)) && is_from_before(at(101), allowed, hour, at(160)));
        assert!(!is_from_before(at(180), allowed, hour, at(161)));
        // It was minute 100, and is 40.
        assert!(is_from_before(at(101), allowed, -hour, at(40)) && is_from_before(at(120), allowed, -hour, at(40)));
        assert!(!is_from_before(at(60), allowed, -hour, at(41)));
    }
}
