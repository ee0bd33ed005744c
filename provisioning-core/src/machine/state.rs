//! Where a host is in its life. States that make no sense cannot be written down.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::reason::FailureReason;
use crate::model::{HardwareId, OperationId, SshPublicKey, Timestamp};

/// A host's state. It has an operation exactly while it is being provisioned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum HostState {
    /// Known, and nothing was ever asked of it.
    Registered,
    /// An operation runs.
    Provisioning {
        /// The stage it is in.
        leg: Leg,
        /// The operation, and what it waits for.
        run: Run,
    },
    /// A member of its cluster, or a standalone host that was set up.
    Ready {
        /// The operation that brought it here.
        by: OperationId,
        /// Since when.
        since: Timestamp,
    },
    /// An operation ended without reaching ready.
    Failed {
        /// The operation.
        by: OperationId,
        /// The stage it ended in.
        during: Leg,
        /// Why.
        why: FailureReason,
        /// Since when.
        since: Timestamp,
        /// Until when the join can be resumed without reinstalling; the one-time key is kept as long.
        resumable_until: Option<Timestamp>,
        /// How the host was reached: what a resumed join needs.
        contact: Contact,
    },
}

/// A stage of a running operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// Armed: waits for the machine to netboot.
    PxeReady,
    /// Has its boot script: downloads, boots the installer.
    PxeBooted,
    /// Has its answer: writes its disks.
    Installing,
    /// Reported its installation: reboots from disk.
    Installed,
    /// Phoned home: waits for its SSH server to let us in.
    FirstBoot,
    /// We are on it.
    Joining(JoinStep),
}

/// What is being done on a host that we can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinStep {
    /// `pvecm add`, and proof of membership.
    Join,
    /// The one-time key is removed, and proven to open nothing any more.
    RevokeKey,
    /// The inventory service learns of it.
    Register,
}

/// A running operation as the machine sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Which.
    pub operation: OperationId,
    /// When the present leg was entered.
    pub since: Timestamp,
    /// When the present leg is given up; `None` waits without limit (for a person to power the machine on, or
    /// for the join slot).
    pub deadline: Option<Timestamp>,
    /// How to reach the host, as far as it has said.
    pub contact: Contact,
    /// In `installing`: the installer has fetched its first-boot script. It does so right before it writes the
    /// disks (`reference/first-boot.md`), so that without it they are untouched.
    #[serde(default)]
    pub writes_disks: bool,
}

impl Run {
    /// A run that enters a leg knowing nothing.
    pub fn new(operation: OperationId, since: Timestamp, deadline: Option<Timestamp>) -> Self {
        Self { operation, since, deadline, contact: Contact::default(), writes_disks: false }
    }
}

/// How to reach a host, and how to know that it is the one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Where it answers.
    pub address: Option<IpAddr>,
    /// The SSH host keys it may show: the pin.
    pub host_keys: Vec<SshPublicKey>,
    /// DMI uuid or serial.
    pub hardware_id: Option<HardwareId>,
}

/// The nine public names of a host's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// See [`HostState::Registered`].
    Registered,
    /// See [`Leg::PxeReady`].
    PxeReady,
    /// See [`Leg::PxeBooted`].
    PxeBooted,
    /// See [`Leg::Installing`].
    Installing,
    /// See [`Leg::Installed`].
    Installed,
    /// See [`Leg::FirstBoot`].
    FirstBoot,
    /// See [`Leg::Joining`].
    Joining,
    /// See [`HostState::Ready`].
    Ready,
    /// See [`HostState::Failed`].
    Failed,
}

impl Phase {
    /// All nine, in the order of a life.
    pub const ALL: [Self; 9] = [
        Self::Registered,
        Self::PxeReady,
        Self::PxeBooted,
        Self::Installing,
        Self::Installed,
        Self::FirstBoot,
        Self::Joining,
        Self::Ready,
        Self::Failed,
    ];

    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::PxeReady => "pxe_ready",
            Self::PxeBooted => "pxe_booted",
            Self::Installing => "installing",
            Self::Installed => "installed",
            Self::FirstBoot => "first_boot",
            Self::Joining => "joining",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Leg {
    /// The leg's public name.
    pub fn phase(self) -> Phase {
        match self {
            Self::PxeReady => Phase::PxeReady,
            Self::PxeBooted => Phase::PxeBooted,
            Self::Installing => Phase::Installing,
            Self::Installed => Phase::Installed,
            Self::FirstBoot => Phase::FirstBoot,
            Self::Joining(_) => Phase::Joining,
        }
    }
}

impl HostState {
    /// The state's public name.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Registered => Phase::Registered,
            Self::Provisioning { leg, .. } => leg.phase(),
            Self::Ready { .. } => Phase::Ready,
            Self::Failed { .. } => Phase::Failed,
        }
    }

    /// The operation that runs now.
    pub fn running(&self) -> Option<OperationId> {
        match self {
            Self::Provisioning { run, .. } => Some(run.operation),
            Self::Registered | Self::Ready { .. } | Self::Failed { .. } => None,
        }
    }

    /// The operation that runs or was the last to run.
    pub fn operation(&self) -> Option<OperationId> {
        match self {
            Self::Registered => None,
            Self::Provisioning { run, .. } => Some(run.operation),
            Self::Ready { by, .. } | Self::Failed { by, .. } => Some(*by),
        }
    }

    /// When the present leg is given up.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Provisioning { run, .. } => run.deadline,
            Self::Registered | Self::Ready { .. } | Self::Failed { .. } => None,
        }
    }

    /// Since when it has been so; `None` for a host that was only registered.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Registered => None,
            Self::Provisioning { run, .. } => Some(run.since),
            Self::Ready { since, .. } | Self::Failed { since, .. } => Some(*since),
        }
    }
}
