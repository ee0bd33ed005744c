//! A store of your own: it keeps a log of what was written, and reads from an index in memory that it rebuilds from
//! the log when it is opened.
//!
//! Here the log is a list that outlives the store; with a durable one (a topic of a message broker, an object per
//! write) the same lines make a durable store. What is refused is decided by the index, so this file holds no rule of
//! the port; that it keeps them all is shown by its last line: a fixture, and one macro.
//!
//! Run it with `cargo run -p examples --example own_store`, its tests with `cargo test -p examples --example own_store`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use provisioning_core::machine::{HostState, Phase};
use provisioning_core::memory::MemoryStore;
use provisioning_core::model::{
    Artefact, Host, HostId, Hostname, Image, ImageId, MacAddr, Operation, OperationId, Timestamp,
};
use provisioning_core::netboot::DiscoveredMachine;
use provisioning_core::ports::{
    Change, Committed, HostFilter, HostRecord, JournalEntry, JournalQuery, NewEntry, Prune, Pruned, Revision, Store,
    StoreError, Work, WorkId,
};
use tokio::sync::Mutex;

/// Everything that was ever written, in order. Clones are the same log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Write>>>);

/// One write that succeeded.
enum Write {
    Change(Box<Change>),
    RemoveHost(HostId, Revision, NewEntry),
    Append(Vec<NewEntry>),
    Reschedule(Work, Option<NewEntry>),
    Settle(WorkId, Option<NewEntry>),
    InsertImage(Image, NewEntry),
    ChooseDefaultImage(ImageId, NewEntry),
    RemoveImage(ImageId, NewEntry),
    Prune(Prune),
    KeepDiscovered(Box<DiscoveredMachine>, usize, Option<NewEntry>),
}

/// A store over a log. Writes take turns, so that the log has them in the order in which the index saw them. A list
/// takes what it is given; when a log of yours fails, the index is ahead of it and has to be built anew.
struct LogStore {
    log: Log,
    index: MemoryStore,
}

impl LogStore {
    /// Opens a store on what `log` holds.
    async fn open(log: Log) -> Result<Self, StoreError> {
        let index = MemoryStore::new();
        for write in &*log.0.lock().await {
            match write {
                Write::Change(change) => drop(index.commit(Change::clone(change)).await?),
                Write::RemoveHost(id, expected, entry) => index.remove_host(*id, *expected, entry.clone()).await?,
                Write::Append(entries) => drop(index.append(entries.clone()).await?),
                Write::Reschedule(work, entry) => drop(index.reschedule(work, entry.clone()).await?),
                Write::Settle(id, entry) => drop(index.settle(*id, entry.clone()).await?),
                Write::InsertImage(image, entry) => index.insert_image(image, entry.clone()).await?,
                Write::ChooseDefaultImage(id, entry) => index.choose_default_image(*id, entry.clone()).await?,
                Write::RemoveImage(id, entry) => index.remove_image(*id, entry.clone()).await?,
                Write::Prune(prune) => drop(index.prune(prune).await?),
                Write::KeepDiscovered(machine, at_most, entry) => {
                    index.keep_discovered(machine, *at_most, entry.clone()).await?;
                }
            }
        }
        Ok(Self { log, index })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods, reason = "a new method must be thought of here too")]
