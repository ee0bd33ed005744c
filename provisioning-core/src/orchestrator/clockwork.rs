//! The loop that makes things happen by themselves: boot plan, deadlines, outbox.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinError, JoinSet};
use tracing::Instrument as _;

use super::apply::Along;
use super::leaps::ClockWatch;
use super::{Orchestrator, spans};
use crate::machine::{EventKind, WorkKind, boot_answer};
use crate::model::Timestamp;
use crate::ports::{
    BootEntry, BootPlan, BoxError, Entropy, EntropyExt, Happening, HostFilter, HostRecord, NewEntry, Source,
    StoreError, Work, WorkId,
};

/// The longest sleep while something is waited for: the clock can leap, and a deadline with it.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// The longest sleep while nothing is: then nothing can be late, and whatever comes rings a bell.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// How long after trouble with the store or the boot server it is tried again.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// A boot plan takes all hosts into account: after one was made, the next waits for so many times as long as that took,
/// so that plans take a fiftieth of one core however many hosts are in motion. A single change is in force at once.
const PLAN_RESTS: u32 = 49;

/// But not longer than this.
const PLAN_REST_MAX: Duration = Duration::from_secs(1);

/// A turn reads what is owed and what is overdue, and each commit asks for one: after a turn the loop rests for so many
/// times as long as that took, so that turns take a twentieth of one core unless very much is owed. Work that ends ends
/// the rest.
const TURN_RESTS: u32 = 19;

/// But not longer than this: nobody notices it.
const TURN_REST_MAX: Duration = Duration::from_millis(20);

/// A job's task, its work, and whether the work's end could be written down.
type Finished = (tokio::task::Id, (WorkId, Result<(), StoreError>));

/// The work that is being done now.
#[derive(Default)]
struct Jobs {
    set: JoinSet<(WorkId, Result<(), StoreError>)>,
    running: BTreeMap<WorkId, AbortHandle>,
    /// No boot plan is made before then.
    plan_rests_until: Option<Timestamp>,
}

impl Orchestrator {
    /// Runs until `shutdown`: applies the boot plan, ends what is overdue, does the work that is due. A restart is
    /// no special path, it is the first turn of the loop. Returns when all jobs have stopped; unfinished work stays
    /// owed.
    ///
    /// # Panics
    /// When a job panicked: that is a bug, and going on would hide it.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut jobs = Jobs::default();
        let mut watch = ClockWatch::default();
        loop {
            let began = self.ports.clock.now();
            let wake = match self.turn(&mut jobs, &mut watch).await {
                Ok(wake) => {
                    if self.store_outcry.is_over() {
                        tracing::info!("the store answers again");
                    }
                    wake
                }
                Err(error) => {
                    if self.store_outcry.is_news(&error) {
                        tracing::warn!(%error, "the store did not answer, trying again");
                    }
                    Some(self.ports.clock.now() + AFTER_TROUBLE)
                }
            };
            self.turns.send_modify(|turns| *turns += 1);
            // The clock tells milliseconds: of short turns every so many seem to take one, which comes to the same.
            let rest = (self.ports.clock.now().since(began) * TURN_RESTS).min(TURN_REST_MAX);
            if !rest.is_zero() {
                tokio::select! {
                    biased;
                    () = &mut shutdown => break,
                    // What comes next of a host is not kept waiting: joins go one at a time, a thousand wait for each.
                    Some(finished) = jobs.set.join_next_with_id() => {
                        jobs.finish(finished).await;
                        continue;
                    }
                    () = tokio::time::sleep(rest) => {}
                }
            }
            let pause = wake.map_or(IDLE_MAX, |wake| wake.since(self.ports.clock.now()).min(SLEEP_MAX));
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(finished) = jobs.set.join_next_with_id() => jobs.finish(finished).await,
                () = self.bell.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        jobs.set.shutdown().await;
    }

