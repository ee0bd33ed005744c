//! The memory store's tables and the rules among them, without locks.

use std::collections::BTreeMap;

use crate::machine::HostState;
use crate::model::{Artefact, ArtefactKind, HostId, Image, ImageId, MacAddr, Operation, OperationId, Timestamp};
use crate::netboot::DiscoveredMachine;
use crate::ports::{
    Change, Committed, Happening, HostFilter, HostRecord, JournalEntry, JournalQuery, NewEntry, Prune, Pruned,
    Revision, StoreError, Work, WorkId,
};

/// All tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) hosts: BTreeMap<HostId, HostRecord>,
    pub(super) operations: BTreeMap<OperationId, Operation>,
    pub(super) artefacts: BTreeMap<(OperationId, ArtefactKind), Artefact>,
    pub(super) journal: Vec<JournalEntry>,
    pub(super) work: BTreeMap<WorkId, Work>,
    pub(super) images: BTreeMap<ImageId, Image>,
    pub(super) discovered: BTreeMap<MacAddr, DiscoveredMachine>,
    pub(super) default_image: Option<ImageId>,
    /// The last place whose entry was pruned.
    pub(super) pruned_to: u64,
}

impl Rows {
    pub(super) fn last_seq(&self) -> u64 {
        self.journal.last().map_or(0, |entry| entry.seq)
    }

    pub(super) fn append(&mut self, entries: impl IntoIterator<Item = NewEntry>) {
        for entry in entries {
            let seq = self.last_seq() + 1;
            self.journal.push(entry.at_place(seq));
        }
    }

    /// Checks everything first, so that nothing is half-done.
    pub(super) fn commit(&mut self, change: Change) -> Result<Committed, StoreError> {
        let id = change.host.id;
        self.check_revision(id, change.expected)?;
        self.check_unique(&change)?;
        self.check_fit(&change)?;
        let revision = Revision(change.expected.map_or(1, |revision| revision.0 + 1));
        self.discovered.retain(|mac, _| !change.host.macs.contains(mac));
        self.hosts.insert(id, HostRecord { host: change.host, state: change.state, revision });
        if let Some(operation) = change.operation {
            self.operations.insert(operation.id, operation);
        }
        for (operation, artefact) in change.artefacts {
            self.artefacts.insert((operation, artefact.kind), artefact);
        }
        self.append(change.journal);
        for id in &change.settle {
            self.work.remove(id);
        }
        self.work.extend(change.owe.into_iter().map(|work| (work.id, work)));
        Ok(Committed { revision, last_seq: self.last_seq() })
    }

