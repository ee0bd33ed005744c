//! What the `Store` contract says of finding and removing hosts.

use super::super::rule::Checked;
use super::super::sample::{
    artefact, at, entry, host, host_id, mac, moved, operation, operation_id, provisioning, register, start, work,
};
use super::StoreFixture;
use crate::machine::{HostState, Leg, Phase, WorkKind};
use crate::model::ArtefactKind;
use crate::ports::{Change, HostFilter, JournalQuery, Revision, Store, StoreError};

/// And the filter's `after` and `limit` page through all of them once.
pub async fn hosts_are_listed_by_name(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    for n in [7, 3, 5, 1, 6, 2, 4] {
        register(&store, n).await?;
    }
    start(&store, 8, 1).await?;
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
    for wildcard in ["%", "_", "e_0", "*", "?"] {
        assert_eq!(names(text(wildcard)).await?, expected(&[]), "{wildcard}");
    }
    let after = Some("pve-004".parse()?);
    assert_eq!(names(HostFilter { after, limit: Some(1), ..text("pve") }).await?, expected(&[5]));
    Ok(())
}

/// Each host once; a phase that no host is in may be left out.
pub async fn hosts_are_counted_by_phase(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    let counts = async || -> Result<Vec<(Phase, u64)>, StoreError> {
        Ok(store.count_by_phase().await?.into_iter().filter(|(_, count)| *count > 0).collect())
    };
    assert_eq!(counts().await?, []);
    for n in 1..=4 {
        register(&store, n).await?;
    }
    start(&store, 5, 1).await?;
    assert_eq!(counts().await?, [(Phase::Registered, 4), (Phase::PxeReady, 1)]);
    let row = store.host(host_id(2)).await?.ok_or("host 2 is gone")?;
    let ready = HostState::Ready { by: operation_id(2), since: at(11) };
    store.commit(Change::to(row.host, ready, Some(row.revision))).await?;
    let row = store.host(host_id(3)).await?.ok_or("host 3 is gone")?;
    store.remove_host(host_id(3), row.revision, entry(Some(3), None, "removed")).await?;
    assert_eq!(counts().await?, [(Phase::Registered, 2), (Phase::PxeReady, 1), (Phase::Ready, 1)]);
    Ok(())
}

/// Hosts whose deadline has come, and the earliest one.
pub async fn the_overdue_are_found_by_their_deadline(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    assert_eq!(store.next_deadline().await?, None);
    for (n, deadline) in [(1, Some(30)), (2, Some(10)), (3, None), (4, Some(20))] {
        let row = register(&store, n).await?;
        let state = provisioning(n, Leg::Installing, deadline.map(at))?;
        store.commit(Change::to(row.host, state, Some(row.revision))).await?;
    }
    register(&store, 5).await?;
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

/// And drops its operations, artefacts and work.
pub async fn removing_a_host_keeps_its_journal(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    let kept = start(&store, 2, 1).await?;
    let row = start(&store, 1, 1).await?;
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

    let again = register(&store, 1).await?;
    assert_eq!(again.revision, Revision(1), "its name and addresses are free, and it begins anew");
    assert_eq!(store.operations_of(host_id(1)).await?, []);
    Ok(())
}
