//! What a phase is called, what a host in it waits for, and what happens when the time is up.

use provisioning_core::machine::{FailureReason, HostState, JoinStep, Leg, Phase, Policy};
use provisioning_core::model::Timestamp;
use provisioning_core::orchestrator::{JoinPlace, JoinWait};

use super::measures::span;

/// What the segments of the phase bar stand for.
pub(in crate::web) const STEPS: [&str; 7] =
    ["Registered", "Netbooting", "Downloading", "Installing", "First boot", "Joining", "Ready"];

/// The phase as a heading: what is going on, in a word or two.
pub fn phase_title(phase: Phase) -> &'static str {
    match phase {
        Phase::Registered => "Registered",
        Phase::PxeReady => "Waiting for power-on",
        Phase::PxeBooted => "Downloading",
        Phase::Installing => "Installing",
        Phase::Installed => "Restarting",
        Phase::FirstBoot => "First boot",
        Phase::Joining => "Joining",
        Phase::Ready => "Ready",
        Phase::Failed => "Failed",
    }
}

/// The segment of the phase bar, 1 to 7; a failed host stands where it failed.
pub(in crate::web) fn step_of(state: &HostState) -> usize {
    let phase = match state {
        HostState::Failed { during, .. } => during.phase(),
        other => other.phase(),
    };
    match phase {
        Phase::Registered | Phase::Failed => 1,
        Phase::PxeReady => 2,
        Phase::PxeBooted => 3,
        Phase::Installing => 4,
        Phase::Installed | Phase::FirstBoot => 5,
        Phase::Joining => 6,
        Phase::Ready => 7,
    }
}

/// What a host waits for, as a clause that a person can act on; fits after the host's name.
pub fn waiting_for(state: &HostState, now: Timestamp) -> String {
    match state {
        HostState::Registered => "waits for you: start a rebuild to install it".to_owned(),
        HostState::Provisioning { leg, run } => {
            let what = leg_waits_for(*leg, run.deadline.is_some());
            let is_over = run.deadline.is_some_and(|deadline| deadline <= now);
            if is_over { format!("{what}; its time is up") } else { what.to_owned() }
        }
        HostState::Ready { .. } => "waits for nothing: it is set up and in the inventory".to_owned(),
        HostState::Failed { resumable_until: Some(until), .. } if now < *until => {
            format!(
                "waits for you: mend the cause, then resume the join within {}, or rebuild it",
                span(until.since(now))
            )
        }
        HostState::Failed { .. } => "waits for you: mend the cause, then rebuild it".to_owned(),
    }
}

/// What a host waits for whose machine is held until others have downloaded, in the same form as [`waiting_for`].
pub fn waits_for_download(place: usize) -> String {
    format!("waits for a download slot, {} in line: it asks again by itself", ordinal(place))
}

/// What a host in the join lane waits for, in the same form as [`waiting_for`].
pub fn waits_in_lane(place: &JoinPlace) -> String {
    let line = format!("waits for the join slot, {} in line", ordinal(place.position));
    match &place.why {
        JoinWait::Nothing => line,
        JoinWait::Behind { name } => format!("{line}, behind node {name}"),
        JoinWait::GivenUpJoin { name, until } => {
            format!("{line}: the join of {name}, which was given up, may run until {until}")
        }
    }
}

fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (1, teen) if teen != 11 => "st",
        (2, teen) if teen != 12 => "nd",
        (3, teen) if teen != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn leg_waits_for(leg: Leg, has_deadline: bool) -> &'static str {
    match leg {
        Leg::PxeReady => "waits for the machine to netboot: power it on with network boot first",
        Leg::PxeBooted => "waits for the installer to load and to ask for its answer file",
        Leg::Installing => "waits for the installer to write the disks and to report",
        Leg::Installed => "waits for the machine to restart from its disk and to phone home",
        Leg::FirstBoot => "waits for the host's SSH server to let us in",
        Leg::Joining(JoinStep::Join) if has_deadline => "waits for the join to end and for proof of membership",
        Leg::Joining(JoinStep::Join) => "waits for its turn: hosts join the cluster one at a time",
        Leg::Joining(JoinStep::RevokeKey) => "waits for proof that the one-time key no longer opens it",
        Leg::Joining(JoinStep::Register) => "waits for the inventory service to take it in",
    }
}

/// What happens when the time that a host has in its state is over, as a clause.
pub fn what_happens_at_deadline(state: &HostState, policy: &Policy) -> String {
    match state {
        HostState::Provisioning { run, .. } if run.deadline.is_none() => "it waits without limit".to_owned(),
        HostState::Provisioning { leg: Leg::Joining(_), .. } => format!(
            "the operation fails; the join can then be resumed for {} without reinstalling",
            span(policy.resume_window)
        ),
        HostState::Provisioning { leg: Leg::Installing, .. } => {
            "the operation fails and the disks stay as the installer left them; a rebuild starts over".to_owned()
        }
        HostState::Provisioning { .. } => "the operation fails; a rebuild starts over".to_owned(),
        HostState::Failed { resumable_until: Some(_), .. } => {
            "the one-time key is erased, and only a rebuild can bring it to ready".to_owned()
        }
        HostState::Registered | HostState::Ready { .. } | HostState::Failed { .. } => {
            "nothing: it stays as it is".to_owned()
        }
    }
}

