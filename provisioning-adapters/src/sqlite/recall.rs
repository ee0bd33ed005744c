//! Rows that machines ask for again and again, kept in memory by a process that alone writes the file.
//!
//! In a boot storm each machine asks for its script every few seconds, and each answer takes its host, operation and
//! image. Nothing old is ever answered: a commit drops the rows that it touched before anybody is told that it is
//! done, and a row that was read while a commit went on is not kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use provisioning_core::model::{HostId, Image, ImageId, MacAddr, Operation, OperationId};
use provisioning_core::ports::HostRecord;

/// Rows of each kind; beyond this all are dropped, and read again as they are asked for. Some MiB.
const KEPT_MAX: usize = 4096;

/// What a piece of writing may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touched {
    /// No row that is kept here: entries of the journal, owed work, keys.
    Nothing,
    /// A host's row and addresses. Operations are only ever added or removed, never changed.
    Host(HostId),
    /// Anything.
    Everything,
}

/// How much was written when a read began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(u64);

/// See the file's first line.
#[derive(Debug, Default)]
pub(super) struct Recall(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    epoch: u64,
    hosts: BTreeMap<HostId, Arc<HostRecord>>,
    /// May name a host that no longer has the address: its row decides.
    owners: BTreeMap<MacAddr, HostId>,
    operations: BTreeMap<OperationId, Arc<Operation>>,
    images: BTreeMap<ImageId, Arc<Image>>,
}

impl Recall {
    /// To be taken before a row is read that may be kept.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.rows().epoch)
    }

    /// Drops what was touched. To be called when it can be read by others, and before its writer is told so.
    pub(super) fn forget(&self, touched: impl IntoIterator<Item = Touched>) {
        let mut rows = self.rows();
        for touched in touched {
            match touched {
                Touched::Nothing => continue,
                Touched::Host(host) => drop(rows.hosts.remove(&host)),
                Touched::Everything => rows.clear(),
            }
            rows.epoch += 1;
        }
    }

    pub(super) fn host(&self, id: HostId) -> Option<HostRecord> {
        let kept = self.rows().hosts.get(&id).cloned();
        kept.map(Arc::unwrap_or_clone)
    }

    pub(super) fn host_by_mac(&self, mac: MacAddr) -> Option<HostRecord> {
        let rows = self.rows();
        let kept = rows.owners.get(&mac).and_then(|owner| rows.hosts.get(owner)).cloned();
        drop(rows);
        kept.filter(|record| record.host.macs.contains(&mac)).map(Arc::unwrap_or_clone)
    }

    pub(super) fn operation(&self, id: OperationId) -> Option<Operation> {
        let kept = self.rows().operations.get(&id).cloned();
        kept.map(Arc::unwrap_or_clone)
    }

    pub(super) fn image(&self, id: ImageId) -> Option<Image> {
        let kept = self.rows().images.get(&id).cloned();
        kept.map(Arc::unwrap_or_clone)
    }

    pub(super) fn keep_host(&self, read_at: Epoch, record: &HostRecord) {
        let record = Arc::new(record.clone());
        self.keep(read_at, |rows| {
            rows.owners.extend(record.host.macs.iter().map(|mac| (*mac, record.host.id)));
            rows.hosts.insert(record.host.id, record);
        });
    }

    pub(super) fn keep_operation(&self, read_at: Epoch, operation: &Operation) {
        let operation = Arc::new(operation.clone());
        self.keep(read_at, |rows| drop(rows.operations.insert(operation.id, operation)));
    }

    pub(super) fn keep_image(&self, read_at: Epoch, image: &Image) {
        let image = Arc::new(image.clone());
        self.keep(read_at, |rows| drop(rows.images.insert(image.id, image)));
    }

    /// Keeps a row unless something was written since it was read: it may be what that has changed.
    fn keep(&self, read_at: Epoch, keep: impl FnOnce(&mut Rows)) {
        let mut rows = self.rows();
        if read_at == Epoch(rows.epoch) {
            if rows.len() >= KEPT_MAX {
                rows.clear();
            }
            keep(&mut rows);
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    /// The largest of the maps.
    fn len(&self) -> usize {
        self.owners.len().max(self.hosts.len()).max(self.operations.len()).max(self.images.len())
    }

    fn clear(&mut self) {
        *self = Self { epoch: self.epoch, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::conformance::sample;
    use provisioning_core::machine::HostState;
    use provisioning_core::ports::Revision;

    use super::*;

    fn record(seed: u8, revision: u64) -> HostRecord {
        let host = sample::host(seed).expect("a sample is good");
        HostRecord { host, state: HostState::Registered, revision: Revision(revision) }
    }

    #[test]
    fn a_row_that_was_read_before_a_commit_is_not_kept_after_it() {
        let recall = Recall::default();
        let (old, new) = (record(2, 1), record(2, 2));
        let (id, mac) = (old.host.id, old.host.macs[0]);
        let began = recall.epoch();
        recall.forget([Touched::Host(id)]);
        recall.keep_host(began, &old);
        assert_eq!(recall.host(id), None);
        recall.keep_host(recall.epoch(), &new);
        assert_eq!((recall.host(id), recall.host_by_mac(mac)), (Some(new.clone()), Some(new)));
    }

    #[test]
    fn an_address_that_went_to_another_host_is_not_answered_by_the_one_before() {
        let recall = Recall::default();
        let mut had_it = record(2, 1);
        let mac = had_it.host.macs[0];
        recall.keep_host(recall.epoch(), &had_it);
        recall.forget([Touched::Host(had_it.host.id)]);
        had_it.host.macs = record(3, 1).host.macs;
        recall.keep_host(recall.epoch(), &had_it);
        assert_eq!(recall.host_by_mac(mac), None);
    }

    #[test]
    fn what_touches_no_row_drops_none_and_what_touches_all_drops_all() {
        let recall = Recall::default();
        let (one, other) = (record(2, 1), record(3, 1));
        let epoch = recall.epoch();
        recall.keep_host(epoch, &one);
        recall.keep_host(epoch, &other);
        recall.forget([Touched::Nothing]);
        assert!(recall.host(one.host.id).is_some() && recall.epoch() == epoch);
        recall.forget([Touched::Host(one.host.id)]);
        assert!(recall.host(one.host.id).is_none() && recall.host(other.host.id).is_some());
        recall.forget([Touched::Everything]);
        assert!(recall.host(other.host.id).is_none());
    }
}
