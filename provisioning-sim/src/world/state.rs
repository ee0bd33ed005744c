//! The world's state, shared by all of its parts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::WorldClock;
use super::dice::Dice;
use super::fault::Fault;
use super::options::Options;
use super::plant::Plant;
use super::process::Process;
use super::record::{Record, at_once};
use super::seat::Seat;
use super::site;
use super::switch::Switch;
use crate::invariants::{ClusterView, Deed, NodeView, Scene};
use crate::real::cluster::SimCluster;
use provisioning_core::machine::{HostState, Policy};
use provisioning_core::memory::{MemoryStore, MemoryVault};
use provisioning_core::model::HostId;
use provisioning_core::ports::{Clock, JournalEntry, Store, Vault};

/// Everything.
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) plant: Plant,
    pub(crate) clock: WorldClock,
    pub(crate) store: MemoryStore,
    pub(crate) vault: MemoryVault,
    pub(crate) cluster: SimCluster,
    pub(crate) process: Process,
    pub(crate) seats: Vec<Seat>,
    /// Faults are over: everything shall heal.
    pub(crate) healing: Switch,
    /// A rule was broken, nothing else is of interest.
    pub(crate) stopped: Switch,
    record: Mutex<Record>,
    dice: Mutex<Dice>,
    scheduled: Mutex<VecDeque<(u16, Fault)>>,
    has_scheduled: AtomicBool,
    faults_on: AtomicBool,
    points: AtomicU64,
    inventory_back: Mutex<Duration>,
}

impl World {
    /// A world in which nothing has happened yet; make it inside a runtime whose time is paused.
    pub(crate) fn new(options: Options, plant: Plant) -> Arc<Self> {
        let clock = WorldClock::start();
        let scene = Scene {
            now: clock.now(),
            disturbed_at: clock.now(),
            policy: Policy::default(),
            hosts: BTreeMap::new(),
            work: vec![],
            held: vec![],
            plan: None,
            inventory: BTreeMap::new(),
            nodes: BTreeMap::new(),
            cluster: ClusterView::default(),
            secrets: site::secrets(),
        };
        Arc::new(Self {
            cluster: site::cluster(options.hosts),
            seats: (1..=options.hosts).map(Seat::new).collect(),
            dice: Mutex::new(Dice::new(options.seed).of(0)),
            scheduled: Mutex::new(options.scheduled.iter().copied().collect()),
            has_scheduled: AtomicBool::new(!options.scheduled.is_empty()),
            faults_on: AtomicBool::new(true),
            points: AtomicU64::new(0),
            inventory_back: Mutex::default(),
            record: Mutex::new(Record::new(scene)),
            store: MemoryStore::new(),
            vault: MemoryVault::default(),
            process: Process::default(),
            healing: Switch::default(),
            stopped: Switch::default(),
            clock,
            plant,
            options,
        })
    }

    /// A stream of chance of somebody's own.
    pub(crate) fn dice(&self, purpose: u64) -> Dice {
        Dice::new(self.options.seed).of(purpose)
    }

    /// Whether this goes wrong now. If it does, it is written down, and lasts for `lasts`.
    pub(crate) fn strikes(&self, seat: Option<&Seat>, fault: Fault, lasts: Duration) -> bool {
        if !self.faults_on.load(Ordering::SeqCst) {
            return false;
        }
        let happens = self.is_scheduled(seat, fault) || {
            let rate = self.options.faults.rate(fault);
            rate > 0 && lock(&self.dice).strikes(rate)
        };
        if happens {
            self.did(seat, fault, lasts);
        }
        happens
    }

    /// A wait of chance.
    pub(crate) fn draw_seconds(&self, from: u64, to: u64) -> Duration {
        lock(&self.dice).seconds(from, to)
    }

    fn is_scheduled(&self, seat: Option<&Seat>, fault: Fault) -> bool {
        if !self.has_scheduled.load(Ordering::SeqCst) {
            return false;
        }
        let mut scheduled = lock(&self.scheduled);
        let number = seat.map_or(0, |seat| seat.number);
        let found = scheduled.iter().position(|waiting| *waiting == (number, fault));
        found.and_then(|at| scheduled.remove(at)).is_some()
    }

    /// Makes something go wrong at its next occasion.
    pub(crate) fn schedule(&self, seat: Option<&Seat>, fault: Fault) {
        lock(&self.scheduled).push_back((seat.map_or(0, |seat| seat.number), fault));
        self.has_scheduled.store(true, Ordering::SeqCst);
    }

