//! A store that keeps rows in memory: the same contract, and nothing old is ever read.

use std::sync::Arc;
use std::time::Duration;

use provisioning_adapters::sqlite::SqliteStore;
use provisioning_core::conformance::{StoreFixture, sample};
use provisioning_core::machine::HostState;
use provisioning_core::ports::{Change, Revision, Store as _};
use tempfile::TempDir;

/// As the server opens it.
struct Alone {
    dir: TempDir,
}

impl Alone {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory can be made") }
    }

    fn open(&self) -> SqliteStore {
        let unobserved = Arc::new(|_: Duration| ());
        SqliteStore::open_alone(&self.dir.path().join("provisioning.db"), unobserved).expect("the database opens")
    }
}

impl StoreFixture for Alone {
    type Store = SqliteStore;

    async fn fresh(&self) -> SqliteStore {
        self.open()
    }

    async fn reopen(&self, store: SqliteStore) -> SqliteStore {
        drop(store);
        self.open()
    }
}

provisioning_core::store_conformance!(Alone::new());

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_sees_a_row_older_than_the_last_commit_that_was_answered() {
    const EDITS: u64 = 300;
    let fixture = Alone::new();
    let store = fixture.open();
    let host = sample::host(2).unwrap();
    let (id, mac) = (host.id, host.macs[0]);
    store.commit(Change::to(host.clone(), HostState::Registered, None)).await.unwrap();
    let (answered, told) = tokio::sync::watch::channel(1_u64);
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, told) = (store.clone(), told.clone());
        readers.spawn(async move {
            let mut looked: u64 = 0;
            while *told.borrow() < EDITS {
                let least = Revision(*told.borrow());
                let (one, other) = (store.host(id).await.unwrap(), store.host_by_mac(mac).await.unwrap());
                assert!(one.unwrap().revision >= least && other.unwrap().revision >= least);
                looked += 1;
                tokio::task::yield_now().await;
            }
            looked
        });
    }
    for revision in 1..EDITS {
        let change = Change::to(host.clone(), HostState::Registered, Some(Revision(revision)));
        let committed = store.commit(change).await.unwrap();
        answered.send_replace(committed.revision.0);
    }
    assert!(readers.join_all().await.iter().sum::<u64>() > 8);
}

#[tokio::test]
async fn an_image_is_gone_from_memory_with_its_row() {
    let fixture = Alone::new();
    let store = fixture.open();
    let (image, entry) = (sample::image(1), sample::entry(None, None, "an image"));
    store.insert_image(&image, entry.clone()).await.unwrap();
    assert_eq!(store.image(image.id).await.unwrap().as_ref(), Some(&image));
    store.remove_image(image.id, entry).await.unwrap();
    assert_eq!(store.image(image.id).await.unwrap(), None);
}
