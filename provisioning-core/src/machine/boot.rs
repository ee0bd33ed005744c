//! What a machine is told to boot, and whether its installer gets an answer.

use serde::{Deserialize, Serialize};

use super::policy::Policy;
use super::state::{HostState, Leg};
use crate::model::Timestamp;

/// What a netbooting machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootAnswer {
    /// The installer: the only answer that writes a disk.
    Installer,
    /// Its own disk.
    LocalDisk,
    /// Whatever its firmware tries next: nothing is known or asked of it.
    NextDevice,
}

/// The installer only while armed and before its answer was handed out; hence no reinstall loop.
pub fn boot_answer(state: &HostState) -> BootAnswer {
    match state {
        HostState::Registered => BootAnswer::NextDevice,
        HostState::Provisioning { leg: Leg::PxeReady | Leg::PxeBooted, .. } => BootAnswer::Installer,
        HostState::Provisioning {
            leg: Leg::Installing | Leg::Installed | Leg::FirstBoot | Leg::Joining(_), ..
        }
        | HostState::Ready { .. }
        | HostState::Failed { .. } => BootAnswer::LocalDisk,
    }
}

/// Whether an installer that identified itself gets the answer file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerDecision {
    /// Armed: the answer is handed out.
    Serve,
    /// Handed out a moment ago: the same request once more, and the same answer.
    ServeAgain,
    /// Handed out long ago: a second installer would write the disks a second time.
    AlreadyInstalled,
    /// No operation runs.
    NotArmed,
}

/// Decides on a request for the answer file that came at `at`.
pub fn answer_decision(state: &HostState, at: Timestamp, policy: &Policy) -> AnswerDecision {
    match state {
        HostState::Provisioning { leg: Leg::PxeReady | Leg::PxeBooted, .. } => AnswerDecision::Serve,
        HostState::Provisioning { leg: Leg::Installing, run } if at.since(run.since) < policy.answer_repeat => {
            AnswerDecision::ServeAgain
        }
        HostState::Provisioning {
            leg: Leg::Installing | Leg::Installed | Leg::FirstBoot | Leg::Joining(_), ..
        } => AnswerDecision::AlreadyInstalled,
        HostState::Registered | HostState::Ready { .. } | HostState::Failed { .. } => AnswerDecision::NotArmed,
    }
}
