//! A host's operations, one line each: how they ended, how long they took, what they installed.

use provisioning_core::machine::{EventKind, FailureReason, Phase};
use provisioning_core::model::{Image, Operation, Timestamp};
use provisioning_core::ports::{Happening, JournalEntry, JournalQuery, StoreError};

use super::super::Web;
use super::super::history::outcome;
use super::super::moment::Moment;
use super::super::words::{phase_title, reason_title, span};
use super::LINES_MAX;

/// An operation in the history.
pub(super) struct OperationView {
    pub(super) id: String,
    pub(super) started_at: Moment,
    pub(super) outcome: &'static str,
    pub(super) phase: Phase,
    /// Why it failed, in a few words.
    pub(super) why: Option<&'static str>,
    pub(super) took: String,
    pub(super) image: String,
    pub(super) is_shown: bool,
    /// Whether there is a run before it to compare it with.
    pub(super) has_previous: bool,
}

impl OperationView {
    /// All operations, the latest first; the one at `shown` is the page's.
    pub(super) async fn all(
        web: &Web,
        operations: &[Operation],
        shown: usize,
        now: Timestamp,
        images: &[Image],
    ) -> Result<Vec<Self>, StoreError> {
        let mut views = vec![];
        for (at, operation) in operations.iter().enumerate() {
            let entries =
                web.orchestrator.store().journal(&JournalQuery::of_operation(operation.id, LINES_MAX)).await?;
            let image = images.iter().find(|image| image.id == operation.image).map(|image| image.name.clone());
            let view = Self::of(operation, &entries, now, image);
            views.push(Self { is_shown: at == shown, has_previous: at + 1 < operations.len(), ..view });
        }
        Ok(views)
    }

    fn of(operation: &Operation, entries: &[JournalEntry], now: Timestamp, image: Option<String>) -> Self {
        let outcome = outcome(entries);
        let phase = outcome.map_or(Phase::PxeReady, |outcome| outcome.phase);
        let has_ended = matches!(phase, Phase::Ready | Phase::Failed);
        let until = outcome.filter(|_| has_ended).map_or(now, |outcome| outcome.at);
        Self {
            id: operation.id.to_string(),
            started_at: Moment(operation.started_at),
            outcome: phase_title(phase),
            phase,
            why: if phase == Phase::Failed { failure(entries) } else { None },
            took: span(until.since(operation.started_at)),
            image: image.unwrap_or_else(|| "an image that was removed".to_owned()),
            is_shown: false,
            has_previous: false,
        }
    }
}

/// Why the last failure was one.
fn failure(entries: &[JournalEntry]) -> Option<&'static str> {
    entries.iter().rev().find_map(|entry| match &entry.what {
        Happening::Moved { event, to: Phase::Failed, .. } => match event {
            EventKind::StepFailed { why, .. } => Some(reason_title(why)),
            EventKind::Expired { last_error } => {
                Some(reason_title(&FailureReason::DeadlinePassed { last_error: last_error.clone() }))
            }
            EventKind::Cancelled => Some(reason_title(&FailureReason::Cancelled)),
            _ => None,
        },
        _ => None,
    })
}
