//! The table: what each event does in each state. Nothing else in the product makes a phase.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Effect, Event, EventKind, WorkKind};
use super::policy::Policy;
use super::reason::FailureReason;
use super::state::{Contact, HostState, JoinStep, Leg, Run};
use crate::model::{OperationId, Timestamp};

/// What an event did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The state changed.
    Advanced(Transition),
    /// Nothing changed, and that is in order: networks repeat themselves.
    Ignored(Ignored),
}

/// A change of state and what must be done because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The new state.
    pub next: HostState,
    /// What must be done.
    pub effects: Vec<Effect>,
}

/// Why an event changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ignored {
    /// It was known already.
    Duplicate,
    /// It belongs to another operation than the present one.
    OtherOperation,
    /// The deadline has not come yet.
    NotYetDue,
    /// The operation has ended.
    Ended,
}

/// The event cannot happen in this state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen while a host is {phase}")]
pub struct Illegal {
    /// The state's public name.
    pub phase: super::state::Phase,
    /// The event's name.
    pub event: &'static str,
}

/// Applies `event`, which came at `at`, to `state`.
///
/// # Errors
/// [`Illegal`] when the event cannot happen there; then nothing changes.
pub fn step(state: &HostState, event: &Event, at: Timestamp, policy: &Policy) -> Result<Outcome, Illegal> {
    let illegal = || Illegal { phase: state.phase(), event: event.kind.as_str() };
    match state {
        HostState::Registered => match event.kind {
            EventKind::Started => Ok(started(event.operation, at, None)),
            EventKind::Expired { .. }
            | EventKind::Cancelled
            | EventKind::StepFailed { .. }
            | EventKind::ClockLeapt { .. } => Ok(Outcome::Ignored(Ignored::OtherOperation)),
            _ => Err(illegal()),
        },
        HostState::Provisioning { leg, run } if run.operation == event.operation => {
            in_leg(*leg, run, &event.kind, at, policy).unwrap_or_else(|| Err(illegal()))
        }
        HostState::Provisioning { .. } => match event.kind {
            EventKind::Started => Err(illegal()),
            _ => Ok(Outcome::Ignored(Ignored::OtherOperation)),
        },
        HostState::Ready { by, .. } => Ok(after_the_end(*by, event, at, None)),
        HostState::Failed { by, during, resumable_until, contact, .. } => {
            let resumable = match (during, resumable_until) {
                (Leg::Joining(step), Some(until)) if at < *until => Some((*step, contact)),
                _ => None,
            };
            match (&event.kind, resumable) {
                (EventKind::Resumed, Some((step, contact))) if *by == event.operation => {
                    Ok(resumed(*by, step, contact, at, policy))
                }
                _ => Ok(after_the_end(*by, event, at, Some(*by))),
            }
        }
    }
}

/// One arm a line: legal edges, then the ways to fail, then repeats. `None` is illegal.
#[expect(clippy::match_same_arms, reason = "a line of the table per line of the match")]
fn in_leg(leg: Leg, run: &Run, event: &EventKind, at: Timestamp, policy: &Policy) -> Option<Result<Outcome, Illegal>> {
    use EventKind as E;
    use JoinStep::{Join, Register, RevokeKey};
    use Leg::{FirstBoot, Installed, Installing, Joining, PxeBooted, PxeReady};

    let to = |next: Leg| enter(next, run, run.contact.clone(), at, policy);
    let knowing = |next: Leg, news: &Contact| enter(next, run, merged(&run.contact, news), at, policy);
    let outcome = match (leg, event) {
        // where it is              what came                     where it goes
        (PxeReady, E::BootScriptFetched) => to(PxeBooted),
        (PxeReady | PxeBooted, E::AnswerFetched) => to(Installing),
        (Installing, E::InstallReported(news)) => knowing(Installed, news),
        (Installing | Installed, E::FirstBootReported(news)) => knowing(FirstBoot, news),
        (FirstBoot, E::ShellOpened) => to(Joining(Join)),
        (Joining(Join), E::StepDone { step: Join }) => to(Joining(RevokeKey)),
        (Joining(RevokeKey), E::StepDone { step: RevokeKey }) => to(Joining(Register)),
        (Joining(Register), E::StepDone { step: Register }) => ready(run, at),

        // the same leg, with another deadline
        (Installing, E::InstallerBegan) if !run.writes_disks => began(run, at, policy),
        (Installing, E::BootScriptFetched) => return Some(Ok(came_back(leg, run, at, policy))),
        (Joining(Join), E::JoinSlotGranted) if run.deadline.is_none() => slot_granted(leg, run, at, policy),
        (_, E::ClockLeapt { by_millis }) => moved_along(leg, run, *by_millis, at),

        // the ways to fail
        (_, E::Cancelled) => failed(leg, run, FailureReason::Cancelled, at, policy),
        (_, E::Expired { last_error }) => match run.deadline {
            Some(deadline) if at >= deadline => {
                failed(leg, run, FailureReason::DeadlinePassed { last_error: last_error.clone() }, at, policy)
            }
            _ => Outcome::Ignored(Ignored::NotYetDue),
        },
        (Joining(now), E::StepFailed { step, .. }) if *step < now => Outcome::Ignored(Ignored::Duplicate),
        (Joining(now), E::StepFailed { step, .. }) if *step > now => return None,
        (_, E::StepFailed { why, .. }) => failed(leg, run, why.clone(), at, policy),

        // repeats
        (_, E::Started) => Outcome::Ignored(Ignored::Duplicate),
        (Installing, E::InstallerBegan) => Outcome::Ignored(Ignored::Duplicate),
        (Joining(_), E::JoinSlotGranted | E::Resumed) => Outcome::Ignored(Ignored::Duplicate),
        (Joining(now), E::StepDone { step }) if *step < now => Outcome::Ignored(Ignored::Duplicate),
        (leg, event) if has_passed(leg, event) => Outcome::Ignored(Ignored::Duplicate),
        _ => return None,
    };
    Some(Ok(outcome))
}

