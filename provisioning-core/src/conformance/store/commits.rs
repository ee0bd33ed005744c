//! What the `Store` contract says of commits.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::super::rule::{Checked, refusal};
use super::super::sample::{
    artefact, at, entry, host, host_id, image, image_id, joining, mac, moved, operation, operation_id, register, start,
    work,
};
use super::StoreFixture;
use crate::machine::{Contact, FailureReason, HostState, Leg, WorkKind};
use crate::model::ArtefactKind;
use crate::ports::{Change, HostRecord, JournalQuery, Revision, Store, StoreError, Work};

/// Row, operation, artefacts, journal and outbox change together or not at all.
pub async fn commit_is_all_or_nothing(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    let row = register(&store, 1).await?;
    register(&store, 2).await?;
    let mut change = Change::to(row.host.clone(), joining(1)?, Some(row.revision));
    change.operation = Some(operation(1, 1, 1)?);
    change.artefacts = vec![(operation_id(1), artefact(ArtefactKind::Answer, "[global]"))];
    change.journal = vec![moved(1, 1), entry(Some(1), Some(1), "second")];
    change.owe = vec![work(1, WorkKind::Join, 1, 10)];

    let mut stale = change.clone();
    stale.expected = Some(Revision(9));
    let mut second_name = change.clone();
    second_name.host.name = host(2)?.name;
    let mut second_mac = change.clone();
    second_mac.host.macs.push(mac(2, 1)?);
    for refused in [stale, second_name, second_mac] {
        refusal(store.commit(refused).await);
        assert_eq!(store.host(host_id(1)).await?, Some(row.clone()));
        assert_eq!(store.operation(operation_id(1)).await?, None);
        assert_eq!(store.artefacts(operation_id(1)).await?, []);
        assert_eq!(store.last_seq().await?, 0);
        assert_eq!(store.work().await?, []);
    }

    let committed = store.commit(change).await?;
    assert_eq!((committed.revision, committed.last_seq), (Revision(2), 2));
    assert_eq!(store.host(host_id(1)).await?.map(|row| row.state), Some(joining(1)?));
    assert_eq!(store.operation(operation_id(1)).await?, Some(operation(1, 1, 1)?));
    assert_eq!(store.artefacts(operation_id(1)).await?.len(), 1);
    assert_eq!(store.journal(&JournalQuery::after(0, 9)).await?.len(), 2);
    assert_eq!(store.work().await?, [work(1, WorkKind::Join, 1, 10)]);
    Ok(())
}

/// With `Stale`, and changes nothing; also when the host is gone (`NoSuchHost`). Of those that race for a revision one
/// wins.
pub async fn commit_refuses_a_stale_revision(fixture: &impl StoreFixture) -> Checked {
    let store = Arc::new(fixture.fresh().await);
    let row = start(&*store, 1, 1).await?;
    for expected in [None, Some(Revision(1)), Some(Revision(3)), Some(Revision(u64::MAX))] {
        let error = refusal(store.commit(Change::to(host(1)?, HostState::Registered, expected)).await);
        match error {
            StoreError::Stale { host, expected: named, found } => {
                assert_eq!((host, named, found), (host_id(1), expected, Revision(2)));
            }
            other => return Err(other.into()),
        }
    }
    for expected in [Revision(1), Revision(3)] {
        let error = refusal(store.remove_host(host_id(1), expected, entry(Some(1), None, "gone")).await);
        assert!(matches!(error, StoreError::Stale { .. }), "{error:?}");
    }
    assert_eq!(store.host(host_id(1)).await?, Some(row));
    assert_eq!(store.last_seq().await?, 0);
    let error = refusal(store.commit(Change::to(host(2)?, HostState::Registered, Some(Revision(1)))).await);
    assert!(matches!(error, StoreError::NoSuchHost(id) if id == host_id(2)), "{error:?}");
    let error = refusal(store.remove_host(host_id(2), Revision(1), entry(Some(2), None, "gone")).await);
    assert!(matches!(error, StoreError::NoSuchHost(id) if id == host_id(2)), "{error:?}");

    for round in 2..=9 {
        let mut racers = JoinSet::new();
        for _ in 0..4 {
            let (store, change) = (Arc::clone(&store), Change::to(host(1)?, joining(1)?, Some(Revision(round))));
            racers.spawn(async move { store.commit(change).await });
        }
        let won = racers.join_all().await.into_iter().flatten().count();
        assert_eq!(won, 1, "of those that race for one revision");
    }
    Ok(())
}

