//! A store with a fault that can be chosen, around one without.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use provisioning_core::conformance::StoreFixture;
use provisioning_core::machine::Phase;
use provisioning_core::memory::MemoryStore;
use provisioning_core::model::{
    Artefact, HostId, Hostname, Image, ImageId, MacAddr, Operation, OperationId, Timestamp,
};
use provisioning_core::netboot::DiscoveredMachine;
use provisioning_core::ports::{
    Change, Committed, HostFilter, HostRecord, JournalEntry, JournalQuery, NewEntry, Prune, Pruned, Revision, Store,
    StoreError, Work, WorkId,
};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    ForgetsTheOutbox,
    IgnoresRevisions,
    ReordersTheJournal,
    CommitsHalf,
    ListsHostsUnsorted,
    CountsTheRegisteredOnly,
    GivesAPlaceTwice,
    TearsAppendsApart,
    IgnoresTheOperationOfAQuery,
    ReadsForwardsOnly,
    LosesARowOnReopen,
    ReadsLate,
    SkipsRevisions,
    LetsHostsShareAnAddress,
    TakesWhateverComes,
    ListsWorkUnsorted,
    SettlesTwice,
    FindsTheOverdueLate,
    RemovesImagesInUse,
    KeepsAnImageTwice,
    ForgetsTheDefaultImage,
    ForgetsTheJournalOfTheRemoved,
    ListsDiscoveredUnsorted,
    DiscoversHosts,
    KeepsEveryMachine,
    PrunesAllAtOnce,
    ForgetsUpToWhereItPruned,
    PrunesTheLastOperation,
}

impl StoreFixture for Fault {
    type Store = BrokenStore;

    async fn fresh(&self) -> BrokenStore {
        BrokenStore { inner: MemoryStore::new(), fault: *self, memory: Mutex::default() }
    }

    async fn reopen(&self, store: BrokenStore) -> BrokenStore {
        store.memory().reopened = true;
        store
    }
}

pub(super) struct BrokenStore {
    inner: MemoryStore,
    fault: Fault,
    memory: Mutex<Memory>,
}

/// What some faults need to remember.
#[derive(Default)]
struct Memory {
    reopened: bool,
    read: BTreeSet<Hostname>,
    removed: Vec<HostId>,
    texts_gone: bool,
    /// Places behind this one are told as one less.
    given_twice: Option<u64>,
}

impl BrokenStore {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("nobody panics while holding it")
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn told_place(&self, seq: u64) -> u64 {
        match self.memory().given_twice {
            Some(place) if seq > place => seq - 1,
            _ => seq,
        }
    }

    /// What becomes of a commit that the good store refuses.
    async fn refused(&self, mut change: Change, error: StoreError) -> Result<Committed, StoreError> {
        match error {
            StoreError::MacTaken { mac, by } if self.has(Fault::LetsHostsShareAnAddress) && by != change.host.id => {
                change.host.macs.retain(|own| *own != mac);
                self.inner.commit(change).await
            }
            StoreError::BadChange { .. } if self.has(Fault::TakesWhateverComes) => {
                (change.operation, change.artefacts, change.owe) = (None, vec![], vec![]);
                self.inner.commit(change).await
            }
            error if self.has(Fault::CommitsHalf) => {
                self.inner.append(change.journal).await?;
                Err(error)
            }
            error => Err(error),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods, reason = "what is not passed on would be a second fault")]
impl Store for BrokenStore {
    async fn commit(&self, mut change: Change) -> Result<Committed, StoreError> {
        match self.fault {
            Fault::ForgetsTheOutbox => change.owe.clear(),
            Fault::ReordersTheJournal => change.journal.reverse(),
            Fault::IgnoresRevisions => {
                change.expected = self.inner.host(change.host.id).await?.map(|row| row.revision);
            }
            _ => {}
        }
        let outcome = self.inner.commit(change.clone()).await;
        let mut committed = match outcome {
            Ok(committed) => committed,
            Err(error) => self.refused(change, error).await?,
        };
        if self.has(Fault::SkipsRevisions) && committed.revision > Revision(4) {
            committed.revision.0 += 1;
        }
        Ok(committed)
    }

    async fn remove_host(&self, id: HostId, expected: Revision, entry: NewEntry) -> Result<(), StoreError> {
        self.inner.remove_host(id, expected, entry).await?;
        match self.fault {
            Fault::GivesAPlaceTwice => {
                let last = self.inner.last_seq().await?;
                self.memory().given_twice = Some(last);
            }
            Fault::ForgetsTheJournalOfTheRemoved => self.memory().removed.push(id),
            _ => {}
        }
        Ok(())
    }

    async fn append(&self, entries: Vec<NewEntry>) -> Result<u64, StoreError> {
        if self.has(Fault::TearsAppendsApart) {
            for entry in entries {
                self.inner.append(vec![entry]).await?;
                tokio::task::yield_now().await;
            }
            return self.inner.last_seq().await;
        }
        self.inner.append(entries).await
    }

    async fn host(&self, id: HostId) -> Result<Option<HostRecord>, StoreError> {
        self.inner.host(id).await
    }

    async fn host_by_name(&self, name: &Hostname) -> Result<Option<HostRecord>, StoreError> {
        if self.has(Fault::ReadsLate) && self.memory().read.insert(name.clone()) {
            return Ok(None);
        }
        self.inner.host_by_name(name).await
    }

    async fn host_by_mac(&self, mac: MacAddr) -> Result<Option<HostRecord>, StoreError> {
        self.inner.host_by_mac(mac).await
    }

