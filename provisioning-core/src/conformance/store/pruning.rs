//! What the `Store` contract says of dropping what is old.

use super::super::rule::Checked;
use super::super::sample::{artefact, at, entry, host_id, operation, operation_id, register};
use super::StoreFixture;
use crate::machine::HostState;
use crate::model::ArtefactKind;
use crate::ports::{Change, JournalQuery, NewEntry, Prune, Pruned, Revision, Store, StoreError};

/// Drops what is older than so many seconds after the beginning.
fn before(seconds: u32, at_most: usize) -> Prune {
    Prune { journal_before: Some(at(seconds)), artefacts_before: Some(at(seconds)), at_most }
}

async fn places(store: &impl Store) -> Result<Vec<u64>, StoreError> {
    Ok(store.journal(&JournalQuery::after(0, 100)).await?.into_iter().map(|entry| entry.seq).collect())
}

/// Entries and artefacts of before a time, the oldest first and no more than `at_most` of each, up to the first entry
/// that is younger; `pruned_to` is the last place that was dropped, 0 before anything was, also after a crash.
pub async fn pruning_drops_the_oldest_and_tells_up_to_where(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    assert_eq!(store.pruned_to().await?, 0);
    let entries = [10, 20, 30, 40, 25, 50].map(|second| NewEntry { at: at(second), ..entry(None, None, "x") });
    store.append(entries.to_vec()).await?;
    let nothing = Prune { journal_before: None, artefacts_before: None, at_most: 9 };
    assert_eq!(store.prune(&nothing).await?, Pruned::default());
    assert_eq!(store.prune(&before(10, 9)).await?, Pruned::default());
    assert_eq!(store.prune(&before(35, 2)).await?, Pruned { entries: 2, artefacts: 0 });
    assert_eq!((places(&store).await?, store.pruned_to().await?), (vec![3, 4, 5, 6], 2));
    let store = fixture.reopen(store).await;
    assert_eq!(store.pruned_to().await?, 2);
    assert_eq!(store.prune(&before(35, 9)).await?, Pruned { entries: 1, artefacts: 0 });
    assert_eq!((places(&store).await?, store.pruned_to().await?), (vec![4, 5, 6], 3));
    assert_eq!(store.prune(&before(35, 9)).await?, Pruned::default());
    let behind = store.journal(&JournalQuery::after(4, 9)).await?;
    assert_eq!(behind.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [5, 6]);
    Ok(())
}

/// With its entries and artefacts; the journal's last entry stays too, so that places go on from there.
pub async fn pruning_keeps_the_last_operation_of_each_host(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    register(&store, 1).await?;
    register(&store, 2).await?;
    for (n, host, revision) in [(1, 1, 1), (2, 1, 2), (3, 2, 1)] {
        let known = super::super::sample::host(host)?;
        let mut change = Change::to(known, HostState::Registered, Some(Revision(revision)));
        change.operation = Some(operation(n, host, 1)?);
        change.artefacts = vec![(operation_id(n), artefact(ArtefactKind::Answer, "old"))];
        change.journal = vec![entry(Some(host), Some(n), "x")];
        store.commit(change).await?;
    }
    store.append(vec![entry(Some(1), None, "of no operation"), entry(None, None, "the last")]).await?;
    let last = store.last_seq().await?;
    while store.prune(&before(1_000, 1)).await? != Pruned::default() {}
    for (n, texts) in [(1, 0), (2, 1), (3, 1)] {
        let left = store.journal(&JournalQuery::after(0, 100)).await?;
        let kept = left.iter().filter(|entry| entry.operation == Some(operation_id(n))).count();
        assert_eq!((kept, store.artefacts(operation_id(n)).await?.len()), (texts, texts), "operation {n}");
    }
    assert_eq!(store.pruned_to().await?, last - 1);
    assert_eq!(store.operations_of(host_id(1)).await?.len(), 2, "operations themselves are kept");
    let store = fixture.reopen(store).await;
    assert_eq!(store.last_seq().await?, last);
    store.append(vec![entry(None, None, "the next")]).await?;
    assert_eq!(store.last_seq().await?, last + 1);
    Ok(())
}
