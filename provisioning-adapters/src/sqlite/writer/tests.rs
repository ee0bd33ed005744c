//! Group commit seen from inside: what shares a transaction, and what a failure leaves behind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use provisioning_core::ports::Retry;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::sqlite::connect;

struct Fixture {
    writer: Arc<Writer>,
    commits: Arc<AtomicUsize>,
    _dir: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = connect::writer(&dir.path().join("test.db")).unwrap();
        let commits = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&commits);
        let count = move || {
            counter.fetch_add(1, Ordering::Relaxed);
            false
        };
        connection.commit_hook(Some(count)).unwrap();
        Self { writer: Arc::new(Writer::new(connection, None, None)), commits, _dir: dir }
    }

    async fn note(&self, text: &'static str) -> Result<i64, StoreError> {
        self.writer.write(After::Commit, Touched::Nothing, move |tx| note(tx, text)).await
    }

    async fn notes(&self) -> i64 {
        let count = |tx: &Connection| Ok(tx.query_row("SELECT count(*) FROM journal", [], |row| row.get(0))?);
        self.writer.write(After::Commit, Touched::Nothing, count).await.unwrap()
    }

    /// Waits until so many jobs wait for the connection that the caller holds.
    async fn until_waiting(&self, jobs: usize) {
        while lock(&self.writer.queue).waiting.len() < jobs {
            tokio::task::yield_now().await;
        }
    }
}

fn note(tx: &Connection, text: &str) -> Result<i64, Fault> {
    tx.execute("INSERT INTO journal (at, source, what) VALUES (0, 'operator', ?1)", [text])?;
    Ok(tx.last_insert_rowid())
}

fn refused(tx: &Connection) -> Result<i64, Fault> {
    note(tx, "never to be seen")?;
    Err(unavailable("refused").into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_wait_together_share_one_commit_and_a_bad_one_fails_alone() {
    let fixture = Fixture::new();
    let mut jobs = JoinSet::new();
    {
        let writer = Arc::clone(&fixture.writer);
        let (is_held, held) = std::sync::mpsc::channel::<()>();
        let (let_go, release) = std::sync::mpsc::channel::<()>();
        let holder = spawn_blocking(move || {
            let _connection = lock(&writer.connection);
            is_held.send(()).unwrap();
            release.recv().unwrap();
        });
        held.recv().unwrap();
        for n in 0..64 {
            let writer = Arc::clone(&fixture.writer);
            jobs.spawn(async move {
                writer
                    .write(
                        After::Commit,
                        Touched::Nothing,
                        move |tx| if n == 17 { refused(tx) } else { note(tx, "good") },
                    )
                    .await
            });
        }
        fixture.until_waiting(64).await;
        let_go.send(()).unwrap();
        holder.await.unwrap();
    }
    let outcomes: Vec<_> = jobs.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
    assert_eq!(fixture.commits.load(Ordering::Relaxed), 1);
    let mut places: Vec<i64> = outcomes.into_iter().flatten().collect();
    places.sort_unstable();
    assert_eq!(places, (1..=63).collect::<Vec<_>>(), "a job that fails takes no place");
    assert_eq!(fixture.notes().await, 63);
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_no_wedge_and_its_work_is_done() {
    let fixture = Fixture::new();
    {
        let _held_up = lock(&fixture.writer.connection);
        let mut given_up = Box::pin(fixture.note("given up"));
        // Once polled, the job waits; then its caller goes away.
        assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    fixture.note("after").await.unwrap();
    assert_eq!(fixture.notes().await, 2);
}

#[tokio::test]
async fn a_job_that_panics_fails_its_batch_and_the_next_writer_leads() {
    let fixture = Fixture::new();
    let broken: Result<(), StoreError> = fixture
        .writer
        .write(After::Commit, Touched::Nothing, |tx| note(tx, "lost").map(|_| panic!("on purpose")))
        .await;
    assert!(matches!(broken, Err(StoreError::Unavailable { retry: Retry::Later, .. })), "{broken:?}");
    // What comes before the broken leader has let go fails with it, and may be tried again.
    while fixture.note("after").await.is_err() {}
    assert_eq!(fixture.notes().await, 1);
}

#[test]
fn a_runtime_that_has_ended_leaves_no_wedge() {
    let fixture = Fixture::new();
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ended = runtime();
    let handle = ended.handle().clone();
    ended.shutdown_background();
    {
        // The leader is dropped before it began: the pool that it was given to takes nothing more.
        let _inside = handle.enter();
        let mut waiting = Box::pin(fixture.note("never begun"));
        let outcome = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(outcome, Poll::Ready(Err(StoreError::Unavailable { retry: Retry::Later, .. }))));
    }
    runtime().block_on(async {
        fixture.note("after").await.unwrap();
        assert_eq!(fixture.notes().await, 1);
    });
}

#[tokio::test]
async fn a_full_disk_fails_what_does_not_fit_and_nothing_else() {
    let fixture = Fixture::new();
    let limit = |pages: i64| {
        let connection = lock(&fixture.writer.connection);
        let used: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update(None, "max_page_count", used + pages).unwrap();
    };
    let big = |tx: &Connection| note(tx, &"x".repeat(1_000_000));
    limit(4);
    let error = fixture.writer.write(After::Commit, Touched::Nothing, big).await.unwrap_err();
    assert!(matches!(error, StoreError::Unwritable { trouble: WriteTrouble::Full, .. }), "{error:?}");
    assert_eq!(*fixture.writer.trouble().borrow(), Some(WriteTrouble::Full));
    fixture.note("small").await.unwrap();
    assert_eq!(*fixture.writer.trouble().borrow(), None, "what fits is written, and so the trouble is over");
    limit(1_000);
    fixture.writer.write(After::Commit, Touched::Nothing, big).await.unwrap();
    assert_eq!(fixture.notes().await, 2);
}

#[tokio::test]
async fn a_commit_that_fails_fails_every_job_of_its_batch() {
    let fixture = Fixture::new();
    lock(&fixture.writer.connection).commit_hook(Some(|| true)).unwrap();
    let error = fixture.note("lost").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    lock(&fixture.writer.connection).commit_hook(None::<fn() -> bool>).unwrap();
    fixture.note("kept").await.unwrap();
    assert_eq!(fixture.notes().await, 1);
}