    /// One turn; tells when the next thing is due.
    async fn turn(self: &Arc<Self>, jobs: &mut Jobs, watch: &mut ClockWatch) -> Result<Option<Timestamp>, StoreError> {
        // Before anything is overdue.
        self.heed_clock(watch).await?;
        let sweep = self.sweep_vault().await;
        let discovered = self.write_discovered().await;
        let boot = self.sync_boot(&mut jobs.plan_rests_until).await?;
        let deadline = self.expire_overdue().await?;
        let work = self.spawn_due(jobs).await?;
        Ok([sweep, discovered, boot, work, deadline].into_iter().flatten().min())
    }

    /// Erases keys that were put into the vault by a start that never wrote its row. Tells when to try again.
    async fn sweep_vault(&self) -> Option<Timestamp> {
        if !self.vault_is_unswept.swap(false, Ordering::SeqCst) {
            return None;
        }
        let Err(error) = self.erase_unknown_keys().await else { return None };
        tracing::warn!(error = &*error, "could not look for keys without an operation");
        self.vault_is_unswept.store(true, Ordering::SeqCst);
        Some(self.ports.clock.now() + AFTER_TROUBLE)
    }

    async fn erase_unknown_keys(&self) -> Result<(), BoxError> {
        for operation in self.ports.vault.held().await? {
            // In this order: an operation that begins between the two looks is known to the second.
            if self.is_starting(operation) || self.ports.store.operation(operation).await?.is_some() {
                continue;
            }
            self.ports.vault.erase(operation).await?;
        }
        Ok(())
    }

    /// Applies the boot plan if it may have changed. Level-triggered: the plan is made from what is stored.
    async fn sync_boot(&self, rests_until: &mut Option<Timestamp>) -> Result<Option<Timestamp>, StoreError> {
        let began = self.ports.clock.now();
        if let Some(until) = rests_until.filter(|until| is_soon(began, *until)) {
            return Ok(self.boot_is_stale.load(Ordering::SeqCst).then_some(until));
        }
        if !self.boot_is_stale.swap(false, Ordering::SeqCst) {
            return Ok(None);
        }
        let hosts = match self.ports.store.hosts(&HostFilter::default()).await {
            Ok(hosts) => hosts,
            Err(error) => {
                self.boot_is_stale.store(true, Ordering::SeqCst);
                return Err(error);
            }
        };
        let applied = self.ports.boot_server.apply(&boot_plan(&hosts)).await;
        let now = self.ports.clock.now();
        *rests_until = Some(now + (now.since(began) * PLAN_RESTS).min(PLAN_REST_MAX));
        let Err(error) = applied else {
            if self.boot_outcry.is_over() {
                tracing::info!("the boot plan is in force again");
            }
            return Ok(None);
        };
        self.boot_is_stale.store(true, Ordering::SeqCst);
        if self.boot_outcry.is_news(&error) {
            tracing::warn!(%error, "the boot plan is not in force");
        }
        let at = self.ports.clock.now();
        let what = Happening::Warning { text: format!("the boot plan is not in force: {}", error.problem) };
        let entry = NewEntry { at, host: None, operation: None, source: Source::Provisioning, what };
        if self.note("boot plan", entry).await? {
            tracing::warn!(%error, "the boot plan is not in force");
        }
        Ok(Some(at + AFTER_TROUBLE))
    }

    /// Ends what is overdue; tells when the next deadline is. One that is set after this look rings the bell.
    async fn expire_overdue(&self) -> Result<Option<Timestamp>, StoreError> {
        let (next, now) = (self.ports.store.next_deadline().await?, self.ports.clock.now());
        if next.is_none_or(|next| next > now) {
            return Ok(next);
        }
        let overdue = self.ports.store.overdue(now).await?;
        let work = self.ports.store.work().await?;
        for host in overdue {
            let Some(record) = self.ports.store.host(host).await? else { continue };
            let Some(operation) = record.state.running() else { continue };
            let last_error =
                work.iter().find(|work| work.id.operation == operation).and_then(|work| work.last_error.clone());
            let event = EventKind::Expired { last_error }.of(operation);
            self.apply(host, &event, Source::Provisioning, &Along::default()).await?;
        }
        self.ports.store.next_deadline().await
    }

