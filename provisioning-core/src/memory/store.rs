//! A store in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use super::rows::Rows;
use crate::machine::Phase;
use crate::model::{
    Artefact, ArtefactKind, HostId, Hostname, Image, ImageId, MacAddr, Operation, OperationId, Timestamp,
};
use crate::netboot::DiscoveredMachine;
use crate::ports::{
    Change, Committed, HostFilter, HostRecord, JournalEntry, JournalQuery, NewEntry, Prune, Pruned, Revision, Store,
    StoreError, Work, WorkId,
};

/// Everything in memory, lost with the process. Clones share the data, which is what a "reopen" means here.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<Rows>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().expect("no caller panics while it holds the rows")
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        self.rows().commit(change)
    }

    async fn remove_host(&self, id: HostId, expected: Revision, entry: NewEntry) -> Result<(), StoreError> {
        let mut rows = self.rows();
        rows.check_revision(id, Some(expected))?;
        rows.remove_host(id);
        rows.append([entry]);
        Ok(())
    }

    async fn append(&self, entries: Vec<NewEntry>) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        rows.append(entries);
        Ok(rows.last_seq())
    }

    async fn host(&self, id: HostId) -> Result<Option<HostRecord>, StoreError> {
        Ok(self.rows().hosts.get(&id).cloned())
    }

    async fn host_by_name(&self, name: &Hostname) -> Result<Option<HostRecord>, StoreError> {
        Ok(self.rows().hosts.values().find(|row| row.host.name == *name).cloned())
    }

    async fn host_by_mac(&self, mac: MacAddr) -> Result<Option<HostRecord>, StoreError> {
        Ok(self.rows().hosts.values().find(|row| row.host.macs.contains(&mac)).cloned())
    }

    async fn hosts(&self, filter: &HostFilter) -> Result<Vec<HostRecord>, StoreError> {
        Ok(self.rows().hosts(filter))
    }

    async fn count_by_phase(&self) -> Result<BTreeMap<Phase, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for row in self.rows().hosts.values() {
            *counts.entry(row.state.phase()).or_insert(0) += 1;
        }
        Ok(counts)
    }

    async fn overdue(&self, at: Timestamp) -> Result<Vec<HostId>, StoreError> {
        let is_overdue = |row: &&HostRecord| row.state.deadline().is_some_and(|deadline| deadline <= at);
        Ok(self.rows().hosts.values().filter(is_overdue).map(|row| row.host.id).collect())
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.rows().hosts.values().filter_map(|row| row.state.deadline()).min())
    }

    async fn operation(&self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        Ok(self.rows().operations.get(&id).cloned())
    }

    async fn operations_of(&self, host: HostId) -> Result<Vec<Operation>, StoreError> {
        // Ids sort by the time they were made.
        Ok(self.rows().operations.values().rev().filter(|operation| operation.host == host).cloned().collect())
    }

    async fn artefacts(&self, operation: OperationId) -> Result<Vec<Artefact>, StoreError> {
        let rows = self.rows();
        let from_first = rows.artefacts.range((operation, ArtefactKind::ALL[0])..);
        let of_operation = from_first.take_while(|((of, _), _)| *of == operation);
        Ok(of_operation.map(|(_, artefact)| artefact.clone()).collect())
    }

    async fn journal(&self, query: &JournalQuery) -> Result<Vec<JournalEntry>, StoreError> {
        Ok(self.rows().journal(query))
    }

    async fn last_seq(&self) -> Result<u64, StoreError> {
        Ok(self.rows().last_seq())
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        Ok(self.rows().prune(prune))
    }

    async fn pruned_to(&self) -> Result<u64, StoreError> {
        Ok(self.rows().pruned_to)
    }

    async fn work(&self) -> Result<Vec<Work>, StoreError> {
        let mut work: Vec<Work> = self.rows().work.values().cloned().collect();
        work.sort_by_key(|work| (work.due, work.id));
        Ok(work)
    }

    async fn reschedule(&self, work: &Work, entry: Option<NewEntry>) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        let Some(row) = rows.work.get_mut(&work.id) else { return Ok(false) };
        let Work { id, host, .. } = *row;
        *row = Work { id, host, ..work.clone() };
        rows.append(entry);
        Ok(true)
    }

    async fn settle(&self, id: WorkId, entry: Option<NewEntry>) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        let was_owed = rows.work.remove(&id).is_some();
        if was_owed {
            rows.append(entry);
        }
        Ok(was_owed)
    }

    async fn insert_image(&self, image: &Image, entry: NewEntry) -> Result<(), StoreError> {
        let mut rows = self.rows();
        rows.insert_image(image)?;
        rows.append([entry]);
        Ok(())
    }

    async fn images(&self) -> Result<Vec<Image>, StoreError> {
        let mut images: Vec<Image> = self.rows().images.values().cloned().collect();
        images.sort_by_key(|image| (std::cmp::Reverse(image.imported_at), std::cmp::Reverse(image.id)));
        Ok(images)
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        Ok(self.rows().images.get(&id).cloned())
    }

    async fn default_image(&self) -> Result<Option<ImageId>, StoreError> {
        Ok(self.rows().default_image)
    }

    async fn choose_default_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError> {
        let mut rows = self.rows();
        if !rows.images.contains_key(&id) {
            return Err(StoreError::NoSuchImage(id));
        }
        rows.default_image = Some(id);
        rows.append([entry]);
        Ok(())
    }

    async fn remove_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError> {
        let mut rows = self.rows();
        if let Some(host) = rows.image_user(id) {
            return Err(StoreError::ImageInUse { image: id, host });
        }
        rows.images.remove(&id).ok_or(StoreError::NoSuchImage(id))?;
        rows.default_image = rows.default_image.filter(|default| *default != id);
        rows.append([entry]);
        Ok(())
    }

    async fn keep_discovered(
        &self,
        machine: &DiscoveredMachine,
        at_most: usize,
        entry: Option<NewEntry>,
    ) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        let is_kept = rows.keep_discovered(machine, at_most);
        if is_kept {
            rows.append(entry);
        }
        Ok(is_kept)
    }

    async fn discovered(&self) -> Result<Vec<DiscoveredMachine>, StoreError> {
        let mut machines: Vec<DiscoveredMachine> = self.rows().discovered.values().cloned().collect();
        machines.sort_by_key(|machine| (std::cmp::Reverse(machine.last_seen_at), machine.mac));
        Ok(machines)
    }

    async fn discovered_by_mac(&self, mac: MacAddr) -> Result<Option<DiscoveredMachine>, StoreError> {
        Ok(self.rows().discovered.get(&mac).cloned())
    }
}
