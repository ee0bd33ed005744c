//! The SQLite store and vault on real files: the ports' contracts, and what only a file can show.
#![cfg(feature = "sqlite")]

#[path = "sqlite/alone.rs"]
mod alone;
#[path = "sqlite/damage.rs"]
mod damage;
#[path = "sqlite/keeping.rs"]
mod keeping;
#[path = "sqlite/migrations.rs"]
mod migrations;
#[path = "sqlite/opening.rs"]
mod opening;
#[path = "sqlite/places.rs"]
mod places;
#[path = "sqlite/together.rs"]
mod together;
#[path = "sqlite/trace.rs"]
mod trace;

use std::path::{Path, PathBuf};

use provisioning_adapters::sqlite::{SealingKey, SqliteStore, SqliteVault};
use provisioning_core::conformance::{BookmarksFixture, StoreFixture, VaultFixture};
use tempfile::TempDir;

/// A database in a directory that goes away with it.
struct InTempDir {
    dir: TempDir,
}

impl InTempDir {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory can be made") }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("provisioning.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path()).expect("the database opens")
    }

    fn open_vault(&self) -> SqliteVault {
        let key = SealingKey::load_or_create(&self.dir.path().join("vault.key")).expect("the key file is there");
        self.open().vault(key)
    }

    /// A connection past the adapter, for looking at and spoiling what it wrote.
    fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).expect("the database opens")
    }
}

impl StoreFixture for InTempDir {
    type Store = SqliteStore;

    async fn fresh(&self) -> SqliteStore {
        self.open()
    }

    async fn reopen(&self, store: SqliteStore) -> SqliteStore {
        drop(store);
        self.open()
    }
}

impl VaultFixture for InTempDir {
    type Vault = SqliteVault;

    async fn fresh(&self) -> SqliteVault {
        self.open_vault()
    }

    async fn reopen(&self, vault: SqliteVault) -> SqliteVault {
        drop(vault);
        self.open_vault()
    }
}

impl BookmarksFixture for InTempDir {
    type Bookmarks = SqliteStore;

    async fn fresh(&self) -> SqliteStore {
        self.open()
    }

    async fn reopen(&self, store: SqliteStore) -> SqliteStore {
        drop(store);
        self.open()
    }
}

mod bookmarks {
    provisioning_core::bookmarks_conformance!(super::InTempDir::new());
}

mod store {
    provisioning_core::store_conformance!(super::InTempDir::new());
}

mod vault {
    provisioning_core::vault_conformance!(super::InTempDir::new());
}

/// The database's files as they are now.
fn bytes_on_disk(database: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut file = database.as_os_str().to_owned();
        file.push(suffix);
        bytes.extend(std::fs::read(file).unwrap_or_default());
    }
    bytes
}
