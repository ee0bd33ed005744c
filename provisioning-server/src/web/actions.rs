//! What can be done with a host now, and why the rest cannot.

use provisioning_core::machine::HostState;
use provisioning_core::model::Timestamp;

/// A button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action {
    /// What the scripts know it by.
    pub(super) key: &'static str,
    /// What it says.
    pub(super) label: &'static str,
    /// Why it cannot be pressed; `None` when it can.
    pub(super) refused: Option<&'static str>,
}

impl Action {
    pub(super) fn is_possible(&self) -> bool {
        self.refused.is_none()
    }

    /// Whether a form asks first, on a page of its own or in a dialog; the others are done at once.
    pub(super) fn is_asked(&self) -> bool {
        self.key != "resume"
    }
}

/// All actions in the order of their buttons.
pub(super) fn actions(state: &HostState, now: Timestamp, has_image: bool) -> [Action; 5] {
    let is_running = matches!(state, HostState::Provisioning { .. });
    let busy = is_running.then_some("an operation is running; cancel it first");
    let rebuild = busy.or((!has_image).then_some("no image was imported yet"));
    let cancel = (!is_running).then_some("no operation is running");
    [
        Action { key: "rebuild", label: "Rebuild", refused: rebuild },
        Action { key: "cancel", label: "Cancel", refused: cancel },
        Action { key: "resume", label: "Resume join", refused: not_resumable(state, now) },
        Action { key: "edit", label: "Edit", refused: busy },
        Action { key: "remove", label: "Remove", refused: busy },
    ]
}

fn not_resumable(state: &HostState, now: Timestamp) -> Option<&'static str> {
    match state {
        HostState::Failed { resumable_until: Some(until), .. } if now < *until => None,
        HostState::Failed { resumable_until: Some(_), .. } => Some("the time to resume is over; rebuild it"),
        HostState::Failed { resumable_until: None, .. } => {
            Some("it failed before the join began, or was cancelled; rebuild it")
        }
        HostState::Registered | HostState::Provisioning { .. } | HostState::Ready { .. } => {
            Some("only a failed join can be resumed")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning_core::machine::{Contact, FailureReason, JoinStep, Leg, Run};
    use provisioning_core::model::OperationId;

    fn possible(state: &HostState, now: i64, has_image: bool) -> Vec<&'static str> {
        let actions = actions(state, Timestamp::from_millis(now), has_image);
        actions.iter().filter(|action| action.is_possible()).map(|action| action.key).collect()
    }

    #[test]
    fn each_state_allows_what_the_orchestrator_would_accept() {
        let by = OperationId::from_bytes([1; 16]);
        let since = Timestamp::from_millis(0);
        let run = Run::new(by, since, None);
        let running = HostState::Provisioning { leg: Leg::PxeReady, run };
        let failed = |resumable_until| HostState::Failed {
            by,
            during: Leg::Joining(JoinStep::Join),
            why: FailureReason::KeyLost,
            since,
            resumable_until,
            contact: Contact::default(),
        };
        let until = Some(Timestamp::from_millis(100));

        assert_eq!(possible(&HostState::Registered, 0, true), ["rebuild", "edit", "remove"]);
        assert_eq!(possible(&HostState::Registered, 0, false), ["edit", "remove"]);
        assert_eq!(possible(&running, 0, true), ["cancel"]);
        assert_eq!(possible(&failed(until), 99, true), ["rebuild", "resume", "edit", "remove"]);
        assert_eq!(possible(&failed(until), 100, true), ["rebuild", "edit", "remove"]);
        assert_eq!(possible(&failed(None), 0, true), ["rebuild", "edit", "remove"]);
        assert_eq!(possible(&HostState::Ready { by, since }, 0, true), ["rebuild", "edit", "remove"]);
    }
}
