//! Group commit: writers that wait together share one transaction, and so one fsync.
//!
//! The first of them becomes the leader: it takes all that wait, runs one after the other, commits, and answers each
//! only then. It goes on while more wait, and resigns when none does. The leader runs inside `spawn_blocking` and not
//! on a thread of its own, since under a paused clock tokio would leap over every time-out while such a thread works.
//!
//! A job that is refused has mostly written nothing by then. When one has, all of them are run once more, each in a
//! savepoint of its own. So a job's work is done anew from its beginning, maybe more than once, until it is answered.
//!
//! A caller that gives up (its future is dropped) takes nothing back: what it has asked for is still done. So a
//! machine's report is not lost because the machine has closed its connection.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use provisioning_core::ports::{StoreError, WriteTrouble};
use rusqlite::{Connection, Transaction, TransactionBehavior, ffi};
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;

use super::connect::BUSY_TIMEOUT;
use super::draft::suffixed;
use super::fault::{Fault, retry, unavailable, write_trouble};
use super::places;
use super::recall::{Recall, Touched};

/// So many jobs share a transaction at most; it bounds what one of them waits for.
const BATCH_MAX: usize = 1024;

/// How long emptying the write-ahead log waits for readers. All writers wait with it, so it is short; whoever
/// asked for it tries again later.
const EMPTYING_PATIENCE: Duration = Duration::from_millis(250);

/// What a job needs beyond its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing.
    Commit,
    /// That the write-ahead log, which keeps what pages held before, is empty as well.
    EmptyLog,
}

/// Is told how long each commit took that came to the disk, with all that shared it.
pub type OnCommit = Arc<dyn Fn(Duration) + Send + Sync>;

/// The one connection that writes, and those who wait for it.
pub(super) struct Writer {
    queue: Mutex<Queue>,
    connection: Mutex<Connection>,
    on_commit: Option<OnCommit>,
    trouble: watch::Sender<Option<WriteTrouble>>,
    recall: Option<Arc<Recall>>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("queue", &self.queue).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Box<dyn Job>>,
    has_leader: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Queue({} waiting, has_leader: {})", self.waiting.len(), self.has_leader)
    }
}

impl Writer {
    pub(super) fn new(connection: Connection, on_commit: Option<OnCommit>, recall: Option<Arc<Recall>>) -> Self {
        Self {
            queue: Mutex::default(),
            connection: Mutex::new(connection),
            on_commit,
            trouble: watch::Sender::new(None),
            recall,
        }
    }

    /// What keeps it from writing, as far as the last write tells.
    pub(super) fn trouble(&self) -> watch::Receiver<Option<WriteTrouble>> {
        self.trouble.subscribe()
    }

    /// Takes note of how a write went, and says what has changed: once, however many writes meet the same trouble.
    fn note<T>(&self, outcome: &Result<T, StoreError>) {
        let now = match outcome {
            Ok(_) => None,
            Err(StoreError::Unwritable { trouble, .. }) => Some(*trouble),
            Err(_) => return,
        };
        let has_changed = self.trouble.send_if_modified(|known| std::mem::replace(known, now) != now);
        match now {
            Some(trouble) if has_changed => {
                tracing::error!(what_to_do = trouble.advice(), "the database takes no writes: {trouble}");
            }
            None if has_changed => tracing::info!("the database takes writes again"),
            _ => {}
        }
    }

