//! What truly happened: the scene kept up to date, the deeds in order, and the rules that watch both.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use provisioning_core::machine::Phase;
use provisioning_core::memory::MemoryStore;
use provisioning_core::model::{HostId, Timestamp};
use provisioning_core::ports::{Happening, JournalEntry, JournalQuery, Store};

use super::fault::Fault;
use super::report::{Broken, Statistics};
use crate::invariants::{self, ClusterView, Deed, Invariant, NodeView, Scene, Seen};

/// The record of one run.
pub(crate) struct Record {
    pub(crate) scene: Scene,
    pub(crate) deeds: Vec<(Timestamp, u64, Deed)>,
    pub(crate) statistics: Statistics,
    pub(crate) broken: Option<Broken>,
    rules: Vec<Box<dyn Invariant>>,
    last_seq: u64,
}

/// Reads from a store in memory, which never waits.
pub(crate) fn at_once<T>(read: impl Future<Output = T>) -> T {
    read.now_or_never().expect("a store in memory never waits")
}

impl Record {
    pub(crate) fn new(scene: Scene) -> Self {
        Self {
            scene,
            deeds: vec![],
            statistics: Statistics::default(),
            broken: None,
            rules: invariants::all(),
            last_seq: 0,
        }
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Something happened in the world.
    pub(crate) fn deed(&mut self, at: Timestamp, deed: Deed) {
        self.scene.now = at;
        match &deed {
            Deed::Fault { fault, .. } => {
                *self.statistics.faults.entry(kind(*fault)).or_default() += 1;
                if !matches!(fault, Fault::LostRequest(_) | Fault::LostReply(_) | Fault::Doubled(_)) {
                    self.disturb_if(*fault, at);
                }
            }
            Deed::ProcessStarted => self.scene.disturbed_at = at,
            Deed::JoinStarted { .. } => self.statistics.joins += 1,
            Deed::Registered { host, operation } => {
                self.scene.inventory.insert(*host, *operation);
            }
            _ => {}
        }
        self.show(Seen::Deed(&deed));
        self.deeds.push((at, self.last_seq, deed));
    }

    /// Only what keeps the clockwork itself from its work excuses a late hour.
    fn disturb_if(&mut self, fault: Fault, at: Timestamp) {
        if matches!(
            fault,
            Fault::StoreFailed | Fault::StoreSlow | Fault::Crash | Fault::ClockForward | Fault::ClockBack
        ) || matches!(fault, Fault::BootServerFailed)
        {
            self.scene.disturbed_at = at;
        }
    }

    /// The store was written: reads what is new, and tells about which hosts. `node` gives the machines as they are.
    pub(crate) fn written(
        &mut self,
        at: Timestamp,
        store: &MemoryStore,
        cluster: ClusterView,
        node: impl Fn(HostId) -> Option<NodeView>,
    ) -> Vec<HostId> {
        self.statistics.commits += 1;
        self.scene.now = at;
        self.scene.cluster = cluster;
        let query = JournalQuery::after(self.last_seq, usize::MAX);
        let entries = at_once(store.journal(&query)).unwrap_or_default();
        let touched: Vec<HostId> = entries.iter().filter_map(|entry| entry.host).collect();
        for host in touched.iter().copied() {
            match at_once(store.host(host)).ok().flatten() {
                Some(record) => self.scene.hosts.insert(host, record),
                None => self.scene.hosts.remove(&host),
            };
        }
        self.scene.work = at_once(store.work()).unwrap_or_default();
        for entry in entries {
            self.entry(&entry, &node);
        }
        self.look();
        touched
    }

    fn entry(&mut self, entry: &JournalEntry, node: &impl Fn(HostId) -> Option<NodeView>) {
        self.last_seq = entry.seq;
        if let (Happening::Moved { to, .. }, Some(host)) = (&entry.what, entry.host) {
            match to {
                Phase::Ready => {
                    self.statistics.lives += 1;
                    self.node(host, node(host));
                }
                Phase::Failed => self.statistics.failures += 1,
                Phase::PxeReady => self.statistics.operations += 1,
                _ => {}
            }
        }
        self.show(Seen::Entry(entry));
    }

    pub(crate) fn node(&mut self, host: HostId, node: Option<NodeView>) {
        match node {
            Some(node) => self.scene.nodes.insert(host, node),
            None => self.scene.nodes.remove(&host),
        };
    }

    /// A subscriber was given these.
    pub(crate) fn read(&mut self, entries: &[JournalEntry]) {
        self.show(Seen::Read(entries));
    }

    fn show(&mut self, seen: Seen<'_>) {
        for rule in &mut self.rules {
            let verdict = rule.see(seen, &self.scene);
            note(&mut self.broken, rule.name(), verdict, self.scene.now);
        }
    }

    /// Lets every rule look at the whole.
    pub(crate) fn look(&mut self) {
        for rule in &mut self.rules {
            let verdict = rule.look(&self.scene);
            note(&mut self.broken, rule.name(), verdict, self.scene.now);
        }
    }

    /// Nothing moves any longer.
    pub(crate) fn quiet(&mut self) {
        for rule in &mut self.rules {
            let verdict = rule.look(&self.scene).and_then(|()| rule.quiet(&self.scene));
            note(&mut self.broken, rule.name(), verdict, self.scene.now);
        }
    }

    /// Something that no rule of its own watches was broken.
    pub(crate) fn breaks(&mut self, rule: &'static str, how: String) {
        let now = self.scene.now;
        note(&mut self.broken, rule, Err(how), now);
    }
}

/// Only the first breach counts: what follows it may be its consequence.
fn note(broken: &mut Option<Broken>, rule: &'static str, verdict: invariants::Verdict, at: Timestamp) {
    if let (Err(how), None) = (verdict, &broken) {
        *broken = Some(Broken { rule, how, at });
    }
}

/// Faults are counted by kind, not by message.
fn kind(fault: Fault) -> &'static str {
    match fault {
        Fault::LostRequest(_) => "lost request",
        Fault::LostReply(_) => "lost reply",
        Fault::Doubled(_) => "doubled request",
        Fault::Slow(_) => "slow message",
        Fault::Reset(_) => "connection reset by our death",
        Fault::Late(_) => "late message",
        Fault::BootLoop => "boot loop",
        Fault::PowerCut => "power cut",
        Fault::SshOutage => "ssh outage",
        Fault::SshCut => "ssh cut",
        Fault::ForeignHostKey => "foreign host key",
        Fault::JoinRefused => "join refused",
        Fault::JoinUnreachable => "join without a member",
        Fault::JoinDies => "join that half succeeds",
        Fault::JoinHangs => "join that hangs",
        Fault::JoinKilled => "join killed",
        Fault::KeysComeBack => "keys that come back",
        Fault::OldMembership => "old membership",
        Fault::QuorumLost => "quorum lost",
        Fault::StoreFailed => "store failed",
        Fault::StoreSlow => "store slow",
        Fault::VaultFailed => "vault failed",
        Fault::BootServerFailed => "boot server failed",
        Fault::InventoryFailed => "inventory failed",
        Fault::InventoryRefused => "inventory refused",
        Fault::InventoryOutage => "inventory outage",
        Fault::Crash => "process killed",
        Fault::ClockForward => "clock leapt",
        Fault::ClockBack => "clock went back",
    }
}

/// How often each kind of fault was done.
pub(crate) type FaultCount = BTreeMap<&'static str, u64>;
