//! The world as rules see it: plain values, so that a test can make any scene by hand.

use std::collections::BTreeMap;

use provisioning_core::machine::{BootAnswer, Policy};
use provisioning_core::model::{HostId, OperationId, Timestamp};
use provisioning_core::ports::{BootPlan, HostRecord, Work};

use crate::world::{Fault, Message};

/// The whole at one moment.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The wall clock.
    pub now: Timestamp,
    /// When the clock, the process or a port last kept our clockwork from its work.
    pub disturbed_at: Timestamp,
    /// The time limits in force.
    pub policy: Policy,
    /// The rows of all hosts.
    pub hosts: BTreeMap<HostId, HostRecord>,
    /// The outbox.
    pub work: Vec<Work>,
    /// Whose one-time keys are in the vault.
    pub held: Vec<OperationId>,
    /// The boot plan in force.
    pub plan: Option<BootPlan>,
    /// By which operation each host was last put into the inventory.
    pub inventory: BTreeMap<HostId, OperationId>,
    /// What the machines are; brought up to date for hosts that become ready, and when all is quiet.
    pub nodes: BTreeMap<HostId, NodeView>,
    /// The cluster.
    pub cluster: ClusterView,
    /// Texts that may stand nowhere but in the vault and on the wire.
    pub secrets: Vec<String>,
}

/// A machine as it truly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// By which operation its disk was written.
    pub installed_by: OperationId,
    /// Whether it is an online member of the cluster.
    pub is_member: bool,
    /// Whether the cluster lists it, online or not.
    pub is_listed: bool,
    /// Whether that operation's one-time key stands in any of its files, or in the cluster's.
    pub key_stands: bool,
}

/// The cluster as it truly is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// The most runs of `pvecm add` that were ever at work at once.
    pub joins_at_once_max: u32,
    /// How often it lost its quorum.
    pub quorum_losses: u32,
}

/// Something that happened in the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Something went wrong.
    Fault {
        /// On which host; `None` is the site.
        host: Option<HostId>,
        /// What.
        fault: Fault,
        /// Until when it lasts.
        until: Timestamp,
    },
    /// A machine sent a message of an operation, or the message can have arrived at least.
    Told {
        /// Which machine.
        host: HostId,
        /// The operation whose token it showed; `None` for firmware, which has none.
        operation: Option<OperationId>,
        /// What it sent.
        message: Message,
    },
    /// Firmware was told what to boot.
    BootAnswered {
        /// Which machine.
        host: HostId,
        /// The journal's last place when it asked.
        asked_after: u64,
        /// What it was told.
        answer: BootAnswer,
    },
    /// An installer wrote a machine's disk.
    DiskWritten {
        /// Which machine.
        host: HostId,
        /// By which operation's answer.
        operation: OperationId,
    },
    /// A run of `pvecm add` was started.
    JoinStarted {
        /// On which machine.
        host: HostId,
        /// By which operation.
        operation: OperationId,
        /// Whether the cluster was quorate.
        quorate: bool,
    },
    /// The inventory took a host in.
    Registered {
        /// Which.
        host: HostId,
        /// By which operation.
        operation: OperationId,
    },
    /// An operator cancelled what ran on a host.
    CancelAsked {
        /// On which host.
        host: HostId,
    },
    /// A person did something outside of our system.
    Person {
        /// To which machine.
        host: HostId,
        /// What.
        did: &'static str,
    },
    /// Our process started.
    ProcessStarted,
}
