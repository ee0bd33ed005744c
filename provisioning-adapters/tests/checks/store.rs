//! What the `Store` contract says of hosts, operations, work and images.

use provisioning_core::machine::{Contact, FailureReason, HostState, Leg, Phase, WorkKind};
use provisioning_core::model::ArtefactKind;
use provisioning_core::ports::{Change, HostFilter, HostRecord, JournalQuery, Revision, StoreError, Work};

use super::sample::{
    artefact, at, entry, host, host_id, image, image_id, joining, mac, moved, operation, operation_id, provisioning,
    register, start, work,
};
use super::{Checked, Fixture, refusal};

/// Row, operation, artefacts, journal and outbox change together or not at all.
pub(crate) async fn commit_is_all_or_nothing(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    let row = register(&*store, 1).await?;
    register(&*store, 2).await?;
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

/// With `Stale`, and changes nothing; also when the host is gone (`NoSuchHost`).
pub(crate) async fn commit_refuses_a_stale_revision(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    let row = start(&*store, 1, 1).await?;
    for expected in [None, Some(Revision(1)), Some(Revision(3)), Some(Revision(u64::MAX))] {
        let error = refusal(store.commit(Change::to(host(1)?, HostState::Registered, expected)).await);
        match error {
            StoreError::Stale { host, expected: named, found } => {
                assert_eq!((host, named, found), (host_id(1), expected, Revision(2)));
            }
            other => return Err(other.into()),
        }
        let error = refusal(store.remove_host(host_id(1), Revision(1), entry(Some(1), None, "gone")).await);
        assert!(matches!(error, StoreError::Stale { .. }), "{error:?}");
    }
    assert_eq!(store.host(host_id(1)).await?, Some(row));
    assert_eq!(store.last_seq().await?, 0);
    let error = refusal(store.commit(Change::to(host(2)?, HostState::Registered, Some(Revision(1)))).await);
    assert!(matches!(error, StoreError::NoSuchHost(id) if id == host_id(2)), "{error:?}");
    let error = refusal(store.remove_host(host_id(2), Revision(1), entry(Some(2), None, "gone")).await);
    assert!(matches!(error, StoreError::NoSuchHost(id) if id == host_id(2)), "{error:?}");
    Ok(())
}

/// What `commit` returned `Ok` for is there after the store was opened again, to the last field.
pub(crate) async fn committed_work_survives_reopen(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    let row = start(&*store, 1, 1).await?;
    let state = HostState::Failed {
        by: operation_id(1),
        during: Leg::Installing,
        why: FailureReason::DeadlinePassed { last_error: Some("it said \"no\"\n".to_owned()) },
        since: at(7),
        resumable_until: Some(at(8)),
        contact: Contact::default(),
    };
    let mut bare = host(1)?;
    (bare.address, bare.hardware_id) = (None, None);
    let mut change = Change::to(bare.clone(), state.clone(), Some(row.revision));
    change.artefacts = vec![(operation_id(1), artefact(ArtefactKind::Answer, "first"))];
    change.journal = vec![moved(1, 1)];
    change.owe = vec![work(1, WorkKind::EraseKey, 1, 8)];
    store.commit(change).await?;
    let tried = Work { attempts: 3, last_error: Some("refused".to_owned()), ..work(1, WorkKind::EraseKey, 1, 99) };
    assert!(store.reschedule(&tried, Some(entry(Some(1), Some(1), "put off"))).await?);
    store.insert_image(&image(1), entry(None, None, "imported")).await?;
    drop(store);

    let store = fixture.store();
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
pub(crate) async fn a_commit_is_seen_by_the_next_read(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    for n in 0..40 {
        let row = register(&*store, n).await?;
        let reader = store.clone();
        let mac = mac(n, 1)?;
        let seen = tokio::spawn(async move { reader.host_by_mac(mac).await }).await??;
        assert_eq!(seen, Some(row.clone()));
        assert_eq!(store.host_by_name(&row.host.name).await?, Some(row));
    }
    assert_eq!(store.host_by_mac(mac(99, 1)?).await?, None);
    assert_eq!(store.host_by_name(&"nobody".parse()?).await?, None);
    Ok(())
}

/// A host with another's name or address is refused with `NameTaken` or `MacTaken`; its own are no obstacle.
pub(crate) async fn names_and_macs_are_unique(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    register(&*store, 1).await?;
    register(&*store, 2).await?;
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

    // Once given up, name and address are anybody's.
    let mut first = host(1)?;
    first.name = "renamed".parse()?;
    first.macs = vec![mac(1, 1)?];
    store.commit(Change::to(first, HostState::Registered, Some(Revision(1)))).await?;
    changed.name = host(1)?.name;
    store.commit(Change::to(changed.clone(), HostState::Registered, Some(Revision(1)))).await?;
    assert_eq!(store.host_by_mac(mac(1, 9)?).await?.map(|row| row.host), Some(changed));
    Ok(())
}

/// The first is 1.
pub(crate) async fn revisions_rise_by_one(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    let mut expected = None;
    for revision in 1..=5 {
        let committed = store.commit(Change::to(host(1)?, HostState::Registered, expected)).await?;
        assert_eq!(committed.revision, Revision(revision));
        assert_eq!(store.host(host_id(1)).await?.map(|row| row.revision), Some(committed.revision));
        expected = Some(committed.revision);
    }
    Ok(())
}

/// Then by operation and kind; what is owed again takes the place of the same row.
pub(crate) async fn work_is_listed_by_due_time(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    start(&*store, 1, 1).await?;
    let row = start(&*store, 2, 1).await?;
    let mut change = Change::to(row.host, row.state, Some(row.revision));
    change.owe = vec![
        work(2, WorkKind::EraseKey, 2, 20),
        work(1, WorkKind::EraseKey, 1, 20),
        work(1, WorkKind::Register, 1, 20),
        work(2, WorkKind::RevokeKey, 2, 10),
        work(1, WorkKind::Join, 1, 30),
    ];
    // Owed in the same change as struck off: it is owed.
    change.settle = vec![work(1, WorkKind::Join, 1, 0).id, work(2, WorkKind::OpenShell, 2, 0).id];
    let revision = store.commit(change.clone()).await?.revision;
    let sorted = [
        work(2, WorkKind::RevokeKey, 2, 10),
        work(1, WorkKind::Register, 1, 20),
        work(1, WorkKind::EraseKey, 1, 20),
        work(2, WorkKind::EraseKey, 2, 20),
        work(1, WorkKind::Join, 1, 30),
    ];
    assert_eq!(store.work().await?, sorted);

    change.expected = Some(revision);
    change.owe = vec![work(1, WorkKind::Join, 1, 5)];
    change.settle = sorted[1..4].iter().map(|work| work.id).collect();
    store.commit(change).await?;
    assert_eq!(store.work().await?, [work(1, WorkKind::Join, 1, 5), work(2, WorkKind::RevokeKey, 2, 10)]);
    Ok(())
}

/// And tells so; settling it twice likewise.
pub(crate) async fn rescheduling_settled_work_changes_nothing(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    let row = start(&*store, 1, 1).await?;
    let mut change = Change::to(row.host, row.state, Some(row.revision));
    change.owe = vec![work(1, WorkKind::Join, 1, 10)];
    store.commit(change).await?;
    let later = Work { attempts: 1, last_error: Some("busy".to_owned()), ..work(1, WorkKind::Join, 1, 20) };
    assert!(store.reschedule(&later, None).await?);
    assert_eq!(store.work().await?, std::slice::from_ref(&later));
    assert!(store.settle(later.id, Some(entry(Some(1), Some(1), "done"))).await?);
    assert!(!store.settle(later.id, Some(entry(Some(1), Some(1), "done twice"))).await?);
    assert!(!store.reschedule(&later, Some(entry(Some(1), Some(1), "put off"))).await?);
    assert_eq!(store.work().await?, []);
    assert_eq!(store.last_seq().await?, 1);
    Ok(())
}

/// And the filter's `after` and `limit` page through all of them once.
pub(crate) async fn hosts_are_listed_by_name(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    for n in [7, 3, 5, 1, 6, 2, 4] {
        register(&*store, n).await?;
    }
    start(&*store, 8, 1).await?;
    let names = async |filter: HostFilter| -> Result<Vec<String>, StoreError> {
        Ok(store.hosts(&filter).await?.into_iter().map(|row| row.host.name.to_string()).collect())
    };
    let expected = |numbers: &[u8]| numbers.iter().map(|n| format!("pve-{n:03}")).collect::<Vec<_>>();
    let all = HostFilter::default();
    assert_eq!(names(all.clone()).await?, expected(&[1, 2, 3, 4, 5, 6, 7, 8]));

    let mut page = HostFilter { limit: Some(3), ..all.clone() };
    let mut paged = Vec::new();
    loop {
        let found = store.hosts(&page).await?;
        assert!(found.len() <= 3);
        let Some(last) = found.last() else { break };
        page.after = Some(last.host.name.clone());
        paged.extend(found.into_iter().map(|row| row.host.name.to_string()));
    }
    assert_eq!(paged, expected(&[1, 2, 3, 4, 5, 6, 7, 8]));

    let phase = |phase| HostFilter { phase: Some(phase), ..HostFilter::default() };
    assert_eq!(names(phase(Phase::PxeReady)).await?, expected(&[8]));
    assert_eq!(names(phase(Phase::Joining)).await?, expected(&[]));
    let server_type = Some("odd".parse()?);
    assert_eq!(names(HostFilter { server_type, ..all.clone() }).await?, expected(&[1, 3, 5, 7]));
    let text = |text: &str| HostFilter { text: Some(text.to_owned()), ..HostFilter::default() };
    assert_eq!(names(text("e-00")).await?.len(), 8);
    assert_eq!(names(text("ab:04:0")).await?, expected(&[4]));
    assert_eq!(names(text("%")).await?, expected(&[]));
    let after = Some("pve-004".parse()?);
    assert_eq!(names(HostFilter { after, limit: Some(1), ..text("pve") }).await?, expected(&[5]));
    Ok(())
}

/// Hosts whose deadline has come, and the earliest one.
pub(crate) async fn the_overdue_are_found_by_their_deadline(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    assert_eq!(store.next_deadline().await?, None);
    for (n, deadline) in [(1, Some(30)), (2, Some(10)), (3, None), (4, Some(20))] {
        let row = register(&*store, n).await?;
        let state = provisioning(n, Leg::Installing, deadline.map(at))?;
        store.commit(Change::to(row.host, state, Some(row.revision))).await?;
    }
    register(&*store, 5).await?;
    assert_eq!(store.next_deadline().await?, Some(at(10)));
    assert_eq!(store.overdue(at(9)).await?, []);
    let mut overdue = store.overdue(at(20)).await?;
    overdue.sort();
    assert_eq!(overdue, [host_id(2), host_id(4)]);
    let ready = HostState::Ready { by: operation_id(2), since: at(11) };
    store.commit(Change::to(host(2)?, ready, Some(Revision(2)))).await?;
    assert_eq!(store.next_deadline().await?, Some(at(20)));
    Ok(())
}

/// Removing one that a running operation installs is refused with `ImageInUse`.
pub(crate) async fn an_image_in_use_stays(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    for n in [1, 2] {
        store.insert_image(&image(n), entry(None, None, "imported")).await?;
    }
    let row = start(&*store, 1, 1).await?;
    let error = refusal(store.remove_image(image_id(1), entry(None, None, "removed")).await);
    assert!(matches!(error, StoreError::ImageInUse { image, host } if image == image_id(1) && host == host_id(1)));
    assert_eq!(store.last_seq().await?, 2);
    assert_eq!(store.images().await?, [image(2), image(1)]);

    let ready = HostState::Ready { by: operation_id(1), since: at(11) };
    store.commit(Change::to(row.host, ready, Some(row.revision))).await?;
    store.remove_image(image_id(1), entry(None, None, "removed")).await?;
    assert_eq!(store.images().await?, [image(2)]);
    assert_eq!(store.image(image_id(1)).await?, None);
    assert_eq!(store.last_seq().await?, 3);
    let error = refusal(store.remove_image(image_id(1), entry(None, None, "removed")).await);
    assert!(matches!(error, StoreError::NoSuchImage(image) if image == image_id(1)), "{error:?}");
    Ok(())
}

/// A second one with the same SHA-256 is refused with `ImageExists`.
pub(crate) async fn an_image_is_kept_once_per_digest(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    store.insert_image(&image(1), entry(None, None, "imported")).await?;
    let mut again = image(2);
    again.sha256 = image(1).sha256;
    let error = refusal(store.insert_image(&again, entry(None, None, "imported twice")).await);
    assert!(matches!(error, StoreError::ImageExists(image) if image == image_id(1)), "{error:?}");
    assert_eq!(store.images().await?, [image(1)]);
    assert_eq!(store.last_seq().await?, 1);
    Ok(())
}

/// And drops its operations, artefacts and work.
pub(crate) async fn removing_a_host_keeps_its_journal(fixture: &impl Fixture) -> Checked {
    let store = fixture.store();
    let kept = start(&*store, 2, 1).await?;
    let row = start(&*store, 1, 1).await?;
    let mut change = Change::to(row.host, row.state, Some(row.revision));
    change.operation = Some(operation(3, 1, 1)?);
    change.artefacts = vec![
        (operation_id(1), artefact(ArtefactKind::JoinTranscript, "$ pvecm add")),
        (operation_id(1), artefact(ArtefactKind::BootScript, "#!ipxe")),
        (operation_id(1), artefact(ArtefactKind::BootScript, "#!ipxe again")),
    ];
    change.journal = vec![moved(1, 1)];
    change.owe = vec![work(1, WorkKind::Join, 1, 10), work(2, WorkKind::Join, 2, 11)];
    let revision = store.commit(change).await?.revision;
    let operations = store.operations_of(host_id(1)).await?;
    assert_eq!(operations, [operation(3, 1, 1)?, operation(1, 1, 1)?], "the latest first");
    let kinds = store.artefacts(operation_id(1)).await?;
    let expected =
        [artefact(ArtefactKind::BootScript, "#!ipxe again"), artefact(ArtefactKind::JoinTranscript, "$ pvecm add")];
    assert_eq!(kinds, expected, "by kind, the newest text of each");

    store.remove_host(host_id(1), revision, entry(Some(1), None, "removed")).await?;
    assert_eq!(store.host(host_id(1)).await?, None);
    assert_eq!(store.host_by_mac(mac(1, 1)?).await?, None);
    assert_eq!(store.operations_of(host_id(1)).await?, []);
    assert_eq!(store.operation(operation_id(3)).await?, None);
    assert_eq!(store.artefacts(operation_id(1)).await?, []);
    assert_eq!(store.work().await?, [work(2, WorkKind::Join, 2, 11)]);
    let told = store.journal(&JournalQuery::of_host(host_id(1), 9)).await?;
    assert_eq!(told, [moved(1, 1).at_place(1), entry(Some(1), None, "removed").at_place(2)]);
    assert_eq!(store.host(host_id(2)).await?, Some(kept));
    Ok(())
}
