//! A store with one bug.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use provisioning_core::machine::{HostState, JoinStep, Leg, Phase, WorkKind};
use provisioning_core::model::{
    Artefact, Fqdn, HostId, Hostname, Image, ImageId, MacAddr, Operation, OperationId, Timestamp,
};
use provisioning_core::netboot::DiscoveredMachine;
use provisioning_core::orchestrator::Ports;
use provisioning_core::ports::{
    Change, Committed, Happening, HostFilter, HostRecord, Inventory, InventoryRecord, JournalEntry, JournalQuery,
    NewEntry, Prune, Pruned, Retry, Revision, Source, Store, StoreError, Work, WorkId,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A new process finds an empty outbox.
    ForgetsOutbox,
    /// Whatever was read, the latest write wins.
    IgnoresRevisions,
    /// Work is struck off when it is handed out.
    SettlesEarly,
    /// Who holds the join slot is not seen.
    HidesTheHolder,
    /// Deadlines are compared with a clock that is behind.
    ExpiresLate,
    /// The inventory is told as soon as the join is done.
    PublishesEarly,
    /// Every tenth change leaves no trace in the journal.
    DropsEntries,
    /// Of many entries at once the second is left out.
    SkipsInTheFeed,
    /// The journal explains too much.
    TellsASecret,
    /// No bug: the first start is committed, and said not to be.
    LosesAReply,
}

pub(crate) struct BrokenStore {
    inner: Arc<dyn Store>,
    inventory: Arc<dyn Inventory>,
    bug: Bug,
    was_asked: AtomicBool,
    commits: AtomicU32,
    handed_out: Mutex<BTreeMap<WorkId, Work>>,
}

impl BrokenStore {
    pub(crate) fn new(ports: &Ports, bug: Bug) -> Self {
        Self {
            inner: Arc::clone(&ports.store),
            inventory: Arc::clone(&ports.inventory),
            bug,
            was_asked: AtomicBool::new(false),
            commits: AtomicU32::new(0),
            handed_out: Mutex::default(),
        }
    }

    async fn publish(&self, change: &Change) {
        let HostState::Provisioning { leg: Leg::Joining(JoinStep::RevokeKey), run } = &change.state else { return };
        let host = &change.host;
        let record = InventoryRecord {
            host: host.id,
            operation: run.operation,
            hardware_id: host.hardware_id.clone(),
            hostname: host.name.clone(),
            fqdn: Fqdn::new(&host.name, &"lab.example".parse().expect("a domain")).expect("short names"),
            ip: run.contact.address.expect("it was joined"),
            macs: host.macs.clone(),
            server_type: host.server_type.clone(),
            gpu: None,
        };
        self.inventory.register(&record).await.ok();
    }

    async fn take_out(&self, owed: &mut Vec<Work>) -> Result<(), StoreError> {
        for work in owed.iter().filter(|work| work.id.kind != WorkKind::EraseKey) {
            self.inner.settle(work.id, None).await?;
            self.handed_out.lock().expect("a list").insert(work.id, work.clone());
        }
        owed.retain(|work| work.id.kind == WorkKind::EraseKey);
        owed.extend(self.handed_out.lock().expect("a list").values().cloned());
        Ok(())
    }
}

fn is_queued(record: &HostRecord) -> bool {
    matches!(record.state, HostState::Provisioning { leg: Leg::Joining(JoinStep::Join), .. })
        && record.state.deadline().is_none()
}

#[async_trait]
impl Store for BrokenStore {
    async fn commit(&self, mut change: Change) -> Result<Committed, StoreError> {
        match self.bug {
            Bug::PublishesEarly => self.publish(&change).await,
            Bug::DropsEntries if self.commits.fetch_add(1, Ordering::SeqCst) % 10 == 9 => {
                let first = change.journal[0].clone();
                let what = Happening::Warning { text: "something happened".into() };
                change.journal = vec![NewEntry { what, source: Source::Provisioning, ..first }];
            }
            Bug::TellsASecret if change.operation.is_some() => {
                let first = change.journal[0].clone();
                let what = Happening::Warning { text: "will join with the cluster's root password".into() };
                change.journal.push(NewEntry { what, ..first });
            }
            _ => {}
        }
        for id in &change.settle {
            self.handed_out.lock().expect("a list").remove(id);
        }
        if self.bug == Bug::LosesAReply && change.operation.is_some() && !self.was_asked.swap(true, Ordering::SeqCst) {
            self.inner.commit(change).await?;
            return Err(StoreError::Unavailable { retry: Retry::Later, source: "the reply is lost".into() });
        }
        loop {
            match self.inner.commit(change.clone()).await {
                Err(StoreError::Stale { found, .. }) if self.bug == Bug::IgnoresRevisions => {
                    change.expected = Some(found);
                }
                outcome => return outcome,
            }
        }
    }

