//! What the `Store` contract says of the outbox and of images.

use super::super::rule::{Checked, refusal};
use super::super::sample::{at, entry, host_id, image, image_id, operation_id, register, start, work};
use super::StoreFixture;
use crate::machine::{HostState, WorkKind};
use crate::ports::{Change, Store, StoreError, Work};

/// Then by operation and kind; what is owed again takes the place of the same row.
pub async fn work_is_listed_by_due_time(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    start(&store, 1, 1).await?;
    let row = start(&store, 2, 1).await?;
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

    let tried = Work { attempts: 2, last_error: Some("busy".to_owned()), ..work(1, WorkKind::Join, 1, 40) };
    assert!(store.reschedule(&tried, None).await?);
    change.expected = Some(revision);
    change.owe = vec![work(1, WorkKind::Join, 1, 5)];
    change.settle = sorted[1..4].iter().map(|work| work.id).collect();
    store.commit(change).await?;
    assert_eq!(store.work().await?, [work(1, WorkKind::Join, 1, 5), work(2, WorkKind::RevokeKey, 2, 10)]);
    Ok(())
}

/// And tells so; settling it twice likewise.
pub async fn rescheduling_settled_work_changes_nothing(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    let row = start(&store, 1, 1).await?;
    let mut change = Change::to(row.host, row.state, Some(row.revision));
    change.owe = vec![work(1, WorkKind::Join, 1, 10)];
    store.commit(change).await?;
    let later = Work { attempts: 1, last_error: Some("busy".to_owned()), ..work(1, WorkKind::Join, 1, 20) };
    register(&store, 2).await?;
    assert!(store.reschedule(&Work { host: host_id(2), ..later.clone() }, None).await?);
    assert_eq!(store.work().await?, std::slice::from_ref(&later), "put off, and still the same host's");
    assert!(store.settle(later.id, Some(entry(Some(1), Some(1), "done"))).await?);
    assert!(!store.settle(later.id, Some(entry(Some(1), Some(1), "done twice"))).await?);
    assert!(!store.reschedule(&later, Some(entry(Some(1), Some(1), "put off"))).await?);
    assert_eq!(store.work().await?, []);
    assert_eq!(store.last_seq().await?, 1);
    Ok(())
}

/// Removing one that a running operation installs is refused with `ImageInUse`.
pub async fn an_image_in_use_stays(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    for n in [1, 2] {
        store.insert_image(&image(n), entry(None, None, "imported")).await?;
    }
    let row = start(&store, 1, 1).await?;
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

/// None before one is chosen, and none once that one is removed; an unknown one is refused with `NoSuchImage`.
pub async fn the_default_image_is_the_one_chosen_last(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    for n in [1, 2] {
        store.insert_image(&image(n), entry(None, None, "imported")).await?;
    }
    assert_eq!(store.default_image().await?, None);
    for n in [1, 2, 1] {
        store.choose_default_image(image_id(n), entry(None, None, "chosen")).await?;
        assert_eq!(store.default_image().await?, Some(image_id(n)));
    }
    let error = refusal(store.choose_default_image(image_id(3), entry(None, None, "chosen")).await);
    assert!(matches!(error, StoreError::NoSuchImage(image) if image == image_id(3)), "{error:?}");
    assert_eq!(store.last_seq().await?, 5);
    let store = fixture.reopen(store).await;
    assert_eq!(store.default_image().await?, Some(image_id(1)));
    store.remove_image(image_id(2), entry(None, None, "removed")).await?;
    assert_eq!(store.default_image().await?, Some(image_id(1)));
    store.remove_image(image_id(1), entry(None, None, "removed")).await?;
    assert_eq!(store.default_image().await?, None);
    Ok(())
}

/// A second one with the same SHA-256 is refused with `ImageExists`.
pub async fn an_image_is_kept_once_per_digest(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    store.insert_image(&image(1), entry(None, None, "imported")).await?;
    let mut again = image(2);
    again.sha256 = image(1).sha256;
    let error = refusal(store.insert_image(&again, entry(None, None, "imported twice")).await);
    assert!(matches!(error, StoreError::ImageExists(image) if image == image_id(1)), "{error:?}");
    assert_eq!(store.images().await?, [image(1)]);
    assert_eq!(store.last_seq().await?, 1);
    Ok(())
}
