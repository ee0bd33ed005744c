//! What can happen to a host, and what must be done because of it. Both are data.

use serde::{Deserialize, Serialize};

use super::reason::FailureReason;
use super::state::{Contact, JoinStep};
use crate::model::{OperationId, Timestamp};

/// Something that happened, under the operation it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The operation it belongs to.
    pub operation: OperationId,
    /// What.
    pub kind: EventKind,
}

/// What happened. Variants are only ever added: they stand in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// An operator started the operation.
    Started,
    /// Firmware asked what to boot.
    BootScriptFetched,
    /// The installer was given its answer file.
    AnswerFetched,
    /// The installer fetched its first-boot script: it writes the disks next.
    InstallerBegan,
    /// The webhook told of the finished installation.
    InstallReported(Contact),
    /// The first-boot script phoned home.
    FirstBootReported(Contact),
    /// We logged in.
    ShellOpened,
    /// It is this host's turn to join; its time runs from now.
    JoinSlotGranted,
    /// A step on the host was done and proven.
    StepDone {
        /// Which.
        step: JoinStep,
    },
    /// A step failed in a way that trying again does not mend.
    StepFailed {
        /// Which.
        step: JoinStep,
        /// Why.
        why: FailureReason,
    },
    /// The leg's deadline has come.
    Expired {
        /// What the last try said, when something was being tried.
        last_error: Option<String>,
    },
    /// An operator ended the operation.
    Cancelled,
    /// An operator resumed a failed join.
    Resumed,
    /// The wall clock was set; times that were written down before move along.
    ClockLeapt {
        /// By how many milliseconds, forward or back.
        by_millis: i64,
    },
}

impl EventKind {
    /// The event's stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::BootScriptFetched => "boot_script_fetched",
            Self::AnswerFetched => "answer_fetched",
            Self::InstallerBegan => "installer_began",
            Self::InstallReported(_) => "install_reported",
            Self::FirstBootReported(_) => "first_boot_reported",
            Self::ShellOpened => "shell_opened",
            Self::JoinSlotGranted => "join_slot_granted",
            Self::StepDone { .. } => "step_done",
            Self::StepFailed { .. } => "step_failed",
            Self::Expired { .. } => "expired",
            Self::Cancelled => "cancelled",
            Self::Resumed => "resumed",
            Self::ClockLeapt { .. } => "clock_leapt",
        }
    }

    /// This event under an operation.
    pub fn of(self, operation: OperationId) -> Event {
        Event { operation, kind: self }
    }
}

/// What must be done because a phase was entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// What the boot server shall say may have changed: a doorbell, harmless to ring too often.
    SyncBoot,
    /// Work for the outbox, harmless to repeat.
    Work {
        /// For which operation.
        operation: OperationId,
        /// What.
        kind: WorkKind,
        /// Not before then.
        due: Timestamp,
    },
}

/// Work of the outbox. Each kind is owed at most once per operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkKind {
    /// Log in for the first time.
    OpenShell,
    /// Join the cluster.
    Join,
    /// Remove the one-time key from the host and prove it gone.
    RevokeKey,
    /// Tell the inventory service.
    Register,
    /// Erase the one-time key from the vault.
    EraseKey,
}

impl WorkKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::OpenShell, Self::Join, Self::RevokeKey, Self::Register, Self::EraseKey];

    /// The kind's stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenShell => "open_shell",
            Self::Join => "join",
            Self::RevokeKey => "revoke_key",
            Self::Register => "register",
            Self::EraseKey => "erase_key",
        }
    }
}
