//! A seat: a place in the site with a machine in it, and what is on that machine's disk.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use provisioning_core::model::{HostId, Hostname, MacAddr, OperationId, SshPublicKey};
use tokio::sync::Notify;

use super::state::lock;
use crate::real::node::SimNode;

/// A place with a machine in it.
pub(crate) struct Seat {
    pub(crate) number: u16,
    pub(crate) name: Hostname,
    pub(crate) mac: MacAddr,
    pub(crate) address: IpAddr,
    /// Rings when the host's row changes.
    pub(crate) row_bell: Notify,
    /// Somebody presses the power button.
    pub(crate) button: Notify,
    pub(crate) state: Mutex<SeatState>,
}

/// What changes about a seat.
#[derive(Default)]
pub(crate) struct SeatState {
    pub(crate) id: Option<HostId>,
    pub(crate) system: Option<System>,
    /// Until when nobody answers at its SSH port, in time since the world began.
    pub(crate) silent_until: Duration,
    /// Until when another machine answers there.
    pub(crate) foreign_until: Duration,
}

/// What is on a machine's disk.
#[derive(Clone)]
pub(crate) struct System {
    pub(crate) operation: OperationId,
    pub(crate) token: String,
    pub(crate) host_key: SshPublicKey,
    pub(crate) node: SimNode,
    pub(crate) has_phoned: bool,
}

impl Seat {
    pub(super) fn new(number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        Self {
            number,
            name: format!("pve-{number:02}").parse().expect("a host name"),
            mac: format!("52:54:00:00:{high:02x}:{low:02x}").parse().expect("a MAC address"),
            address: [10, 1, high, low].into(),
            row_bell: Notify::new(),
            button: Notify::new(),
            state: Mutex::default(),
        }
    }

    /// The host's id, once it is registered.
    pub(crate) fn id(&self) -> Option<HostId> {
        self.state().id
    }

    /// Whether the machine in it is an online member of the cluster.
    pub(crate) fn is_member(&self) -> bool {
        self.state().system.as_ref().is_some_and(|system| system.node.is_member())
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, SeatState> {
        lock(&self.state)
    }
}
