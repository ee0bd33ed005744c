//! What the `Store` contract says of the journal.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::super::rule::Checked;
use super::super::sample::{entry, host, host_id, operation_id, register};
use super::StoreFixture;
use crate::machine::HostState;
use crate::ports::{AccessPath, AuditRecord, Change, Happening, JournalQuery, NewEntry, Revision, Store, StoreError};

/// Places rise, entries of one commit are neighbours in their order, no place is given twice, not even after
/// entries' hosts are removed.
pub async fn the_journal_keeps_the_order_of_commits(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    assert_eq!(store.last_seq().await?, 0);
    let mut change = Change::to(host(1)?, HostState::Registered, None);
    change.journal = vec![entry(Some(1), None, "a"), entry(Some(1), None, "b")];
    assert_eq!(store.commit(change).await?.last_seq, 2);
    assert_eq!(store.commit(Change::to(host(2)?, HostState::Registered, None)).await?.last_seq, 2);
    assert_eq!(store.append(vec![entry(None, None, "c"), entry(None, None, "d")]).await?, 4);
    store.remove_host(host_id(1), Revision(1), entry(Some(1), None, "e")).await?;
    let store = fixture.reopen(store).await;
    store.append(vec![entry(None, None, "f")]).await?;
    assert_eq!(store.last_seq().await?, 6);
    let expected = [Some(1), Some(1), None, None, Some(1), None]
        .into_iter()
        .zip(["a", "b", "c", "d", "e", "f"])
        .zip(1..)
        .map(|((host, text), seq)| entry(host, None, text).at_place(seq))
        .collect::<Vec<_>>();
    assert_eq!(store.journal(&JournalQuery::after(0, 100)).await?, expected);
    assert_eq!(store.journal(&JournalQuery::after(2, 3)).await?, expected[2..5]);
    assert_eq!(store.journal(&JournalQuery::after(6, 100)).await?, []);
    assert_eq!(store.journal(&JournalQuery::after(u64::MAX, usize::MAX)).await?, []);
    Ok(())
}

/// Once an entry is visible, none with a smaller place appears later.
pub async fn a_reader_never_skips_an_entry(fixture: &impl StoreFixture) -> Checked {
    const WRITERS: u8 = 8;
    const ROUNDS: u8 = 20;
    let store = Arc::new(fixture.fresh().await);
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for round in 0..ROUNDS {
                let text = format!("{n}.{round}");
                store.append(vec![entry(None, None, &text), entry(None, None, &text)]).await?;
            }
            Ok::<(), StoreError>(())
        });
    }
    let total = u64::from(WRITERS) * u64::from(ROUNDS) * 2;
    let mut last = 0;
    while last < total {
        for found in store.journal(&JournalQuery::after(last, 7)).await? {
            assert_eq!(found.seq, last + 1);
            last = found.seq;
        }
        tokio::task::yield_now().await;
    }
    for outcome in writers.join_all().await {
        outcome?;
    }
    assert_eq!(store.last_seq().await?, total);
    let all = store.journal(&JournalQuery::after(0, 1_000)).await?;
    for pair in all.chunks(2) {
        assert_eq!(pair[0].what, pair[1].what, "entries of one commit are neighbours");
    }
    Ok(())
}

/// The filters of a query, alone and together.
pub async fn entries_are_found_by_host_and_operation(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    register(&store, 1).await?;
    let pairs = [(Some(1), Some(1)), (Some(1), Some(2)), (Some(2), Some(1)), (Some(2), None), (None, None)];
    store.append(pairs.iter().map(|(host, operation)| entry(*host, *operation, "x")).collect()).await?;
    let places = async |query: JournalQuery| -> Result<Vec<u64>, StoreError> {
        Ok(store.journal(&query).await?.into_iter().map(|entry| entry.seq).collect())
    };
    assert_eq!(places(JournalQuery::of_host(host_id(1), 9)).await?, [1, 2]);
    assert_eq!(places(JournalQuery::of_host(host_id(2), 1)).await?, [3]);
    assert_eq!(places(JournalQuery::of_operation(operation_id(1), 9)).await?, [1, 3]);
    let both = JournalQuery { operation: Some(operation_id(1)), ..JournalQuery::of_host(host_id(2), 9) };
    assert_eq!(places(both.clone()).await?, [3]);
    assert_eq!(places(JournalQuery { after: 3, ..both }).await?, [0; 0]);
    assert_eq!(places(JournalQuery::after(0, 0)).await?, [0; 0]);
    Ok(())
}

/// Audited entries are found by themselves, and any query's from either end, between two places.
pub async fn audited_entries_are_found_by_themselves(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    register(&store, 1).await?;
    let audited = |host, status| NewEntry { what: Happening::Audited(audit_record(status)), ..entry(host, None, "x") };
    let entries = vec![
        entry(Some(1), None, "x"),
        audited(Some(1), 200),
        audited(Some(2), 409),
        entry(Some(2), Some(1), "x"),
        audited(None, 401),
    ];
    store.append(entries).await?;
    let places = async |query: JournalQuery| -> Result<Vec<u64>, StoreError> {
        Ok(store.journal(&query).await?.into_iter().map(|entry| entry.seq).collect())
    };
    assert_eq!(places(JournalQuery::audit(9)).await?, [5, 3, 2]);
    assert_eq!(places(JournalQuery::audit(2)).await?, [5, 3]);
    assert_eq!(places(JournalQuery { before: Some(3), ..JournalQuery::audit(9) }).await?, [2]);
    assert_eq!(places(JournalQuery { latest_first: false, after: 2, ..JournalQuery::audit(9) }).await?, [3, 5]);
    assert_eq!(places(JournalQuery { host: Some(host_id(2)), ..JournalQuery::audit(9) }).await?, [3]);
    let all = JournalQuery { latest_first: true, ..JournalQuery::after(0, 9) };
    assert_eq!(places(all.clone()).await?, [5, 4, 3, 2, 1]);
    assert_eq!(places(JournalQuery { after: 1, before: Some(4), ..all }).await?, [3, 2]);
    let of_host = JournalQuery { latest_first: true, ..JournalQuery::of_host(host_id(2), 1) };
    assert_eq!(places(of_host).await?, [4]);
    Ok(())
}

fn audit_record(status: u16) -> AuditRecord {
    AuditRecord {
        by: Some("admin".to_owned()),
        via: AccessPath::Token,
        from: None,
        action: "rebuild a host".to_owned(),
        subject: "pve-01".to_owned(),
        status,
    }
}