/// Whether a machine's message belongs to a leg that lies behind.
fn has_passed(leg: Leg, event: &EventKind) -> bool {
    match event {
        EventKind::BootScriptFetched => leg > Leg::PxeReady,
        EventKind::AnswerFetched => leg > Leg::PxeBooted,
        EventKind::InstallerBegan | EventKind::InstallReported(_) => leg > Leg::Installing,
        EventKind::FirstBootReported(_) => leg > Leg::Installed,
        EventKind::ShellOpened => leg > Leg::FirstBoot,
        EventKind::Started
        | EventKind::JoinSlotGranted
        | EventKind::StepDone { .. }
        | EventKind::StepFailed { .. }
        | EventKind::Expired { .. }
        | EventKind::Cancelled
        | EventKind::Resumed
        | EventKind::ClockLeapt { .. } => false,
    }
}

/// What must be done in a phase, whichever way it was entered. A restart can ask again.
pub fn on_entry(state: &HostState, at: Timestamp) -> Vec<Effect> {
    let work = |operation: OperationId, kind: WorkKind, due: Timestamp| Effect::Work { operation, kind, due };
    match state {
        HostState::Registered => vec![Effect::SyncBoot],
        HostState::Provisioning { leg, run } => match leg {
            Leg::PxeReady | Leg::Installing => vec![Effect::SyncBoot],
            Leg::PxeBooted | Leg::Installed => vec![],
            Leg::FirstBoot => vec![work(run.operation, WorkKind::OpenShell, at)],
            Leg::Joining(JoinStep::Join) => vec![work(run.operation, WorkKind::Join, at)],
            Leg::Joining(JoinStep::RevokeKey) => vec![work(run.operation, WorkKind::RevokeKey, at)],
            Leg::Joining(JoinStep::Register) => vec![work(run.operation, WorkKind::Register, at)],
        },
        HostState::Ready { by, .. } => vec![Effect::SyncBoot, work(*by, WorkKind::EraseKey, at)],
        HostState::Failed { by, resumable_until, .. } => {
            vec![Effect::SyncBoot, work(*by, WorkKind::EraseKey, resumable_until.unwrap_or(at))]
        }
    }
}

fn advance(next: HostState, at: Timestamp) -> Outcome {
    let effects = on_entry(&next, at);
    Outcome::Advanced(Transition { next, effects })
}

/// A new operation; the key of a failed one before it is no longer of use and goes at once.
fn started(operation: OperationId, at: Timestamp, before: Option<OperationId>) -> Outcome {
    let next = HostState::Provisioning { leg: Leg::PxeReady, run: Run::new(operation, at, None) };
    let mut effects = on_entry(&next, at);
    effects.extend(before.map(|operation| Effect::Work { operation, kind: WorkKind::EraseKey, due: at }));
    Outcome::Advanced(Transition { next, effects })
}