    /// Runs `work` in a transaction, maybe more than once, and returns after it is on the disk and what it `touched` is
    /// no longer kept in memory. An error of `work` undoes what it did and touches no other job.
    pub(super) async fn write<T, F>(self: &Arc<Self>, after: After, touched: Touched, work: F) -> Result<T, StoreError>
    where
        F: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
        T: Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let must_lead = {
            let mut queue = lock(&self.queue);
            queue.waiting.push(Box::new(Task { work, outcome: None, after, touched, caller }));
            !std::mem::replace(&mut queue.has_leader, true)
        };
        if must_lead {
            let leader = Leader { writer: Some(Arc::clone(self)) };
            drop(spawn_blocking(move || leader.lead()));
        }
        let outcome = match answer.await {
            // What the work held is dropped here: the leader shall not spend its time on that.
            Ok((outcome, _work)) => outcome,
            Err(_) => Err(unavailable("the writer was broken off")),
        };
        self.note(&outcome);
        outcome
    }

    fn commit_and_answer(&self, connection: &mut Connection, mut batch: Vec<Box<dyn Job>>) {
        let began = Instant::now();
        let outcome = transact(connection, &mut batch);
        if let Some(recall) = &self.recall {
            // A commit that failed may be on the disk all the same.
            recall.forget(batch.iter().map(|job| job.touched()));
        }
        if let Err(failed) = outcome {
            tracing::debug!(error = %failed.error, jobs = batch.len(), "a commit failed");
            return answer(batch, Some(&failed.looked_into(connection)));
        }
        if let Some(on_commit) = &self.on_commit {
            on_commit(began.elapsed());
        }
        let (patient, done): (Vec<_>, Vec<_>) = batch.into_iter().partition(|job| job.after() == After::EmptyLog);
        answer(done, None);
        if !patient.is_empty() {
            let failed = empty_log(connection).err().map(|error| Failed::from(error).looked_into(connection));
            answer(patient, failed.as_ref());
        }
    }
}

/// Whoever holds it leads. Dropped without having resigned (the runtime ended before it ran, or a job panicked) it
/// lets those who wait know, and the next writer leads.
struct Leader {
    writer: Option<Arc<Writer>>,
}

impl Leader {
    fn lead(mut self) {
        let Some(writer) = self.writer.clone() else { return };
        let mut connection = lock(&writer.connection);
        while let Some(batch) = self.next_batch(&writer) {
            writer.commit_and_answer(&mut connection, batch);
        }
    }

    /// All that wait, up to the limit; `None`, and this leader has resigned, when none does.
    fn next_batch(&mut self, writer: &Writer) -> Option<Vec<Box<dyn Job>>> {
        let mut queue = lock(&writer.queue);
        if queue.waiting.is_empty() {
            queue.has_leader = false;
            self.writer = None;
            return None;
        }
        let size = queue.waiting.len().min(BATCH_MAX);
        Some(queue.waiting.drain(..size).collect())
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            let mut queue = lock(&writer.queue);
            queue.has_leader = false;
            let unanswered = std::mem::take(&mut queue.waiting);
            drop(queue);
            // Dropping them tells their callers.
            drop(unanswered);
        }
    }
}

fn answer(batch: Vec<Box<dyn Job>>, failed: Option<&Failed>) {
    for job in batch {
        job.answer(failed);
    }
}

/// Runs all jobs in one transaction; those that are refused take no part in it.
fn transact(connection: &mut Connection, batch: &mut [Box<dyn Job>]) -> Result<(), Failed> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in &mut *batch {
        let written = tx.total_changes();
        let is_kept = job.run(&tx);
        still_open(&tx, &**job)?;
        if !is_kept && tx.total_changes() != written {
            tx.rollback()?;
            return transact_apart(connection, batch);
        }
    }
    finish(tx)
}

/// The same, with each job in a savepoint: a job that is refused after it has written something is undone alone. The
/// other way round costs less, since SQLite copies each page that is written within a savepoint.
fn transact_apart(connection: &mut Connection, batch: &mut [Box<dyn Job>]) -> Result<(), Failed> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in batch {
        tx.execute_batch("SAVEPOINT job")?;
        let is_kept = job.run(&tx);
        still_open(&tx, &**job)?;
        tx.execute_batch(if is_kept { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" })?;
    }
    finish(tx)
}

/// After some failures of the disk SQLite undoes the whole transaction by itself, and what follows would each be
/// committed alone.
fn still_open(tx: &Connection, job: &dyn Job) -> Result<(), Failed> {
    if tx.is_autocommit() {
        let why = "the transaction was undone after a failure of the disk".to_owned();
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ABORT), Some(why));
        return Err(Failed { error: Arc::new(error), trouble: job.trouble() });
    }
    Ok(())
}