impl Store for LogStore {
    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        let mut log = self.log.0.lock().await;
        let committed = self.index.commit(change.clone()).await?;
        log.push(Write::Change(Box::new(change)));
        Ok(committed)
    }

    async fn remove_host(&self, id: HostId, expected: Revision, entry: NewEntry) -> Result<(), StoreError> {
        let mut log = self.log.0.lock().await;
        self.index.remove_host(id, expected, entry.clone()).await?;
        log.push(Write::RemoveHost(id, expected, entry));
        Ok(())
    }

    async fn append(&self, entries: Vec<NewEntry>) -> Result<u64, StoreError> {
        let mut log = self.log.0.lock().await;
        let last = self.index.append(entries.clone()).await?;
        log.push(Write::Append(entries));
        Ok(last)
    }

    async fn reschedule(&self, work: &Work, entry: Option<NewEntry>) -> Result<bool, StoreError> {
        let mut log = self.log.0.lock().await;
        let is_owed = self.index.reschedule(work, entry.clone()).await?;
        log.push(Write::Reschedule(work.clone(), entry));
        Ok(is_owed)
    }

    async fn settle(&self, id: WorkId, entry: Option<NewEntry>) -> Result<bool, StoreError> {
        let mut log = self.log.0.lock().await;
        let was_owed = self.index.settle(id, entry.clone()).await?;
        log.push(Write::Settle(id, entry));
        Ok(was_owed)
    }

    async fn insert_image(&self, image: &Image, entry: NewEntry) -> Result<(), StoreError> {
        let mut log = self.log.0.lock().await;
        self.index.insert_image(image, entry.clone()).await?;
        log.push(Write::InsertImage(image.clone(), entry));
        Ok(())
    }

    async fn choose_default_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError> {
        let mut log = self.log.0.lock().await;
        self.index.choose_default_image(id, entry.clone()).await?;
        log.push(Write::ChooseDefaultImage(id, entry));
        Ok(())
    }

    async fn remove_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError> {
        let mut log = self.log.0.lock().await;
        self.index.remove_image(id, entry.clone()).await?;
        log.push(Write::RemoveImage(id, entry));
        Ok(())
    }

    async fn keep_discovered(
        &self,
        machine: &DiscoveredMachine,
        at_most: usize,
        entry: Option<NewEntry>,
    ) -> Result<bool, StoreError> {
        let mut log = self.log.0.lock().await;
        let is_kept = self.index.keep_discovered(machine, at_most, entry.clone()).await?;
        log.push(Write::KeepDiscovered(Box::new(machine.clone()), at_most, entry));
        Ok(is_kept)
    }

    async fn discovered(&self) -> Result<Vec<DiscoveredMachine>, StoreError> {
        self.index.discovered().await
    }

    async fn discovered_by_mac(&self, mac: MacAddr) -> Result<Option<DiscoveredMachine>, StoreError> {
        self.index.discovered_by_mac(mac).await
    }

    async fn host(&self, id: HostId) -> Result<Option<HostRecord>, StoreError> {
        self.index.host(id).await
    }

    async fn host_by_name(&self, name: &Hostname) -> Result<Option<HostRecord>, StoreError> {
        self.index.host_by_name(name).await
    }

    async fn host_by_mac(&self, mac: MacAddr) -> Result<Option<HostRecord>, StoreError> {
        self.index.host_by_mac(mac).await
    }

    async fn hosts(&self, filter: &HostFilter) -> Result<Vec<HostRecord>, StoreError> {
        self.index.hosts(filter).await
    }

    async fn count_by_phase(&self) -> Result<BTreeMap<Phase, u64>, StoreError> {
        self.index.count_by_phase().await
    }

    async fn overdue(&self, at: Timestamp) -> Result<Vec<HostId>, StoreError> {
        self.index.overdue(at).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.index.next_deadline().await
    }

    async fn operation(&self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        self.index.operation(id).await
    }

    async fn operations_of(&self, host: HostId) -> Result<Vec<Operation>, StoreError> {
        self.index.operations_of(host).await
    }

    async fn artefacts(&self, operation: OperationId) -> Result<Vec<Artefact>, StoreError> {
        self.index.artefacts(operation).await
    }

    async fn journal(&self, query: &JournalQuery) -> Result<Vec<JournalEntry>, StoreError> {
        self.index.journal(query).await
    }

    async fn last_seq(&self) -> Result<u64, StoreError> {
        self.index.last_seq().await
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        let mut log = self.log.0.lock().await;
        let pruned = self.index.prune(prune).await?;
        log.push(Write::Prune(*prune));
        Ok(pruned)
    }

    async fn pruned_to(&self) -> Result<u64, StoreError> {
        self.index.pruned_to().await
    }

    async fn work(&self) -> Result<Vec<Work>, StoreError> {
        self.index.work().await
    }

    async fn default_image(&self) -> Result<Option<ImageId>, StoreError> {
        self.index.default_image().await
    }

    async fn images(&self) -> Result<Vec<Image>, StoreError> {
        self.index.images().await
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        self.index.image(id).await
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the example shows what it does")]
async fn main() -> anyhow::Result<()> {
    let log = Log::default();
    let store = LogStore::open(log.clone()).await?;
    let at = Timestamp::from_millis(1_800_000_000_000);
    let host = Host {
        id: HostId::new(at, [1; 10]),
        name: "pve-01".parse()?,
        macs: vec!["52:54:00:12:34:56".parse()?],
        server_type: "mini".parse()?,
        address: None,
        hardware_id: None,
        last_ready_at: None,
        registered_at: at,
    };
    store.commit(Change::to(host, HostState::Registered, None)).await?;
    drop(store);

    let store = LogStore::open(log).await?;
    for row in store.hosts(&HostFilter::default()).await? {
        println!("after a restart there is {} at revision {}", row.host.name, row.revision.0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use provisioning_core::conformance::StoreFixture;

    use super::*;

    /// Holds the log, which outlives every store on it.
    impl StoreFixture for Log {
        type Store = LogStore;

        async fn fresh(&self) -> LogStore {
            LogStore::open(self.clone()).await.expect("an empty log can be read")
        }

        async fn reopen(&self, store: LogStore) -> LogStore {
            drop(store);
            LogStore::open(self.clone()).await.expect("what was written can be read")
        }
    }

    provisioning_core::store_conformance!(Log::default());
}
