//! A store in memory that sometimes fails, before or after it did what it was asked, and tells the world of every
//! write.

use std::collections::BTreeMap;

use async_trait::async_trait;
use provisioning_core::machine::Phase;
use provisioning_core::model::{
    Artefact, HostId, Hostname, Image, ImageId, MacAddr, Operation, OperationId, Timestamp,
};
use provisioning_core::netboot::DiscoveredMachine;
use provisioning_core::ports::{
    Change, Committed, HostFilter, HostRecord, JournalEntry, JournalQuery, NewEntry, Prune, Pruned, Retry, Revision,
    Store, StoreError, Work, WorkId,
};

use super::gate::Gate;
use crate::world::fault::Fault;

/// See the file's first line.
pub(super) struct WorldStore {
    gate: Gate,
}

impl WorldStore {
    pub(super) fn new(gate: Gate) -> Self {
        Self { gate }
    }

    async fn before(&self) -> Result<(), StoreError> {
        self.gate.point().await;
        if self.gate.fails(Fault::StoreSlow) {
            tokio::time::sleep(self.gate.world.draw_seconds(1, 8)).await;
        }
        self.may_fail()
    }

    async fn read<T>(&self, read: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        self.before().await?;
        let found = read.await;
        self.gate.point().await;
        found
    }

    /// A write that fails afterwards was done all the same. Others have their turn before it, so that what was read
    /// for it may be old.
    async fn write<T>(&self, write: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        self.before().await?;
        tokio::task::yield_now().await;
        let done = write.await;
        if done.is_ok() {
            self.gate.world.written();
        }
        self.gate.point().await;
        self.may_fail()?;
        done
    }

    fn may_fail(&self) -> Result<(), StoreError> {
        if self.gate.fails(Fault::StoreFailed) {
            return Err(StoreError::Unavailable { retry: Retry::Later, source: "the disk is busy".into() });
        }
        Ok(())
    }

    fn inner(&self) -> &impl Store {
        &self.gate.world.store
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for WorldStore {
    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        self.write(self.inner().commit(change)).await
    }

    async fn remove_host(&self, id: HostId, expected: Revision, entry: NewEntry) -> Result<(), StoreError> {
        self.write(self.inner().remove_host(id, expected, entry)).await
    }

    async fn append(&self, entries: Vec<NewEntry>) -> Result<u64, StoreError> {
        self.write(self.inner().append(entries)).await
    }

    async fn host(&self, id: HostId) -> Result<Option<HostRecord>, StoreError> {
        self.read(self.inner().host(id)).await
    }

    async fn host_by_name(&self, name: &Hostname) -> Result<Option<HostRecord>, StoreError> {
        self.read(self.inner().host_by_name(name)).await
    }

    async fn host_by_mac(&self, mac: MacAddr) -> Result<Option<HostRecord>, StoreError> {
        self.read(self.inner().host_by_mac(mac)).await
    }

    async fn hosts(&self, filter: &HostFilter) -> Result<Vec<HostRecord>, StoreError> {
        self.read(self.inner().hosts(filter)).await
    }

    async fn count_by_phase(&self) -> Result<BTreeMap<Phase, u64>, StoreError> {
        self.read(self.inner().count_by_phase()).await
    }

    async fn overdue(&self, at: Timestamp) -> Result<Vec<HostId>, StoreError> {
        self.read(self.inner().overdue(at)).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(self.inner().next_deadline()).await
    }

    async fn operation(&self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        self.read(self.inner().operation(id)).await
    }

    async fn operations_of(&self, host: HostId) -> Result<Vec<Operation>, StoreError> {
        self.read(self.inner().operations_of(host)).await
    }

    async fn artefacts(&self, operation: OperationId) -> Result<Vec<Artefact>, StoreError> {
        self.read(self.inner().artefacts(operation)).await
    }

    async fn journal(&self, query: &JournalQuery) -> Result<Vec<JournalEntry>, StoreError> {
        self.read(self.inner().journal(query)).await
    }

    async fn last_seq(&self) -> Result<u64, StoreError> {
        self.read(self.inner().last_seq()).await
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        self.write(self.inner().prune(prune)).await
    }

    async fn pruned_to(&self) -> Result<u64, StoreError> {
        self.read(self.inner().pruned_to()).await
    }

    async fn work(&self) -> Result<Vec<Work>, StoreError> {
        self.read(self.inner().work()).await
    }

    async fn reschedule(&self, work: &Work, entry: Option<NewEntry>) -> Result<bool, StoreError> {
        self.write(self.inner().reschedule(work, entry)).await
    }

    async fn settle(&self, id: WorkId, entry: Option<NewEntry>) -> Result<bool, StoreError> {
        self.write(self.inner().settle(id, entry)).await
    }

    async fn insert_image(&self, image: &Image, entry: NewEntry) -> Result<(), StoreError> {
        self.write(self.inner().insert_image(image, entry)).await
    }

    async fn images(&self) -> Result<Vec<Image>, StoreError> {
        self.read(self.inner().images()).await
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        self.read(self.inner().image(id)).await
    }

    async fn default_image(&self) -> Result<Option<ImageId>, StoreError> {
        self.read(self.inner().default_image()).await
    }

    async fn choose_default_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError> {
        self.write(self.inner().choose_default_image(id, entry)).await
    }

    async fn remove_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError> {
        self.write(self.inner().remove_image(id, entry)).await
    }

    async fn keep_discovered(
        &self,
        machine: &DiscoveredMachine,
        at_most: usize,
        entry: Option<NewEntry>,
    ) -> Result<bool, StoreError> {
        self.write(self.inner().keep_discovered(machine, at_most, entry)).await
    }

    async fn discovered(&self) -> Result<Vec<DiscoveredMachine>, StoreError> {
        self.read(self.inner().discovered()).await
    }

    async fn discovered_by_mac(&self, mac: MacAddr) -> Result<Option<DiscoveredMachine>, StoreError> {
        self.read(self.inner().discovered_by_mac(mac)).await
    }
}