fn finish(tx: Transaction<'_>) -> Result<(), Failed> {
    places::keep_up(&tx)?;
    Ok(tx.commit()?)
}

/// Moves all of the write-ahead log into the database and cuts it to nothing.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(EMPTYING_PATIENCE)?;
    let blocked = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if blocked? {
        let why = "a long read keeps the write-ahead log from being emptied".to_owned();
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), Some(why)));
    }
    Ok(())
}

/// Why a transaction came to nothing: the same for all whom it hits.
struct Failed {
    error: Arc<rusqlite::Error>,
    trouble: Option<WriteTrouble>,
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        let trouble = write_trouble(&error);
        Self { error: Arc::new(error), trouble }
    }
}

impl Failed {
    /// SQLite calls it a failing disk, too, when a file system becomes read-only while it is in use: a new file shows
    /// which of the two it is.
    fn looked_into(self, connection: &Connection) -> Self {
        if self.trouble != Some(WriteTrouble::Failing) {
            return self;
        }
        let Some(probe) = connection.path().map(|path| suffixed(Path::new(path), ".probe")) else { return self };
        let trouble = match fs::OpenOptions::new().write(true).create_new(true).open(&probe) {
            Ok(_) => {
                fs::remove_file(&probe).ok();
                WriteTrouble::Failing
            }
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => WriteTrouble::ReadOnly,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => WriteTrouble::Full,
            Err(_) => WriteTrouble::Failing,
        };
        Self { trouble: Some(trouble), ..self }
    }

    fn told(&self) -> StoreError {
        let source = Arc::clone(&self.error).into();
        match self.trouble {
            Some(trouble) => StoreError::Unwritable { trouble, source },
            None => StoreError::Unavailable { retry: retry(&self.error), source },
        }
    }
}

/// A piece of work with the one who waits for it.
trait Job: Send {
    /// Does the work, from its beginning each time; whether its changes are to be kept.
    fn run(&mut self, tx: &Connection) -> bool;
    fn after(&self) -> After;
    fn touched(&self) -> Touched;
    /// Tells the caller. What was found in a transaction that came to nothing counts for nothing either: even a
    /// refusal may rest on the changes of another job.
    fn answer(self: Box<Self>, failed: Option<&Failed>);
    /// What was wrong with the disk, when that is what its work has met.
    fn trouble(&self) -> Option<WriteTrouble>;
}

struct Task<T, F> {
    work: F,
    outcome: Option<Result<T, Fault>>,
    after: After,
    touched: Touched,
    caller: oneshot::Sender<(Result<T, StoreError>, F)>,
}

impl<T, F> Job for Task<T, F>
where
    F: Fn(&Connection) -> Result<T, Fault> + Send,
    T: Send,
{
    fn run(&mut self, tx: &Connection) -> bool {
        self.outcome = Some((self.work)(tx));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn after(&self) -> After {
        self.after
    }

    fn touched(&self) -> Touched {
        self.touched
    }

    fn trouble(&self) -> Option<WriteTrouble> {
        match &self.outcome {
            Some(Err(Fault::Sql(error))) => write_trouble(error),
            _ => None,
        }
    }

    fn answer(self: Box<Self>, failed: Option<&Failed>) {
        let answer = match (failed, self.outcome) {
            (Some(failed), _) => Err(failed.told()),
            (None, Some(outcome)) => outcome.map_err(StoreError::from),
            (None, None) => Err(unavailable("the writer did not come to it")),
        };
        // A caller that has gone needs no answer.
        self.caller.send((answer, self.work)).ok();
    }
}

/// A panic of a job ends its transaction by unwinding; what the lock guards is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