    async fn hosts(&self, filter: &HostFilter) -> Result<Vec<HostRecord>, StoreError> {
        let mut found = self.inner.hosts(filter).await?;
        if self.has(Fault::ListsHostsUnsorted) {
            found.reverse();
        }
        Ok(found)
    }

    async fn count_by_phase(&self) -> Result<BTreeMap<Phase, u64>, StoreError> {
        let mut counts = self.inner.count_by_phase().await?;
        if self.has(Fault::CountsTheRegisteredOnly) {
            counts.retain(|phase, _| *phase == Phase::Registered);
        }
        Ok(counts)
    }

    async fn overdue(&self, at: Timestamp) -> Result<Vec<HostId>, StoreError> {
        let late = i64::from(self.has(Fault::FindsTheOverdueLate));
        self.inner.overdue(Timestamp::from_millis(at.as_millis() - late)).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_deadline().await
    }

    async fn operation(&self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        self.inner.operation(id).await
    }

    async fn operations_of(&self, host: HostId) -> Result<Vec<Operation>, StoreError> {
        self.inner.operations_of(host).await
    }

    async fn artefacts(&self, operation: OperationId) -> Result<Vec<Artefact>, StoreError> {
        if self.memory().texts_gone || (self.has(Fault::LosesARowOnReopen) && self.memory().reopened) {
            return Ok(vec![]);
        }
        self.inner.artefacts(operation).await
    }

    async fn journal(&self, query: &JournalQuery) -> Result<Vec<JournalEntry>, StoreError> {
        let mut query = query.clone();
        if self.has(Fault::IgnoresTheOperationOfAQuery) {
            query.operation = None;
        }
        if self.has(Fault::ReadsForwardsOnly) {
            query.latest_first = false;
        }
        let mut found = self.inner.journal(&query).await?;
        let removed = self.memory().removed.clone();
        found.retain(|entry| entry.host.is_none_or(|host| !removed.contains(&host)));
        for entry in &mut found {
            entry.seq = self.told_place(entry.seq);
        }
        Ok(found)
    }

    async fn last_seq(&self) -> Result<u64, StoreError> {
        Ok(self.told_place(self.inner.last_seq().await?))
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        let at_most = if self.has(Fault::PrunesAllAtOnce) { usize::MAX } else { prune.at_most };
        if self.has(Fault::PrunesTheLastOperation) && prune.artefacts_before.is_some() {
            self.memory().texts_gone = true;
        }
        self.inner.prune(&Prune { at_most, ..*prune }).await
    }

    async fn pruned_to(&self) -> Result<u64, StoreError> {
        let is_told = !(self.has(Fault::ForgetsUpToWhereItPruned) && self.memory().reopened);
        Ok(if is_told { self.inner.pruned_to().await? } else { 0 })
    }

    async fn work(&self) -> Result<Vec<Work>, StoreError> {
        let mut work = self.inner.work().await?;
        if self.has(Fault::ListsWorkUnsorted) {
            work.reverse();
        }
        Ok(work)
    }

    async fn reschedule(&self, work: &Work, entry: Option<NewEntry>) -> Result<bool, StoreError> {
        self.inner.reschedule(work, entry).await
    }

    async fn settle(&self, id: WorkId, entry: Option<NewEntry>) -> Result<bool, StoreError> {
        let was_owed = self.inner.settle(id, entry).await?;
        Ok(was_owed || self.has(Fault::SettlesTwice))
    }

    async fn insert_image(&self, image: &Image, entry: NewEntry) -> Result<(), StoreError> {
        match self.inner.insert_image(image, entry).await {
            Err(StoreError::ImageExists(_)) if self.has(Fault::KeepsAnImageTwice) => Ok(()),
            Err(StoreError::BadChange { .. }) if self.has(Fault::TakesWhateverComes) => Ok(()),
            outcome => outcome,
        }
    }

    async fn images(&self) -> Result<Vec<Image>, StoreError> {
        self.inner.images().await
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        self.inner.image(id).await
    }

    async fn keep_discovered(
        &self,
        machine: &DiscoveredMachine,
        at_most: usize,
        entry: Option<NewEntry>,
    ) -> Result<bool, StoreError> {
        let at_most = if self.has(Fault::KeepsEveryMachine) { usize::MAX } else { at_most };
        let is_kept = self.inner.keep_discovered(machine, at_most, entry.clone()).await?;
        if !is_kept && self.has(Fault::DiscoversHosts) {
            self.inner.append(entry.into_iter().collect()).await?;
        }
        Ok(is_kept)
    }

    async fn discovered(&self) -> Result<Vec<DiscoveredMachine>, StoreError> {
        let mut machines = self.inner.discovered().await?;
        if self.has(Fault::ListsDiscoveredUnsorted) {
            machines.reverse();
        }
        Ok(machines)
    }

    async fn discovered_by_mac(&self, mac: MacAddr) -> Result<Option<DiscoveredMachine>, StoreError> {
        self.inner.discovered_by_mac(mac).await
    }

    async fn default_image(&self) -> Result<Option<ImageId>, StoreError> {
        let chosen = self.inner.default_image().await?;
        Ok(chosen.filter(|_| !self.has(Fault::ForgetsTheDefaultImage)))
    }

    async fn choose_default_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError> {
        self.inner.choose_default_image(id, entry).await
    }

    async fn remove_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError> {
        match self.inner.remove_image(id, entry).await {
            Err(StoreError::ImageInUse { .. }) if self.has(Fault::RemovesImagesInUse) => Ok(()),
            outcome => outcome,
        }
    }
}
