//! Entries are found by host and operation whether they were put in their places or are still in the journal's tail.

use provisioning_core::conformance::Checked;
use provisioning_core::conformance::sample::{at, entry, host_id, operation_id};
use provisioning_core::ports::{JournalQuery, NewEntry, Prune, Store};

use super::InTempDir;

/// More than the tail may hold, of three hosts in turn, each with an operation of its own.
const ENTRIES: u8 = 200;
const ROUNDS: usize = 20;

fn batch() -> Vec<NewEntry> {
    (0..ENTRIES).map(|n| entry(Some(n % 3), Some(n % 3), &format!("entry {n}"))).collect()
}

/// How many entries were put in their places.
fn placed(fixture: &InTempDir) -> rusqlite::Result<i64> {
    fixture.raw().query_row("SELECT count(*) FROM places_of_hosts", [], |row| row.get(0))
}

#[tokio::test]
async fn each_filter_finds_the_same_before_and_after_entries_come_to_their_places() -> Checked {
    let fixture = InTempDir::new();
    let store = fixture.open();
    let mut expected = Vec::new();
    let mut came_to_places = 0;
    for _ in 0..ROUNDS {
        let before = placed(&fixture)?;
        store.append(batch()).await?;
        came_to_places += i32::from(placed(&fixture)? > before);
        let all = store.journal(&JournalQuery::after(0, usize::MAX)).await?;
        expected = all.into_iter().filter(|entry| entry.host == Some(host_id(1))).collect();
        let of_host = JournalQuery::of_host(host_id(1), usize::MAX);
        let of_operation = JournalQuery::of_operation(operation_id(1), usize::MAX);
        let of_both = JournalQuery { host: Some(host_id(1)), ..of_operation.clone() };
        for query in [of_host, of_operation, of_both] {
            assert_eq!(store.journal(&query).await?, expected, "{query:?}");
        }
        let nobodys = JournalQuery { host: Some(host_id(2)), ..JournalQuery::of_operation(operation_id(1), 9) };
        assert_eq!(store.journal(&nobodys).await?, []);
    }
    assert_eq!(came_to_places, 1, "once a tail has become long");
    // Pages from either end, across the border between the two.
    let last = expected.len() - 1;
    let (mut after, mut before, mut forth, mut back) = (0, None, Vec::new(), Vec::new());
    while forth.len() < expected.len() {
        let query = JournalQuery { after, ..JournalQuery::of_host(host_id(1), 97) };
        forth.extend(store.journal(&query).await?);
        after = forth[forth.len() - 1].seq;
        let query = JournalQuery { before, latest_first: true, ..JournalQuery::of_host(host_id(1), 97) };
        back.extend(store.journal(&query).await?);
        before = back.last().map(|entry| entry.seq);
    }
    back.reverse();
    assert_eq!((&forth, &back), (&expected, &expected), "{last}");
    Ok(())
}

#[tokio::test]
async fn a_pruned_entry_keeps_no_place() -> Checked {
    let fixture = InTempDir::new();
    let store = fixture.open();
    for _ in 0..ROUNDS {
        store.append(batch()).await?;
    }
    let (before, at_most) = (placed(&fixture)?, 500);
    let prune = Prune { journal_before: Some(at(100)), artefacts_before: None, at_most };
    assert_eq!(store.prune(&prune).await?.entries, at_most);
    assert_eq!(placed(&fixture)?, before - 500);
    let left = store.journal(&JournalQuery::of_host(host_id(0), usize::MAX)).await?;
    assert!(left.iter().all(|entry| entry.seq > 500) && !left.is_empty());
    Ok(())
}