/// What `commit` returned `Ok` for is there after the store was opened again, to the last field.
pub async fn committed_work_survives_reopen(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    let row = start(&store, 1, 1).await?;
    let state = HostState::Failed {
        by: operation_id(1),
        during: Leg::Installing,
        why: FailureReason::DeadlinePassed { last_error: Some("it said \"no\"\n".to_owned()) },
        since: at(7),
        resumable_until: Some(at(8)),
        contact: Contact::default(),
    };
    let mut bare = host(1)?;
    (bare.address, bare.hardware_id, bare.last_ready_at) = (None, None, None);
    (bare.name, bare.server_type, bare.registered_at) = ("renamed".parse()?, "other".parse()?, at(2));
    bare.macs.reverse();
    let mut change = Change::to(bare.clone(), state.clone(), Some(row.revision));
    change.artefacts = vec![(operation_id(1), artefact(ArtefactKind::Answer, "first"))];
    change.journal = vec![moved(1, 1)];
    change.owe = vec![work(1, WorkKind::EraseKey, 1, 8)];
    store.commit(change).await?;
    let tried = Work { attempts: 3, last_error: Some("refused".to_owned()), ..work(1, WorkKind::EraseKey, 1, 99) };
    assert!(store.reschedule(&tried, Some(entry(Some(1), Some(1), "put off"))).await?);
    store.insert_image(&image(1), entry(None, None, "imported")).await?;
    let store = fixture.reopen(store).await;
    assert_eq!(store.host(host_id(1)).await?, Some(HostRecord { host: bare, state, revision: Revision(3) }));
    assert_eq!(store.operation(operation_id(1)).await?, Some(operation(1, 1, 1)?));
    assert_eq!(store.artefacts(operation_id(1)).await?, [artefact(ArtefactKind::Answer, "first")]);
    assert_eq!(store.work().await?, [tried]);
    assert_eq!(store.image(image_id(1)).await?, Some(image(1)));
    let journal = store.journal(&JournalQuery::after(0, 9)).await?;
    let expected = [moved(1, 1), entry(Some(1), Some(1), "put off"), entry(None, None, "imported")];
    assert_eq!(journal, (1..).zip(expected).map(|(seq, entry)| entry.at_place(seq)).collect::<Vec<_>>());
    Ok(())
}

/// Of the same store, from any task.
pub async fn a_commit_is_seen_by_the_next_read(fixture: &impl StoreFixture) -> Checked {
    let store = Arc::new(fixture.fresh().await);
    for n in 0..40 {
        let row = register(&*store, n).await?;
        let reader = Arc::clone(&store);
        let mac = mac(n, 1)?;
        let mut elsewhere = JoinSet::new();
        elsewhere.spawn(async move { reader.host_by_mac(mac).await });
        for seen in elsewhere.join_all().await {
            assert_eq!(seen?, Some(row.clone()));
        }
        assert_eq!(store.host_by_name(&row.host.name).await?, Some(row));
    }
    assert_eq!(store.host_by_mac(mac(99, 1)?).await?, None);
    assert_eq!(store.host_by_name(&"nobody".parse()?).await?, None);
    Ok(())
}

