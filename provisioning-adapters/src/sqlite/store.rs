//! The `Store` port: each method hands a read to the readers or a write to the writer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use provisioning_core::machine::Phase;
use provisioning_core::model::{
    Artefact, HostId, Hostname, Image, ImageId, MacAddr, Operation, OperationId, Timestamp,
};
use provisioning_core::netboot::DiscoveredMachine;
use provisioning_core::ports::{
    Change, Committed, HostFilter, HostRecord, JournalEntry, JournalQuery, NewEntry, Prune, Pruned, Revision, Store,
    StoreError, Work, WorkId, WriteTrouble,
};
use rusqlite::Connection;
use tokio::sync::watch;

use super::connect::{self, OpenError};
use super::fault::Fault;
use super::prepared::{Line, Prepared};
use super::readers::Readers;
use super::recall::{Epoch, Recall, Touched};
use super::seal::SealingKey;
use super::vault::SqliteVault;
use super::writer::{After, OnCommit, Writer};
use super::{discovered, pruning, reads, writes};

/// A store in one SQLite file. Clones share its connections.
///
/// Several processes may have the same file open: their commits follow one another, and a revision decides
/// between two that meet. Its methods must be called within a tokio runtime.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use provisioning_adapters::sqlite::SqliteStore;
/// use provisioning_core::ports::Store;
///
/// let dir = tempfile::tempdir()?;
/// let store = SqliteStore::open(&dir.path().join("provisioning.db"))?;
/// assert_eq!(store.last_seq().await?, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore {
    // Dropped before the writer, which as the last to close empties the write-ahead log.
    readers: Arc<Readers>,
    pub(super) writer: Arc<Writer>,
    /// What need not be read again; `None` where others may write the file.
    recall: Option<Arc<Recall>>,
}