    pub(super) fn check_revision(&self, host: HostId, expected: Option<Revision>) -> Result<(), StoreError> {
        match (self.hosts.get(&host).map(|row| row.revision), expected) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(StoreError::NoSuchHost(host)),
            (Some(found), expected) if expected == Some(found) => Ok(()),
            (Some(found), expected) => Err(StoreError::Stale { host, expected, found }),
        }
    }

    fn check_unique(&self, change: &Change) -> Result<(), StoreError> {
        for (place, mac) in change.host.macs.iter().enumerate() {
            if change.host.macs[..place].contains(mac) {
                return Err(StoreError::MacTaken { mac: *mac, by: change.host.id });
            }
        }
        for other in self.hosts.values().filter(|row| row.host.id != change.host.id) {
            if other.host.name == change.host.name {
                return Err(StoreError::NameTaken { name: change.host.name.clone(), by: other.host.id });
            }
            if let Some(mac) = change.host.macs.iter().find(|mac| other.host.macs.contains(mac)) {
                return Err(StoreError::MacTaken { mac: *mac, by: other.host.id });
            }
        }
        Ok(())
    }

    /// Whether all that the change brings belongs to rows that are there, or that it brings itself.
    fn check_fit(&self, change: &Change) -> Result<(), StoreError> {
        let is_known = |host: HostId| host == change.host.id || self.hosts.contains_key(&host);
        if let Some(operation) = &change.operation {
            if self.operations.contains_key(&operation.id) {
                return bad_change(format!("there is an operation {} already", operation.id));
            }
            if !is_known(operation.host) {
                return bad_change(format!("operation {} is for an unknown host", operation.id));
            }
        }
        let begins = change.operation.as_ref().map(|operation| operation.id);
        for (operation, artefact) in &change.artefacts {
            if begins != Some(*operation) && !self.operations.contains_key(operation) {
                return bad_change(format!("{} belongs to an unknown operation {operation}", artefact.kind.as_str()));
            }
        }
        match change.owe.iter().find(|work| !is_known(work.host)) {
            Some(work) => bad_change(format!("{} is owed to an unknown host {}", work.id.kind.as_str(), work.host)),
            None => Ok(()),
        }
    }

    pub(super) fn insert_image(&mut self, image: &Image) -> Result<(), StoreError> {
        if let Some(same) = self.images.values().find(|other| other.sha256 == image.sha256) {
            return Err(StoreError::ImageExists(same.id));
        }
        if self.images.contains_key(&image.id) {
            return bad_change(format!("there is an image {} already", image.id));
        }
        self.images.insert(image.id, image.clone());
        Ok(())
    }

    /// `false` when a host has the address.
    pub(super) fn keep_discovered(&mut self, machine: &DiscoveredMachine, at_most: usize) -> bool {
        if self.hosts.values().any(|row| row.host.macs.contains(&machine.mac)) {
            return false;
        }
        self.discovered.insert(machine.mac, machine.clone());
        while self.discovered.len() > at_most {
            let oldest = self.discovered.values().map(|machine| (machine.last_seen_at, machine.mac)).min();
            oldest.and_then(|(_, mac)| self.discovered.remove(&mac));
        }
        true
    }

    pub(super) fn remove_host(&mut self, id: HostId) {
        self.hosts.remove(&id);
        self.work.retain(|_, work| work.host != id);
        let gone: Vec<OperationId> =
            self.operations.values().filter(|operation| operation.host == id).map(|operation| operation.id).collect();
        self.operations.retain(|_, operation| operation.host != id);
        self.artefacts.retain(|(operation, _), _| !gone.contains(operation));
    }

    /// Drops what is old, but of each host's last operation nothing.
    pub(super) fn prune(&mut self, prune: &Prune) -> Pruned {
        let mut last: BTreeMap<HostId, OperationId> = BTreeMap::new();
        // Ids sort by the time they were made.
        last.extend(self.operations.values().map(|operation| (operation.host, operation.id)));
        let is_kept = |operation: OperationId| last.values().any(|last| *last == operation);
        let before = prune.journal_before.unwrap_or(Timestamp::from_millis(i64::MIN));
        let young = self.journal.iter().position(|entry| entry.at >= before).unwrap_or(self.journal.len());
        let old = self.journal[..young.min(self.journal.len().saturating_sub(1))].iter();
        let gone: Vec<u64> = old
            .filter(|entry| !entry.operation.is_some_and(is_kept))
            .map(|entry| entry.seq)
            .take(prune.at_most)
            .collect();
        let texts = self.artefacts.iter().filter(|((operation, _), artefact)| {
            prune.artefacts_before.is_some_and(|before| artefact.at < before) && !is_kept(*operation)
        });
        let texts: Vec<_> = texts.map(|(key, _)| *key).take(prune.at_most).collect();
        self.pruned_to = self.pruned_to.max(gone.last().copied().unwrap_or(0));
        self.journal.retain(|entry| gone.binary_search(&entry.seq).is_err());
        self.artefacts.retain(|key, _| !texts.contains(key));
        Pruned { entries: gone.len(), artefacts: texts.len() }
    }

    /// A host that is being installed from the image.
    pub(super) fn image_user(&self, image: ImageId) -> Option<HostId> {
        self.hosts.values().find_map(|row| match &row.state {
            HostState::Provisioning { run, .. } => {
                let operation = self.operations.get(&run.operation)?;
                (operation.image == image).then_some(row.host.id)
            }
            HostState::Registered | HostState::Ready { .. } | HostState::Failed { .. } => None,
        })
    }

    pub(super) fn hosts(&self, filter: &HostFilter) -> Vec<HostRecord> {
        let mut found: Vec<&HostRecord> = self.hosts.values().filter(|row| matches(row, filter)).collect();
        found.sort_by(|a, b| a.host.name.cmp(&b.host.name));
        found.into_iter().take(filter.limit.unwrap_or(usize::MAX)).cloned().collect()
    }

    pub(super) fn journal(&self, query: &JournalQuery) -> Vec<JournalEntry> {
        // Places rise; entries that were pruned leave gaps.
        let start = self.journal.partition_point(|entry| entry.seq <= query.after);
        let end = query
            .before
            .map_or(self.journal.len(), |before| self.journal.partition_point(|entry| entry.seq < before).max(start));
        let wanted = |entry: &&JournalEntry| {
            (!query.audit || matches!(entry.what, Happening::Audited(_)))
                && query.host.is_none_or(|host| entry.host == Some(host))
                && query.operation.is_none_or(|operation| entry.operation == Some(operation))
        };
        let entries = self.journal[start..end].iter();
        if query.latest_first {
            entries.rev().filter(wanted).take(query.limit).cloned().collect()
        } else {
            entries.filter(wanted).take(query.limit).cloned().collect()
        }
    }
}

fn bad_change(problem: String) -> Result<(), StoreError> {
    Err(StoreError::BadChange { problem })
}

fn matches(row: &HostRecord, filter: &HostFilter) -> bool {
    let has_text = |text: &String| {
        row.host.name.as_str().contains(text.as_str())
            || row.host.macs.iter().any(|mac| mac.to_string().contains(text.as_str()))
    };
    filter.phase.is_none_or(|phase| row.state.phase() == phase)
        && filter.server_type.as_ref().is_none_or(|key| row.host.server_type == *key)
        && filter.text.as_ref().is_none_or(has_text)
        && filter.after.as_ref().is_none_or(|after| row.host.name > *after)
}
