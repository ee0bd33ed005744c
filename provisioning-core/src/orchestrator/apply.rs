//! The one way a host's state changes: load, step, commit; on a stale revision, again.

use tracing::Instrument as _;

use super::{Orchestrator, spans};
use crate::machine::{Effect, Event, EventKind, HostState, Illegal, Outcome, Phase, WorkKind, step};
use crate::model::{Artefact, Host, HostId, Operation, Timestamp};
use crate::ports::{Change, Happening, HostRecord, NewEntry, Source, StoreError, Work, WorkId};

/// What goes into the store together with an event.
#[derive(Default)]
pub(super) struct Along {
    /// An operation that begins with the event.
    pub(super) operation: Option<Operation>,
    /// Texts to keep.
    pub(super) artefacts: Vec<Artefact>,
    /// What is journalled before the event, whatever it does.
    pub(super) notes: Vec<Happening>,
}

/// What applying an event did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// The state changed; this is the row since.
    Moved(Box<HostRecord>),
    /// It did not, and that is in order.
    Ignored,
    /// The event cannot happen in this state.
    Refused(Illegal),
}

impl Orchestrator {
    /// Applies an event to a host and writes down what it did.
    pub(super) async fn apply(
        &self,
        host: HostId,
        event: &Event,
        source: Source,
        along: &Along,
    ) -> Result<Applied, StoreError> {
        self.apply_now(host, None, event, source, along).instrument(spans::applied(event)).await
    }

    /// The same for who has just read the host's row: it is read again only if it is no longer what is stored.
    pub(super) async fn apply_to(
        &self,
        record: HostRecord,
        event: &Event,
        source: Source,
        along: &Along,
    ) -> Result<Applied, StoreError> {
        self.apply_now(record.host.id, Some(record), event, source, along).instrument(spans::applied(event)).await
    }

    async fn apply_now(
        &self,
        host: HostId,
        mut known: Option<HostRecord>,
        event: &Event,
        source: Source,
        along: &Along,
    ) -> Result<Applied, StoreError> {
        loop {
            let record = match known.take() {
                Some(record) => record,
                None => self.ports.store.host(host).await?.ok_or(StoreError::NoSuchHost(host))?,
            };
            // The event may be of an operation that ended long ago: its own is told, not the host's.
            spans::is_about_host(&record);
            let at = self.ports.clock.now();
            let entry = |what| NewEntry { at, host: Some(host), operation: Some(event.operation), source, what };
            let phase = record.state.phase();
            let (what, applied) = match step(&record.state, event, at, &self.policy) {
                Ok(Outcome::Advanced(transition)) => {
                    let to = transition.next.phase();
                    let moved = entry(Happening::Moved { event: event.kind.clone(), from: phase, to });
                    let mut change = change_of(&record, event, transition.next, &transition.effects, at, along);
                    change.journal = along.notes.iter().cloned().map(entry).chain([moved]).collect();
                    let (host_now, state) = (change.host.clone(), change.state.clone());
                    match self.ports.store.commit(change).await {
                        Ok(committed) => {
                            tell(&event.kind, phase, to);
                            self.after_commit(&transition.effects, committed.last_seq);
                            let revision = committed.revision;
                            return Ok(Applied::Moved(Box::new(HostRecord { host: host_now, state, revision })));
                        }
                        Err(StoreError::Stale { .. }) => continue,
                        Err(error) => {
                            // A commit can have been done although it failed: the loop looks for itself.
                            self.ring_for_boot();
                            return Err(error);
                        }
                    }
                }
                Ok(Outcome::Ignored(why)) => {
                    tracing::debug!(?why, phase = phase.as_str(), "an event changes nothing");
                    (Happening::EventIgnored { event: event.kind.clone(), why, phase }, Applied::Ignored)
                }
                Err(illegal) => {
                    tracing::debug!(phase = phase.as_str(), "an event is refused: it cannot happen in this phase");
                    (Happening::EventRefused { event: event.kind.clone(), phase }, Applied::Refused(illegal))
                }
            };
            let whats = along.notes.iter().cloned().chain([what]);
            self.note_all(event.kind.as_str(), Some(host), at, whats.map(entry)).await?;
            return Ok(applied);
        }
    }

    /// Writes a journal entry that changes nothing, at most once a minute per host and kind; whether it did.
    pub(super) async fn note(&self, kind: &'static str, entry: NewEntry) -> Result<bool, StoreError> {
        let (host, at) = (entry.host, entry.at);
        self.note_all(kind, host, at, [entry]).await
    }

    /// The same of entries that belong together; they are not made unless they are written.
    async fn note_all(
        &self,
        kind: &'static str,
        host: Option<HostId>,
        at: Timestamp,
        entries: impl IntoIterator<Item = NewEntry>,
    ) -> Result<bool, StoreError> {
        if !self.damper.lets_through(host, kind, at) {
            return Ok(false);
        }
        self.write_down(entries.into_iter().collect()).await?;
        Ok(true)
    }

    fn after_commit(&self, effects: &[Effect], last_seq: u64) {
        if effects.contains(&Effect::SyncBoot) {
            self.ring_for_boot();
        }
        self.heard_of(last_seq);
    }
}

/// The line of the log that tells of a move; the journal has the whole of it.
fn tell(event: &EventKind, from: Phase, to: Phase) {
    let (from, to) = (from.as_str(), to.as_str());
    match event {
        EventKind::StepFailed { step, why } => {
            tracing::warn!(from, ?step, reason = why.as_str(), %why, "the operation has failed");
        }
        EventKind::Expired { last_error } => {
            tracing::warn!(from, last_error, "the operation has failed: the time for this stage ran out");
        }
        EventKind::Cancelled => tracing::info!(from, "the operation was cancelled"),
        _ if to == Phase::Ready.as_str() => tracing::info!(from, "the host is ready"),
        _ => tracing::info!(from, to, "the host moves on"),
    }
}

fn change_of(
    record: &HostRecord,
    event: &Event,
    next: HostState,
    effects: &[Effect],
    at: Timestamp,
    along: &Along,
) -> Change {
    let host = host_knowing(&record.host, &next);
    let mut change = Change::to(host, next, Some(record.revision));
    change.operation.clone_from(&along.operation);
    change.artefacts = along.artefacts.iter().map(|artefact| (event.operation, artefact.clone())).collect();
    // What is owed is a matter of the phase: the work of the one before is void.
    change.settle = WorkKind::ALL.map(|kind| WorkId { operation: event.operation, kind }).to_vec();
    change.owe = effects.iter().filter_map(|effect| owed(record.host.id, effect, at)).collect();
    change
}

fn owed(host: HostId, effect: &Effect, at: Timestamp) -> Option<Work> {
    match *effect {
        Effect::SyncBoot => None,
        Effect::Work { operation, kind, due } => {
            let id = WorkId { operation, kind };
            Some(Work { id, host, due: due.max(at), attempts: 0, last_error: None })
        }
    }
}

/// What the host's record learns from its state.
fn host_knowing(host: &Host, next: &HostState) -> Host {
    let mut host = host.clone();
    match next {
        HostState::Provisioning { run, .. } => {
            if run.contact.hardware_id.is_some() {
                host.hardware_id.clone_from(&run.contact.hardware_id);
            }
        }
        HostState::Ready { since, .. } => host.last_ready_at = Some(*since),
        HostState::Registered | HostState::Failed { .. } => {}
    }
    host
}