    /// Starts what is due, stops what is no longer owed; tells when the next work is due.
    async fn spawn_due(self: &Arc<Self>, jobs: &mut Jobs) -> Result<Option<Timestamp>, StoreError> {
        let mut owed = self.ports.store.work().await?;
        jobs.stop_all_but(&owed);
        let joins: Vec<Work> = owed.extract_if(.., |work| work.id.kind == WorkKind::Join).collect();
        owed.extend(self.join_lane(joins).await?);
        let now = self.ports.clock.now();
        let mut next = None::<Timestamp>;
        for work in owed {
            if jobs.running.contains_key(&work.id) {
                continue;
            }
            if work.due <= now {
                jobs.start(self, work);
            } else {
                next = Some(next.map_or(work.due, |next| next.min(work.due)));
            }
        }
        Ok(next)
    }
}

impl Jobs {
    fn start(&mut self, orchestrator: &Arc<Orchestrator>, work: Work) {
        let (id, orchestrator) = (work.id, Arc::clone(orchestrator));
        let span = spans::work(&work);
        let job = async move {
            let outcome = orchestrator.perform(&work).await;
            if let Err(error) = &outcome {
                tracing::warn!(%error, "could not write down how work ended");
            }
            (id, outcome)
        };
        let handle = self.set.spawn(job.instrument(span));
        self.running.insert(id, handle);
    }

    /// Work that is no longer owed belongs to an operation that ended: nobody waits for it.
    fn stop_all_but(&mut self, owed: &[Work]) {
        self.running.retain(|id, handle| {
            let is_owed = owed.iter().any(|work| work.id == *id);
            if !is_owed && !handle.is_finished() {
                handle.abort();
            }
            is_owed
        });
    }

    async fn finish(&mut self, finished: Result<Finished, JoinError>) {
        match finished {
            Ok((task, (id, outcome))) => {
                // The same work may have been owed again, and started, since this task ended.
                if self.running.get(&id).is_some_and(|handle| handle.id() == task) {
                    self.running.remove(&id);
                }
                if outcome.is_err() {
                    tokio::time::sleep(AFTER_TROUBLE).await;
                }
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Whether `until` is ahead, and no further than a rest: a clock that was set back makes nobody wait.
fn is_soon(now: Timestamp, until: Timestamp) -> bool {
    until > now && until.since(now) <= PLAN_REST_MAX
}

fn boot_plan(hosts: &[HostRecord]) -> BootPlan {
    let mut entries: Vec<BootEntry> = hosts
        .iter()
        .flat_map(|record| {
            let answer = boot_answer(&record.state);
            record.host.macs.iter().enumerate().map(move |(nic, mac)| BootEntry {
                mac: *mac,
                host: record.host.name.clone(),
                answer,
                address: record.host.address.filter(|_| nic == 0).map(|net| net.addr()),
            })
        })
        .collect();
    entries.sort_by_key(|entry| entry.mac);
    BootPlan { entries }
}

/// 1, 2, 4 … 64 s, a quarter more or less, so that hosts that failed together do not come back together.
pub(super) fn back_off(attempts: u32, entropy: &dyn Entropy) -> Duration {
    let seconds = 1_u64 << attempts.saturating_sub(1).min(6);
    let [jitter] = entropy.bytes::<1>();
    Duration::from_millis(seconds * (750 + 500 * u64::from(jitter) / 255))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn patience_grows_to_about_a_minute() {
        assert_eq!(back_off(1, &Fixed(0)), Duration::from_millis(750));
        assert_eq!(back_off(1, &Fixed(255)), Duration::from_millis(1250));
        assert_eq!(back_off(3, &Fixed(0)), Duration::from_secs(3));
        assert_eq!(back_off(u32::MAX, &Fixed(255)), Duration::from_secs(80));
    }
}
