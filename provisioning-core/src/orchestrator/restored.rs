//! What becomes of operations that ran when the backup was made that the store was restored from.

use super::Orchestrator;
use super::apply::{Along, Applied};
use crate::machine::{EventKind, FailureReason, HostState, JoinStep, Leg};
use crate::ports::{HostFilter, HostRecord, Source, StoreError};

impl Orchestrator {
    /// Ends every operation that runs: no backup holds its one-time key, and what its machine has done since is not
    /// known. To be called once, before anything is served from restored data. The hosts that it has ended.
    ///
    /// # Errors
    /// What the store says; to call it again then goes on where it stopped.
    pub async fn end_restored(&self) -> Result<Vec<HostRecord>, StoreError> {
        let mut ended = vec![];
        for record in self.ports.store.hosts(&HostFilter::default()).await? {
            let HostState::Provisioning { leg, run } = &record.state else { continue };
            let step = match leg {
                Leg::Joining(step) => *step,
                Leg::PxeReady | Leg::PxeBooted | Leg::Installing | Leg::Installed | Leg::FirstBoot => JoinStep::Join,
            };
            let event = EventKind::StepFailed { step, why: FailureReason::Restored }.of(run.operation);
            if let Applied::Moved(record) =
                self.apply(record.host.id, &event, Source::Provisioning, &Along::default()).await?
            {
                ended.push(*record);
            }
        }
        Ok(ended)
    }
}