/// A host with another's name or address is refused with `NameTaken` or `MacTaken`; its own are no obstacle,
/// unless it has one of them twice.
pub async fn names_and_macs_are_unique(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    register(&store, 1).await?;
    register(&store, 2).await?;
    let mut changed = host(2)?;
    changed.name = host(1)?.name;
    for (id, expected) in [(host_id(2), Some(Revision(1))), (host_id(3), None)] {
        changed.id = id;
        let error = refusal(store.commit(Change::to(changed.clone(), HostState::Registered, expected)).await);
        assert!(matches!(&error, StoreError::NameTaken { by, .. } if *by == host_id(1)), "{error:?}");
    }
    let mut changed = host(2)?;
    changed.macs = vec![mac(2, 1)?, mac(1, 9)?];
    let error = refusal(store.commit(Change::to(changed.clone(), HostState::Registered, Some(Revision(1)))).await);
    assert!(matches!(error, StoreError::MacTaken { mac: taken, by } if taken == mac(1, 9)? && by == host_id(1)));
    let mut twice = host(2)?;
    twice.macs = vec![mac(2, 1)?, mac(2, 9)?, mac(2, 1)?];
    let error = refusal(store.commit(Change::to(twice, HostState::Registered, Some(Revision(1)))).await);
    assert!(matches!(error, StoreError::MacTaken { mac: taken, by } if taken == mac(2, 1)? && by == host_id(2)));

    // Once given up, name and address are anybody's.
    let mut first = host(1)?;
    first.name = "renamed".parse()?;
    first.macs = vec![mac(1, 1)?];
    store.commit(Change::to(first, HostState::Registered, Some(Revision(1)))).await?;
    changed.name = host(1)?.name;
    store.commit(Change::to(changed.clone(), HostState::Registered, Some(Revision(1)))).await?;
    assert_eq!(store.host_by_mac(mac(1, 9)?).await?.map(|row| row.host), Some(changed));
    assert_eq!(store.host_by_mac(mac(2, 9)?).await?, None);
    assert_eq!(store.host_by_name(&host(2)?.name).await?, None);
    Ok(())
}

/// The first is 1.
pub async fn revisions_rise_by_one(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    let mut expected = None;
    for revision in 1..=5 {
        let committed = store.commit(Change::to(host(1)?, HostState::Registered, expected)).await?;
        assert_eq!(committed.revision, Revision(revision));
        assert_eq!(store.host(host_id(1)).await?.map(|row| row.revision), Some(committed.revision));
        expected = Some(committed.revision);
    }
    Ok(())
}

/// An operation or work for an unknown host, and an artefact of an unknown operation, are refused with `BadChange`.
pub async fn what_belongs_to_nothing_is_refused(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    let row = start(&store, 1, 1).await?;
    register(&store, 2).await?;
    let good = Change::to(row.host.clone(), row.state.clone(), Some(row.revision));
    let mut of_no_operation = good.clone();
    of_no_operation.artefacts = vec![(operation_id(9), artefact(ArtefactKind::Answer, "[global]"))];
    let mut for_no_host = good.clone();
    for_no_host.owe = vec![work(1, WorkKind::Join, 9, 10)];
    let mut of_no_host = good.clone();
    of_no_host.operation = Some(operation(3, 9, 1)?);
    for mut refused in [of_no_operation, for_no_host, of_no_host] {
        refused.journal = vec![moved(1, 1)];
        let error = refusal(store.commit(refused).await);
        assert!(matches!(error, StoreError::BadChange { .. }), "{error:?}");
    }
    assert_eq!(store.host(host_id(1)).await?, Some(row));
    assert_eq!((store.last_seq().await?, store.work().await?), (0, vec![]));
    assert_eq!(store.operation(operation_id(3)).await?, None);
    assert_eq!(store.artefacts(operation_id(9)).await?, []);

    // What the change brings itself is there, and other hosts' rows are.
    let mut change = good;
    change.operation = Some(operation(3, 1, 1)?);
    change.artefacts = vec![(operation_id(3), artefact(ArtefactKind::Answer, "[global]"))];
    change.owe = vec![work(9, WorkKind::EraseKey, 2, 10)];
    store.commit(change).await?;
    assert_eq!(store.work().await?, [work(9, WorkKind::EraseKey, 2, 10)]);
    Ok(())
}

/// An operation or image whose id is taken is refused with `BadChange`, and the one that is there stays as it is.
pub async fn an_id_is_given_once(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    let row = start(&store, 1, 1).await?;
    let mut again = Change::to(row.host.clone(), row.state.clone(), Some(row.revision));
    again.operation = Some(operation(1, 1, 2)?);
    let error = refusal(store.commit(again).await);
    assert!(matches!(error, StoreError::BadChange { .. }), "{error:?}");
    assert_eq!(store.host(host_id(1)).await?, Some(row));
    assert_eq!(store.operation(operation_id(1)).await?, Some(operation(1, 1, 1)?));

    store.insert_image(&image(1), entry(None, None, "imported")).await?;
    let mut second = image(2);
    second.id = image_id(1);
    let error = refusal(store.insert_image(&second, entry(None, None, "imported twice")).await);
    assert!(matches!(error, StoreError::BadChange { .. }), "{error:?}");
    assert_eq!(store.images().await?, [image(1)]);
    assert_eq!(store.last_seq().await?, 1);
    Ok(())
}