fn enter(next: Leg, run: &Run, contact: Contact, at: Timestamp, policy: &Policy) -> Outcome {
    // The steps of a join are one leg with one deadline.
    let (since, deadline) = match next {
        Leg::Joining(JoinStep::RevokeKey | JoinStep::Register) => {
            (run.since, run.deadline.or(Some(at + policy.joining)))
        }
        _ => (at, policy.time_allowed(next).map(|time| at + time)),
    };
    let run = Run { contact, ..Run::new(run.operation, since, deadline) };
    advance(HostState::Provisioning { leg: next, run }, at)
}

/// The installer is at work, whatever was thought of it before: it has its full time.
fn began(run: &Run, at: Timestamp, policy: &Policy) -> Outcome {
    let run = Run { writes_disks: true, deadline: Some(at + policy.installing), ..run.clone() };
    advance(HostState::Provisioning { leg: Leg::Installing, run }, at)
}

/// A host that netboots while it should be writing its disks has lost its webhook or its installation, and needs no
/// more time than an installed one has to phone home. One whose installer never began has lost its answer.
fn came_back(leg: Leg, run: &Run, at: Timestamp, policy: &Policy) -> Outcome {
    let sooner = at + if run.writes_disks { policy.installed } else { policy.came_back };
    if run.deadline.is_some_and(|deadline| deadline <= sooner) {
        return Outcome::Ignored(Ignored::Duplicate);
    }
    let next = HostState::Provisioning { leg, run: Run { deadline: Some(sooner), ..run.clone() } };
    Outcome::Advanced(Transition { next, effects: vec![] })
}

/// A host has as much time as before, by a clock that was set meanwhile.
fn moved_along(leg: Leg, run: &Run, by_millis: i64, at: Timestamp) -> Outcome {
    let leap = Duration::from_millis(by_millis.unsigned_abs());
    let along = |at: Timestamp| if by_millis > 0 { at + leap } else { at - leap };
    let run = Run { since: along(run.since), deadline: run.deadline.map(along), ..run.clone() };
    // What the phase owes is due now: it may have been put off until a time of the clock before.
    advance(HostState::Provisioning { leg, run }, at)
}

/// The time of a join runs from here; its work was owed already.
fn slot_granted(leg: Leg, run: &Run, at: Timestamp, policy: &Policy) -> Outcome {
    let run = Run { deadline: Some(at + policy.joining), ..run.clone() };
    advance(HostState::Provisioning { leg, run }, at)
}

fn ready(run: &Run, at: Timestamp) -> Outcome {
    advance(HostState::Ready { by: run.operation, since: at }, at)
}

#[expect(clippy::match_same_arms, reason = "why a failure cannot be resumed differs")]
fn failed(leg: Leg, run: &Run, why: FailureReason, at: Timestamp, policy: &Policy) -> Outcome {
    let resumable_until = match (leg, &why) {
        (Leg::Joining(_), FailureReason::KeyLost | FailureReason::Cancelled | FailureReason::Restored) => None,
        (Leg::Joining(_), _) => Some(at + policy.resume_window),
        (Leg::PxeReady | Leg::PxeBooted | Leg::Installing | Leg::Installed | Leg::FirstBoot, _) => None,
    };
    let contact = run.contact.clone();
    advance(HostState::Failed { by: run.operation, during: leg, why, since: at, resumable_until, contact }, at)
}

fn resumed(operation: OperationId, step: JoinStep, contact: &Contact, at: Timestamp, policy: &Policy) -> Outcome {
    // A join waits for the slot again; later steps have nothing to wait for.
    let deadline = match step {
        JoinStep::Join => None,
        JoinStep::RevokeKey | JoinStep::Register => Some(at + policy.joining),
    };
    let run = Run { contact: contact.clone(), ..Run::new(operation, at, deadline) };
    advance(HostState::Provisioning { leg: Leg::Joining(step), run }, at)
}

fn after_the_end(by: OperationId, event: &Event, at: Timestamp, failed: Option<OperationId>) -> Outcome {
    match event.kind {
        EventKind::Started if event.operation == by => Outcome::Ignored(Ignored::Duplicate),
        EventKind::Started => started(event.operation, at, failed),
        _ if event.operation == by => Outcome::Ignored(Ignored::Ended),
        _ => Outcome::Ignored(Ignored::OtherOperation),
    }
}

/// Later news adds to what is known; the host keys of the webhook stay the pin when it brought any.
fn merged(known: &Contact, news: &Contact) -> Contact {
    Contact {
        address: news.address.or(known.address),
        host_keys: if known.host_keys.is_empty() { news.host_keys.clone() } else { known.host_keys.clone() },
        hardware_id: news.hardware_id.clone().or_else(|| known.hardware_id.clone()),
    }
}
