//! Several at once: callers of one store, and stores on one file.

use provisioning_adapters::sqlite::SqliteStore;
use provisioning_core::conformance::Checked;
use provisioning_core::conformance::sample::{entry, host, host_id, register};
use provisioning_core::machine::HostState;
use provisioning_core::ports::{Change, HostFilter, JournalQuery, Revision, Store, StoreError};
use tokio::task::JoinSet;

use super::InTempDir;

/// Changes host 1 on `revision` and tells of it.
fn edit(revision: Revision) -> Result<Change, Box<dyn std::error::Error + Send + Sync>> {
    let mut change = Change::to(host(1)?, HostState::Registered, Some(revision));
    change.journal = vec![entry(Some(1), None, "edited")];
    Ok(change)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_stores_that_race_for_a_revision_exactly_one_wins() -> Checked {
    let fixture = InTempDir::new();
    let stores = [fixture.open(), fixture.open()];
    register(&stores[0], 1).await?;
    for round in 1..=20 {
        let mut racers = JoinSet::new();
        for store in &stores {
            let (store, change) = (store.clone(), edit(Revision(round))?);
            racers.spawn(async move { store.commit(change).await });
        }
        let (won, lost): (Vec<_>, Vec<_>) = racers.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 1));
        assert!(matches!(lost[0], Err(StoreError::Stale { found, .. }) if found == Revision(round + 1)), "{lost:?}");
        for store in &stores {
            assert_eq!(store.last_seq().await?, round, "each sees what the other committed");
        }
    }
    Ok(())
}

/// Where the other process of the next test finds the database.
const SHARED: &str = "PROVISIONING_TEST_SHARED_DATABASE";

/// Edits host 1 so many times; whoever comes second reads the row again.
async fn edit_in_a_race(store: &SqliteStore, times: u32) -> Checked {
    for _ in 0..times {
        loop {
            let row = store.host(host_id(1)).await?.ok_or("host 1 is registered")?;
            match store.commit(edit(row.revision)?).await {
                Ok(_) => break,
                Err(StoreError::Stale { found, .. }) => assert!(found > row.revision),
                Err(other) => return Err(other.into()),
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn two_processes_lose_no_edit_of_each_other() -> Checked {
    const EDITS: u32 = 60;
    if let Some(path) = std::env::var_os(SHARED) {
        return edit_in_a_race(&SqliteStore::open(path.as_ref())?, EDITS).await;
    }
    let fixture = InTempDir::new();
    let store = fixture.open();
    register(&store, 1).await?;
    let mut other = std::process::Command::new(std::env::current_exe()?)
        .args(["--exact", "together::two_processes_lose_no_edit_of_each_other"])
        .env(SHARED, fixture.path())
        .spawn()?;
    // They are to meet: not before the other one has begun.
    while store.last_seq().await? == 0 && other.try_wait()?.is_none() {
        tokio::task::yield_now().await;
    }
    let ours = edit_in_a_race(&store, EDITS).await;
    assert!(other.wait()?.success());
    ours?;
    let edits = u64::from(EDITS) * 2;
    assert_eq!(store.host(host_id(1)).await?.map(|row| row.revision), Some(Revision(edits + 1)));
    assert_eq!(store.last_seq().await?, edits);
    let journal = store.journal(&JournalQuery::after(0, usize::MAX)).await?;
    assert!(journal.iter().map(|entry| entry.seq).eq(1..=edits), "no place is missing and none is given twice");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_skips_no_entry_of_two_stores() -> Checked {
    let fixture = InTempDir::new();
    let reader = fixture.open();
    let mut writers = JoinSet::new();
    for store in [fixture.open(), fixture.open()] {
        writers.spawn(async move {
            for _ in 0..50 {
                store.append(vec![entry(None, None, "x"), entry(None, None, "y")]).await?;
            }
            Ok::<(), StoreError>(())
        });
    }
    let mut last = 0;
    while last < 200 {
        for found in reader.journal(&JournalQuery::after(last, 9)).await? {
            assert_eq!(found.seq, last + 1);
            last = found.seq;
        }
        tokio::task::yield_now().await;
    }
    for outcome in writers.join_all().await {
        outcome?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_commits_at_once_all_land_but_the_bad_one() -> Checked {
    let fixture = InTempDir::new();
    let store = fixture.open();
    let mut commits = JoinSet::new();
    for n in 0..64 {
        let store = store.clone();
        let mut change = Change::to(host(n)?, HostState::Registered, (n == 17).then_some(Revision(3)));
        change.journal = vec![entry(Some(n), None, "registered")];
        commits.spawn(async move { (n, store.commit(change).await) });
    }
    let mut places = Vec::new();
    for (n, outcome) in commits.join_all().await {
        match outcome {
            Ok(committed) => places.push(committed.last_seq),
            Err(StoreError::NoSuchHost(id)) => assert_eq!((n, id), (17, host_id(17))),
            Err(other) => return Err(other.into()),
        }
    }
    places.sort_unstable();
    assert_eq!(places, (1..=63).collect::<Vec<_>>());
    assert_eq!(store.hosts(&HostFilter::default()).await?.len(), 63);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_are_cancelled_wedge_nobody() -> Checked {
    let fixture = InTempDir::new();
    let store = fixture.open();
    for n in 0..40 {
        let (writer, reader) = (store.clone(), store.clone());
        let change = Change::to(host(n)?, HostState::Registered, None);
        let writing = tokio::spawn(async move { writer.commit(change).await });
        let reading = tokio::spawn(async move { reader.hosts(&HostFilter::default()).await });
        writing.abort();
        reading.abort();
        store.append(vec![entry(None, None, "still here")]).await?;
    }
    assert_eq!(store.last_seq().await?, 40);
    Ok(())
}

#[tokio::test]
async fn what_was_committed_survives_a_kill() -> Checked {
    let fixture = InTempDir::new();
    let store = fixture.open();
    register(&store, 1).await?;
    store.commit(edit(Revision(1))?).await?;
    // The files as a killed process would leave them: the log not yet moved into the database, nothing closed.
    let left = InTempDir::new();
    for suffix in ["", "-wal"] {
        let name = format!("provisioning.db{suffix}");
        std::fs::copy(fixture.dir.path().join(&name), left.dir.path().join(&name))?;
    }
    let after = left.open();
    assert_eq!(after.host(host_id(1)).await?.map(|row| row.revision), Some(Revision(2)));
    assert_eq!(after.last_seq().await?, 1);
    Ok(())
}

#[test]
fn a_paused_clock_does_not_run_ahead_of_a_commit() -> Checked {
    let fixture = InTempDir::new();
    let store = fixture.open();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let patience = std::time::Duration::from_millis(1);
        for n in 0..20 {
            let change = Change::to(host(n)?, HostState::Registered, None);
            tokio::time::timeout(patience, store.commit(change)).await??;
        }
        Ok(())
    })
}