    /// Writes down that something went wrong.
    pub(crate) fn did(&self, seat: Option<&Seat>, fault: Fault, lasts: Duration) {
        let now = self.clock.now();
        let host = seat.and_then(Seat::id);
        if seat.is_some() && host.is_none() {
            return;
        }
        self.deed(Deed::Fault { host, fault, until: now + lasts });
    }

    /// The wall clock leaps, forward or back.
    pub(crate) fn leap(&self, millis: i64) {
        self.clock.leap(millis);
        let mut record = self.record();
        record.scene.now = self.clock.now();
        record.scene.disturbed_at = record.scene.now;
    }

    /// Nothing goes wrong any more, and what lasts is over.
    pub(crate) fn heal(&self) {
        self.faults_on.store(false, Ordering::SeqCst);
        *lock(&self.inventory_back) = Duration::ZERO;
        for seat in &self.seats {
            let mut state = lock(&seat.state);
            (state.silent_until, state.foreign_until) = (Duration::ZERO, Duration::ZERO);
        }
        self.healing.throw();
    }

    /// The number of the point that the process passes now.
    pub(crate) fn point(&self) -> u64 {
        self.points.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The inventory is gone for so long.
    pub(crate) fn inventory_goes(&self, time: Duration) {
        *lock(&self.inventory_back) = self.clock.elapsed() + time;
    }

    pub(crate) fn inventory_is_gone(&self) -> bool {
        self.clock.elapsed() < *lock(&self.inventory_back)
    }

    // The record

    /// Something happened.
    pub(crate) fn deed(&self, deed: Deed) {
        let now = self.clock.now();
        let mut record = self.record();
        record.deed(now, deed);
        self.stop_if_broken(&record);
    }

    /// The store was written.
    pub(crate) fn written(&self) {
        let (now, cluster) = (self.clock.now(), self.cluster_view());
        let mut record = self.record();
        let touched = record.written(now, &self.store, cluster, |host| self.node_view(host));
        for seat in self.seats.iter().filter(|seat| seat.id().is_some_and(|id| touched.contains(&id))) {
            seat.row_bell.notify_one();
        }
        self.stop_if_broken(&record);
    }

    /// The vault may hold other keys.
    pub(crate) fn vault_changed(&self) {
        self.record().scene.held = at_once(self.vault.held()).unwrap_or_default();
    }

    /// Looks at all that changes without the store.
    pub(crate) fn look(&self, quiet: bool) {
        let (now, cluster) = (self.clock.now(), self.cluster_view());
        let mut record = self.record();
        record.scene.now = now;
        record.scene.cluster = cluster;
        record.scene.held = at_once(self.vault.held()).unwrap_or_default();
        if quiet {
            for host in self.seats.iter().filter_map(Seat::id) {
                record.node(host, self.node_view(host));
            }
            record.quiet();
        } else {
            record.look();
        }
        self.stop_if_broken(&record);
    }

    /// A subscriber was given these.
    pub(crate) fn read(&self, entries: &[JournalEntry]) {
        let mut record = self.record();
        record.read(entries);
        self.stop_if_broken(&record);
    }

    /// Something that no rule of its own watches was broken.
    pub(crate) fn breaks(&self, rule: &'static str, how: String) {
        let mut record = self.record();
        record.breaks(rule, how);
        self.stop_if_broken(&record);
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        lock(&self.record)
    }

    /// How many points were passed.
    pub(crate) fn points(&self) -> u64 {
        self.points.load(Ordering::SeqCst)
    }

    fn stop_if_broken(&self, record: &Record) {
        if record.broken.is_some() {
            self.stopped.throw();
        }
    }

    fn cluster_view(&self) -> ClusterView {
        self.cluster.look(|state| ClusterView {
            joins_at_once_max: state.records().max_overlap,
            quorum_losses: state.records().quorum_losses,
        })
    }

    fn node_view(&self, host: HostId) -> Option<NodeView> {
        let seat = self.seats.iter().find(|seat| seat.id() == Some(host))?;
        let system = lock(&seat.state).system.clone()?;
        let key = at_once(self.store.operation(system.operation)).ok().flatten()?.public_key;
        let key_stands = !system.node.files_with(&key).is_empty() || self.cluster.holds_key(&key);
        let is_listed = self.cluster.look(|state| state.members().contains_key(&seat.name));
        let (installed_by, is_member) = (system.operation, system.node.is_member());
        Some(NodeView { installed_by, is_member, is_listed, key_stands })
    }

    // Questions

    /// A host's state, as the store has it.
    pub(crate) fn state(&self, seat: &Seat) -> Option<HostState> {
        let id = seat.id()?;
        self.record().scene.hosts.get(&id).map(|record| record.state.clone())
    }
}

/// Every change leaves the value whole, so a panic elsewhere does not spoil it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
