//! The SQLite store and vault on real files: the ports' contracts, and what only a file can show.
#![cfg(feature = "sqlite")]

mod checks;

#[path = "sqlite/damage.rs"]
mod damage;
#[path = "sqlite/opening.rs"]
mod opening;
#[path = "sqlite/together.rs"]
mod together;
#[path = "sqlite/trace.rs"]
mod trace;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use provisioning_adapters::sqlite::{SealingKey, SqliteStore, SqliteVault};
use provisioning_core::memory::{MemoryStore, MemoryVault};
use provisioning_core::ports::{Store, Vault};
use tempfile::TempDir;

use checks::Fixture;

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

impl Fixture for InTempDir {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.open())
    }

    fn vault(&self) -> Arc<dyn Vault> {
        Arc::new(self.open_vault())
    }
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

mod sqlite {
    use super::InTempDir;

    crate::checks::contracts!(InTempDir::new());
}

/// The memory adapters pass the same checks: they ask nothing that only SQLite has.
mod memory {
    use super::{Arc, Fixture, MemoryStore, MemoryVault, Store, Vault};

    #[derive(Default)]
    struct InMemory {
        store: MemoryStore,
        vault: MemoryVault,
    }

    impl Fixture for InMemory {
        fn store(&self) -> Arc<dyn Store> {
            Arc::new(self.store.clone())
        }

        fn vault(&self) -> Arc<dyn Vault> {
            Arc::new(self.vault.clone())
        }
    }

    crate::checks::contracts!(InMemory::default());
}
