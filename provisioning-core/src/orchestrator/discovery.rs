//! The discovered machines: remembered here while they speak, written down by the clockwork every few seconds.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::Orchestrator;
use super::error::OperatorError;
use super::operators::NewHost;
use crate::model::{MacAddr, Timestamp};
use crate::netboot::{DISCOVERED_MAX, DISMISSED_FOR, DiscoveredMachine, Glimpse};
use crate::ports::{Happening, HostRecord, NewEntry, Source, StoreError};

/// How often a machine's row is written at most. What happens within is lost with the process; that a machine was
/// seen at all is written at once.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// After so long a silence a machine is read from the store again.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);
/// Discoveries that are journalled in a minute; beyond these a machine only gets its row. Whoever invents addresses
/// shall not fill the journal.
const ANNOUNCED_MAX: usize = 120;
/// Machines that are remembered at once; what is beyond has to speak again later.
const REMEMBERED_MAX: usize = DISCOVERED_MAX;

/// The machines that speak at the moment.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    memory: Mutex<Memory>,
    /// One writer at a time, so that an older row never takes a newer one's place.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Memory {
    machines: BTreeMap<MacAddr, Remembered>,
    /// When discoveries were journalled last.
    announced: Vec<Timestamp>,
}

#[derive(Clone, Debug)]
struct Remembered {
    machine: DiscoveredMachine,
    /// There is no row of it, or it was dismissed so long ago that it is news again.
    is_news: bool,
    /// Since when the row does not say all.
    changed: bool,
    written_at: Option<Timestamp>,
}

impl Remembered {
    fn due(&self) -> Option<Timestamp> {
        self.changed.then(|| self.written_at.map_or(self.machine.first_seen_at, |at| at + WRITE_EVERY))
    }
}

impl Discovery {
    /// Counts a repeat of a machine that is remembered. `true` when it has to be written since.
    pub(super) fn repeat(&self, mac: MacAddr, glimpse: Glimpse) -> bool {
        let mut memory = self.memory();
        let Some(known) = memory.machines.get_mut(&mac) else { return false };
        known.is_news |= known.machine.learn(glimpse);
        !std::mem::replace(&mut known.changed, true)
    }

    fn learn(&self, mac: MacAddr, stored: Option<DiscoveredMachine>, glimpse: Glimpse) {
        let at = glimpse.at;
        let mut memory = self.memory();
        if !memory.machines.contains_key(&mac) {
            memory.machines.retain(|_, known| known.changed || at.since(known.machine.last_seen_at) < REMEMBERED_FOR);
            if memory.machines.len() >= REMEMBERED_MAX {
                return;
            }
        }
        let is_new = stored.is_none();
        let known = memory.machines.entry(mac).or_insert_with(|| Remembered {
            machine: stored.unwrap_or_else(|| DiscoveredMachine::new(mac, at)),
            is_news: is_new,
            changed: false,
            written_at: None,
        });
        known.is_news |= known.machine.learn(glimpse);
        known.changed = true;
    }

    /// Forgets machines that have become hosts.
    pub(super) fn forget(&self, macs: &[MacAddr]) {
        self.memory().machines.retain(|mac, _| !macs.contains(mac));
    }

    fn remembered(&self, mac: MacAddr) -> Option<DiscoveredMachine> {
        self.memory().machines.get(&mac).map(|known| known.machine.clone())
    }

    /// The machines to be written at `at`, and when the next one is.
    fn due(&self, at: Timestamp) -> (Vec<MacAddr>, Option<Timestamp>) {
        let memory = self.memory();
        let due = |known: &Remembered| known.due().filter(|due| *due <= at);
        let now = memory.machines.iter().filter(|(_, known)| due(known).is_some()).map(|(mac, _)| *mac).collect();
        let next = memory.machines.values().filter_map(Remembered::due).filter(|due| *due > at).min();
        (now, next)
    }

    /// A machine as it is to be written, and whether that is to be journalled.
    fn take(&self, mac: MacAddr, at: Timestamp) -> Option<(DiscoveredMachine, bool)> {
        let mut memory = self.memory();
        memory.announced.retain(|before| at.since(*before) < Duration::from_secs(60));
        let has_room = memory.announced.len() < ANNOUNCED_MAX;
        let known = memory.machines.get_mut(&mac)?;
        let is_announced = known.is_news && has_room;
        (known.changed, known.written_at) = (false, Some(at));
        let machine = known.machine.clone();
        if is_announced {
            memory.announced.push(at);
        }
        Some((machine, is_announced))
    }