impl SqliteStore {
    /// Opens the database at `path`, and makes it (mode 0600) when there is none. Blocks for some milliseconds, or
    /// longer while another process changes the tables.
    ///
    /// # Errors
    /// See [`OpenError`]. A file of a newer release, of another program, or without permission to write it is left
    /// as it is.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, None, None)
    }

    /// As [`open`](Self::open), for a process that alone writes the file, by this value and its clones: it keeps in
    /// memory what machines ask for again and again. `on_commit` is told of each commit, from a thread that may block
    /// but should not.
    ///
    /// # Errors
    /// The same.
    pub fn open_alone(path: &Path, on_commit: OnCommit) -> Result<Self, OpenError> {
        Self::open_with(path, Some(on_commit), Some(Arc::default()))
    }

    fn open_with(path: &Path, on_commit: Option<OnCommit>, recall: Option<Arc<Recall>>) -> Result<Self, OpenError> {
        let writer = Writer::new(connect::writer(path)?, on_commit, recall.clone());
        Ok(Self { readers: Arc::new(Readers::new(path.into())), writer: Arc::new(writer), recall })
    }

    /// What keeps it from writing, as the last write or [`check_writable`](Self::check_writable) has found; `None` while
    /// nothing does.
    pub fn write_trouble(&self) -> watch::Receiver<Option<WriteTrouble>> {
        self.writer.trouble()
    }

    /// Writes a page to the disk that says what it said before.
    ///
    /// # Errors
    /// What a write would get now.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        self.write(After::Commit, |tx| {
            let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok(tx.pragma_update(None, "user_version", version)?)
        })
        .await
    }

    /// The vault in the same file, sealed under `key`.
    pub fn vault(&self, key: SealingKey) -> SqliteVault {
        SqliteVault::new(self.clone(), key)
    }

    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
        T: Send + 'static,
    {
        self.readers.read(read).await
    }

    /// Answers from memory what is kept there, else reads it, and keeps what was found.
    async fn recalled<T, F>(
        &self,
        kept: impl FnOnce(&Recall) -> Option<T>,
        read: F,
        keep: impl FnOnce(&Recall, Epoch, &T),
    ) -> Result<Option<T>, StoreError>
    where
        F: FnOnce(&Connection) -> Result<Option<T>, Fault> + Send + 'static,
        T: Send + 'static,
    {
        let Some(recall) = &self.recall else { return self.read(read).await };
        if let Some(kept) = kept(recall) {
            return Ok(Some(kept));
        }
        let epoch = recall.epoch();
        let found = self.read(read).await?;
        if let Some(found) = &found {
            keep(recall, epoch, found);
        }
        Ok(found)
    }

    /// Writes what may touch any row.
    pub(super) async fn write<T, F>(&self, after: After, write: F) -> Result<T, StoreError>
    where
        F: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.write(after, Touched::Everything, write).await
    }

    /// Writes what touches this much.
    pub(super) async fn write_to<T, F>(&self, touched: Touched, write: F) -> Result<T, StoreError>
    where
        F: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.write(After::Commit, touched, write).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, change: Change) -> Result<Committed, StoreError> {
        let change = Prepared::of(change)?;
        self.write_to(Touched::Host(change.host()), move |tx| change.write(tx)).await
    }

    async fn remove_host(&self, id: HostId, expected: Revision, entry: NewEntry) -> Result<(), StoreError> {
        self.write(After::Commit, move |tx| writes::remove_host(tx, id, expected, &entry)).await
    }

    async fn append(&self, entries: Vec<NewEntry>) -> Result<u64, StoreError> {
        let lines = Line::all(&entries)?;
        self.write_to(Touched::Nothing, move |tx| writes::append_and_tell(tx, &lines)).await
    }

    async fn host(&self, id: HostId) -> Result<Option<HostRecord>, StoreError> {
        self.recalled(|kept| kept.host(id), move |db| reads::host(db, id), Recall::keep_host).await
    }

    async fn host_by_name(&self, name: &Hostname) -> Result<Option<HostRecord>, StoreError> {
        let name = name.clone();
        self.read(move |db| reads::host_by_name(db, &name)).await
    }

    async fn host_by_mac(&self, mac: MacAddr) -> Result<Option<HostRecord>, StoreError> {
        self.recalled(|kept| kept.host_by_mac(mac), move |db| reads::host_by_mac(db, mac), Recall::keep_host).await
    }

    async fn hosts(&self, filter: &HostFilter) -> Result<Vec<HostRecord>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| reads::hosts(db, &filter)).await
    }

    async fn count_by_phase(&self) -> Result<BTreeMap<Phase, u64>, StoreError> {
        self.read(reads::count_by_phase).await
    }

    async fn overdue(&self, at: Timestamp) -> Result<Vec<HostId>, StoreError> {
        self.read(move |db| reads::overdue(db, at)).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(reads::next_deadline).await
    }

    async fn operation(&self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        self.recalled(|kept| kept.operation(id), move |db| reads::operation(db, id), Recall::keep_operation).await
    }

    async fn operations_of(&self, host: HostId) -> Result<Vec<Operation>, StoreError> {
        self.read(move |db| reads::operations_of(db, host)).await
    }

    async fn artefacts(&self, operation: OperationId) -> Result<Vec<Artefact>, StoreError> {
        self.read(move |db| reads::artefacts(db, operation)).await
    }

    async fn journal(&self, query: &JournalQuery) -> Result<Vec<JournalEntry>, StoreError> {
        let query = query.clone();
        self.read(move |db| reads::journal(db, &query)).await
    }

    async fn last_seq(&self) -> Result<u64, StoreError> {
        self.read(reads::last_seq).await
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        let prune = *prune;
        self.write(After::Commit, move |tx| pruning::prune(tx, &prune)).await
    }

    async fn pruned_to(&self) -> Result<u64, StoreError> {
        self.read(pruning::pruned_to).await
    }

    async fn work(&self) -> Result<Vec<Work>, StoreError> {
        self.read(reads::work).await
    }

    async fn reschedule(&self, work: &Work, entry: Option<NewEntry>) -> Result<bool, StoreError> {
        let work = work.clone();
        self.write_to(Touched::Nothing, move |tx| writes::reschedule(tx, &work, entry.as_ref())).await
    }

    async fn settle(&self, id: WorkId, entry: Option<NewEntry>) -> Result<bool, StoreError> {
        self.write_to(Touched::Nothing, move |tx| writes::settle(tx, id, entry.as_ref())).await
    }

    async fn insert_image(&self, image: &Image, entry: NewEntry) -> Result<(), StoreError> {
        let image = image.clone();
        self.write(After::Commit, move |tx| writes::insert_image(tx, &image, &entry)).await
    }

    async fn images(&self) -> Result<Vec<Image>, StoreError> {
        self.read(reads::images).await
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        self.recalled(|kept| kept.image(id), move |db| reads::image(db, id), Recall::keep_image).await
    }

    async fn default_image(&self) -> Result<Option<ImageId>, StoreError> {
        self.read(reads::default_image).await
    }

    async fn choose_default_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError> {
        self.write(After::Commit, move |tx| writes::choose_default_image(tx, id, &entry)).await
    }

    async fn remove_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError> {
        self.write(After::Commit, move |tx| writes::remove_image(tx, id, &entry)).await
    }

    async fn keep_discovered(
        &self,
        machine: &DiscoveredMachine,
        at_most: usize,
        entry: Option<NewEntry>,
    ) -> Result<bool, StoreError> {
        let machine = machine.clone();
        self.write_to(Touched::Nothing, move |tx| discovered::keep(tx, &machine, at_most, entry.as_ref())).await
    }

    async fn discovered(&self) -> Result<Vec<DiscoveredMachine>, StoreError> {
        self.read(discovered::all).await
    }

    async fn discovered_by_mac(&self, mac: MacAddr) -> Result<Option<DiscoveredMachine>, StoreError> {
        self.read(move |db| discovered::by_mac(db, mac)).await
    }
}