/// A failure in a few words.
pub(in crate::web) fn reason_title(why: &FailureReason) -> &'static str {
    match why {
        FailureReason::DeadlinePassed { .. } => "Time ran out",
        FailureReason::Cancelled => "Cancelled",
        FailureReason::NoHostKey => "No host key reported",
        FailureReason::HostKeyMismatch => "Another host key",
        FailureReason::KeyLost => "One-time key lost",
        FailureReason::Restored => "Ended by a restored backup",
        FailureReason::NameTaken { .. } => "Name taken in the cluster",
        FailureReason::JoinFailed { .. } => "Join failed",
        FailureReason::HalfJoined { .. } => "Half-joined",
        FailureReason::JoinUnfinished { .. } => "Join ended early",
        FailureReason::NoWitness { .. } => "Membership not confirmed",
        FailureReason::KeyStillOpens => "One-time key still opens it",
        FailureReason::InventoryRefused { .. } => "Refused by the inventory",
        FailureReason::Unexpected { .. } => "Unexpected",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning_core::machine::{Contact, Run};
    use provisioning_core::model::OperationId;

    const NOW: i64 = 1_000_000_000;

    fn at(offset_seconds: i64) -> Timestamp {
        Timestamp::from_millis(NOW + offset_seconds * 1000)
    }

    fn in_leg(leg: Leg, deadline: Option<Timestamp>) -> HostState {
        let operation = OperationId::from_bytes([1; 16]);
        HostState::Provisioning { leg, run: Run::new(operation, at(0), deadline) }
    }

    fn failed(resumable_until: Option<Timestamp>) -> HostState {
        let by = OperationId::from_bytes([1; 16]);
        let (during, why) = (Leg::Joining(JoinStep::Join), FailureReason::KeyLost);
        HostState::Failed { by, during, why, since: at(0), resumable_until, contact: Contact::default() }
    }

    #[test]
    fn an_armed_host_waits_for_a_person_without_limit() {
        let state = in_leg(Leg::PxeReady, None);
        let said = waiting_for(&state, at(0));
        assert_eq!(said, "waits for the machine to netboot: power it on with network boot first");
        assert_eq!(what_happens_at_deadline(&state, &Policy::default()), "it waits without limit");
    }

    #[test]
    fn a_host_in_the_queue_and_a_host_that_joins_wait_for_different_things() {
        let queued = waiting_for(&in_leg(Leg::Joining(JoinStep::Join), None), at(0));
        let joins = waiting_for(&in_leg(Leg::Joining(JoinStep::Join), Some(at(9))), at(0));
        assert!(queued.contains("its turn"), "{queued}");
        assert!(joins.contains("membership"), "{joins}");
    }

    #[test]
    fn a_place_in_the_lane_names_who_is_before_it() {
        let place = |position, why| JoinPlace {
            host: provisioning_core::model::HostId::from_bytes([1; 16]),
            name: "pve-07".parse().unwrap(),
            position,
            since: at(0),
            why,
        };
        let behind = JoinWait::Behind { name: "pve-06".parse().unwrap() };
        assert_eq!(waits_in_lane(&place(2, behind)), "waits for the join slot, 2nd in line, behind node pve-06");
        assert_eq!(waits_in_lane(&place(1, JoinWait::Nothing)), "waits for the join slot, 1st in line");
        assert_eq!([3, 11, 12, 13, 21, 111].map(ordinal), ["3rd", "11th", "12th", "13th", "21st", "111th"]);
    }

    #[test]
    fn a_host_whose_time_is_up_says_so() {
        let state = in_leg(Leg::Installing, Some(at(60)));
        assert!(!waiting_for(&state, at(59)).contains("time is up"));
        assert!(waiting_for(&state, at(60)).ends_with("; its time is up"));
    }

    #[test]
    fn a_failed_join_can_be_resumed_only_while_its_key_is_kept() {
        let state = failed(Some(at(120)));
        assert!(waiting_for(&state, at(0)).contains("resume the join within 2 min"));
        assert!(!waiting_for(&state, at(120)).contains("resume"));
        assert!(!waiting_for(&failed(None), at(0)).contains("resume"));
        assert!(what_happens_at_deadline(&state, &Policy::default()).contains("key is erased"));
    }

    #[test]
    fn a_failed_host_stands_on_the_bar_where_it_failed() {
        assert_eq!(STEPS[step_of(&failed(None)) - 1], "Joining");
        assert_eq!(STEPS[step_of(&HostState::Registered) - 1], "Registered");
        assert_eq!(STEPS[step_of(&in_leg(Leg::PxeBooted, None)) - 1], "Downloading");
    }
}