    fn written(&self, mac: MacAddr, outcome: &Result<bool, StoreError>) {
        let mut memory = self.memory();
        match outcome {
            Ok(true) => memory.machines.get_mut(&mac).into_iter().for_each(|known| known.is_news = false),
            // It is a host's since.
            Ok(false) => drop(memory.machines.remove(&mac)),
            Err(_) => memory.machines.get_mut(&mac).into_iter().for_each(|known| known.changed = true),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("no caller panics while it holds the discovered machines")
    }
}

impl Orchestrator {
    /// The machines that were seen and belong to no host, the one seen last first. Dismissed ones are among them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn discovered(&self) -> Result<Vec<DiscoveredMachine>, StoreError> {
        let mut machines = self.ports.store.discovered().await?;
        let mut remembered: BTreeMap<MacAddr, DiscoveredMachine> =
            self.discovery.memory().machines.values().map(|known| (known.machine.mac, known.machine.clone())).collect();
        for machine in &mut machines {
            if let Some(newer) = remembered.remove(&machine.mac) {
                *machine = newer;
            }
        }
        for (mac, machine) in remembered {
            // Not yet written; or a host's, or displaced, since it was read.
            if self.ports.store.host_by_mac(mac).await?.is_none() {
                machines.push(machine);
            }
        }
        machines.sort_by_key(|machine| (std::cmp::Reverse(machine.last_seen_at), machine.mac));
        Ok(machines)
    }

    /// A discovered machine.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn discovered_machine(&self, mac: MacAddr) -> Result<Option<DiscoveredMachine>, StoreError> {
        match self.discovery.remembered(mac) {
            Some(machine) => Ok(Some(machine)),
            None => self.ports.store.discovered_by_mac(mac).await,
        }
    }

    /// Makes a host of a discovered machine. `new.macs` begins with its address.
    ///
    /// # Errors
    /// `NotDiscovered`, and as [`register`](Self::register).
    pub async fn adopt(&self, mac: MacAddr, new: NewHost) -> Result<HostRecord, OperatorError> {
        if self.discovered_machine(mac).await?.is_none() {
            return Err(OperatorError::NotDiscovered(mac));
        }
        let adopted = Happening::MachineAdopted { mac, name: new.name.clone() };
        self.register_with(new, vec![adopted]).await
    }

    /// Hides a discovered machine for [`DISMISSED_FOR`]; when it is seen after that, it is discovered anew. Doing so
    /// twice begins the time anew.
    ///
    /// # Errors
    /// `NotDiscovered`, `Store`.
    pub async fn dismiss(&self, mac: MacAddr) -> Result<DiscoveredMachine, OperatorError> {
        let _writing = self.discovery.writing.lock().await;
        let at = self.ports.clock.now();
        let mut machine = self.discovered_machine(mac).await?.ok_or(OperatorError::NotDiscovered(mac))?;
        machine.dismissed_until = Some(at + DISMISSED_FOR);
        let what = Happening::MachineDismissed { mac };
        let entry = NewEntry { at, host: None, operation: None, source: Source::Operator, what };
        if !self.ports.store.keep_discovered(&machine, DISCOVERED_MAX, Some(entry)).await? {
            return Err(OperatorError::NotDiscovered(mac));
        }
        if let Some(known) = self.discovery.memory().machines.get_mut(&mac) {
            known.machine.dismissed_until = machine.dismissed_until;
            known.is_news = false;
        }
        self.heed_store().await?;
        Ok(machine)
    }

    /// Remembers a glimpse of a machine that belongs to no host.
    pub(super) async fn discovered_now(&self, mac: MacAddr, glimpse: Glimpse) -> Result<(), StoreError> {
        let stored = match self.discovery.remembered(mac) {
            Some(machine) => Some(machine),
            None => self.ports.store.discovered_by_mac(mac).await?,
        };
        self.discovery.learn(mac, stored, glimpse);
        self.bell.notify_one();
        Ok(())
    }

    /// Writes the discovered machines that are due; tells when the next one is.
    pub(super) async fn write_discovered(&self) -> Option<Timestamp> {
        let _writing = self.discovery.writing.lock().await;
        let at = self.ports.clock.now();
        let (due, next) = self.discovery.due(at);
        for mac in due {
            let Some((machine, is_announced)) = self.discovery.take(mac, at) else { continue };
            let what = Happening::MachineDiscovered { mac, address: machine.address, arch: machine.arch };
            let entry = NewEntry { at, host: None, operation: None, source: Source::BootServer, what };
            let entry = is_announced.then_some(entry);
            let outcome = self.ports.store.keep_discovered(&machine, DISCOVERED_MAX, entry).await;
            self.discovery.written(mac, &outcome);
            if let Err(error) = outcome {
                tracing::warn!(%mac, %error, "could not write down a discovered machine, trying again");
                return Some(at + WRITE_EVERY);
            }
            if is_announced && let Err(error) = self.heed_store().await {
                tracing::warn!(%error, "could not tell of a discovered machine yet");
            }
        }
        next
    }
}