    async fn remove_host(&self, id: HostId, expected: Revision, entry: NewEntry) -> Result<(), StoreError> {
        self.inner.remove_host(id, expected, entry).await
    }

    async fn append(&self, entries: Vec<NewEntry>) -> Result<u64, StoreError> {
        self.inner.append(entries).await
    }

    async fn host(&self, id: HostId) -> Result<Option<HostRecord>, StoreError> {
        self.inner.host(id).await
    }

    async fn host_by_name(&self, name: &Hostname) -> Result<Option<HostRecord>, StoreError> {
        self.inner.host_by_name(name).await
    }

    async fn host_by_mac(&self, mac: MacAddr) -> Result<Option<HostRecord>, StoreError> {
        self.inner.host_by_mac(mac).await
    }

    async fn hosts(&self, filter: &HostFilter) -> Result<Vec<HostRecord>, StoreError> {
        let mut hosts = self.inner.hosts(filter).await?;
        if self.bug == Bug::HidesTheHolder && filter.phase == Some(Phase::Joining) {
            let somebody_waits = hosts.iter().any(is_queued);
            hosts.retain(|record| is_queued(record) || !somebody_waits);
        }
        Ok(hosts)
    }

    async fn count_by_phase(&self) -> Result<BTreeMap<Phase, u64>, StoreError> {
        self.inner.count_by_phase().await
    }

    async fn overdue(&self, at: Timestamp) -> Result<Vec<HostId>, StoreError> {
        let behind = if self.bug == Bug::ExpiresLate { Duration::from_secs(600) } else { Duration::ZERO };
        self.inner.overdue(at - behind).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        let deadline = self.inner.next_deadline().await?;
        let ahead = if self.bug == Bug::ExpiresLate { Duration::from_secs(600) } else { Duration::ZERO };
        Ok(deadline.map(|deadline| deadline + ahead))
    }

    async fn operation(&self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        self.inner.operation(id).await
    }

    async fn operations_of(&self, host: HostId) -> Result<Vec<Operation>, StoreError> {
        self.inner.operations_of(host).await
    }

    async fn artefacts(&self, operation: OperationId) -> Result<Vec<Artefact>, StoreError> {
        self.inner.artefacts(operation).await
    }

    async fn journal(&self, query: &JournalQuery) -> Result<Vec<JournalEntry>, StoreError> {
        let mut entries = self.inner.journal(query).await?;
        if self.bug == Bug::SkipsInTheFeed && entries.len() > 2 {
            entries.remove(1);
        }
        Ok(entries)
    }

    async fn last_seq(&self) -> Result<u64, StoreError> {
        self.inner.last_seq().await
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        self.inner.prune(prune).await
    }

    async fn pruned_to(&self) -> Result<u64, StoreError> {
        self.inner.pruned_to().await
    }

    async fn work(&self) -> Result<Vec<Work>, StoreError> {
        let mut owed = self.inner.work().await?;
        match self.bug {
            Bug::ForgetsOutbox if !self.was_asked.swap(true, Ordering::SeqCst) => {
                for work in owed.drain(..) {
                    self.inner.settle(work.id, None).await?;
                }
            }
            Bug::SettlesEarly => self.take_out(&mut owed).await?,
            _ => {}
        }
        Ok(owed)
    }

    async fn reschedule(&self, work: &Work, entry: Option<NewEntry>) -> Result<bool, StoreError> {
        self.inner.reschedule(work, entry).await
    }

    async fn settle(&self, id: WorkId, entry: Option<NewEntry>) -> Result<bool, StoreError> {
        self.inner.settle(id, entry).await
    }

    async fn insert_image(&self, image: &Image, entry: NewEntry) -> Result<(), StoreError> {
        self.inner.insert_image(image, entry).await
    }

    async fn images(&self) -> Result<Vec<Image>, StoreError> {
        self.inner.images().await
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        self.inner.image(id).await
    }

    async fn default_image(&self) -> Result<Option<ImageId>, StoreError> {
        self.inner.default_image().await
    }

    async fn choose_default_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError> {
        self.inner.choose_default_image(id, entry).await
    }

    async fn remove_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError> {
        self.inner.remove_image(id, entry).await
    }

    async fn keep_discovered(
        &self,
        machine: &DiscoveredMachine,
        at_most: usize,
        entry: Option<NewEntry>,
    ) -> Result<bool, StoreError> {
        self.inner.keep_discovered(machine, at_most, entry).await
    }

    async fn discovered(&self) -> Result<Vec<DiscoveredMachine>, StoreError> {
        self.inner.discovered().await
    }

    async fn discovered_by_mac(&self, mac: MacAddr) -> Result<Option<DiscoveredMachine>, StoreError> {
        self.inner.discovered_by_mac(mac).await
    }
}
