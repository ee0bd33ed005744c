//! Scenes and entries made by hand, for the rules' own tests.

use std::collections::BTreeMap;
use std::time::Duration;

use provisioning_core::machine::{Contact, EventKind, FailureReason, HostState, JoinStep, Leg, Phase, Policy, Run};
use provisioning_core::model::{Host, HostId, OperationId, Timestamp};
use provisioning_core::ports::{Happening, HostRecord, JournalEntry, Revision, Source};

use super::{ClusterView, Deed, Invariant, Scene, Seen};
use crate::world::Fault;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + seconds * 1_000)
}

pub(super) fn host() -> HostId {
    HostId::from_bytes([1; 16])
}

pub(super) fn operation(n: u8) -> OperationId {
    OperationId::from_bytes([n; 16])
}

pub(super) fn provisioning(leg: Leg) -> HostState {
    HostState::Provisioning { leg, run: Run::new(operation(1), at(0), None) }
}

pub(super) fn joining(step: JoinStep) -> HostState {
    provisioning(Leg::Joining(step))
}

pub(super) fn ready() -> HostState {
    HostState::Ready { by: operation(1), since: at(0) }
}

pub(super) fn scene(state: HostState) -> Scene {
    let name = "pve-01".parse().unwrap();
    let host_row = Host {
        id: host(),
        name,
        macs: vec!["52:54:00:00:00:01".parse().unwrap()],
        server_type: "mini".parse().unwrap(),
        address: None,
        hardware_id: None,
        last_ready_at: None,
        registered_at: at(0),
    };
    Scene {
        now: at(0),
        disturbed_at: at(0),
        policy: Policy::default(),
        hosts: BTreeMap::from([(host(), HostRecord { host: host_row, state, revision: Revision(1) })]),
        work: vec![],
        held: vec![],
        plan: None,
        inventory: BTreeMap::new(),
        nodes: BTreeMap::new(),
        cluster: ClusterView::default(),
        secrets: vec!["a secret".to_owned()],
    }
}

pub(super) fn entry(seq: u64, what: Happening) -> JournalEntry {
    JournalEntry {
        seq,
        at: at(0),
        host: Some(host()),
        operation: Some(operation(1)),
        source: Source::Provisioning,
        what,
    }
}

pub(super) fn moved(seq: u64, event: EventKind, from: Phase, to: Phase) -> JournalEntry {
    entry(seq, Happening::Moved { event, from, to })
}

pub(super) fn failed(why: FailureReason, during: Leg) -> HostState {
    HostState::Failed {
        by: operation(1),
        during,
        why,
        since: at(0),
        resumable_until: None,
        contact: Contact::default(),
    }
}

pub(super) fn fault(fault: Fault) -> Deed {
    Deed::Fault { host: Some(host()), fault, until: at(0) + Duration::from_secs(1) }
}

/// What a rule says of a deed.
pub(super) fn deed(rule: &mut dyn Invariant, deed: &Deed, scene: &Scene) -> super::Verdict {
    rule.see(Seen::Deed(deed), scene)
}
