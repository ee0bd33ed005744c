//! The `Vault` port: one-time keys, sealed before they come near the file, and erased without a trace in it.

use std::sync::Arc;

use async_trait::async_trait;
use provisioning_core::model::{OperationId, Secret};
use provisioning_core::ports::{Retry, Vault, VaultError};

use super::fault::of_vault;
use super::recall::Touched;
use super::seal::{Sealed, SealingKey};
use super::store::SqliteStore;
use super::writer::After;
use super::{reads, writes};

/// One-time keys in the store's file. Clones share its connections and the sealing key.
///
/// Erasing overwrites the sealed key in the database with zeroes and empties the write-ahead log. What the disk
/// itself keeps of overwritten blocks is beyond its reach; it is of no use without the key file.
#[derive(Clone, Debug)]
pub struct SqliteVault {
    store: SqliteStore,
    key: Arc<SealingKey>,
}

impl SqliteVault {
    pub(super) fn new(store: SqliteStore, key: SealingKey) -> Self {
        Self { store, key: Arc::new(key) }
    }
}

#[async_trait]
impl Vault for SqliteVault {
    async fn store(&self, operation: OperationId, key: &Secret<String>) -> Result<(), VaultError> {
        let sealed = self
            .key
            .seal(operation, key.expose().as_bytes())
            .map_err(|error| VaultError::Unavailable { retry: Retry::Later, source: error.into() })?;
        let keep = self.store.write_to(Touched::Nothing, move |tx| writes::keep_key(tx, operation, &sealed));
        keep.await.map_err(of_vault)
    }

    async fn open(&self, operation: OperationId) -> Result<Option<Secret<String>>, VaultError> {
        let row = self.store.read(move |db| reads::sealed_key(db, operation)).await.map_err(of_vault)?;
        let Some(row) = row else { return Ok(None) };
        let nonce = row.nonce.try_into().map_err(|_| VaultError::Sealed(operation))?;
        let sealed = Sealed { nonce, ciphertext: row.ciphertext };
        self.key.open(operation, sealed).map(Some).ok_or(VaultError::Sealed(operation))
    }

    /// A long read of the file, such as a backup's, keeps the write-ahead log from being emptied: then the key is
    /// gone from the vault, the answer is [`VaultError::Unavailable`] with [`Retry::Later`], and the caller erases
    /// again until it is told that it is done.
    async fn erase(&self, operation: OperationId) -> Result<(), VaultError> {
        // The log is emptied even when there is no such key: an earlier try may have been broken off in between.
        let forget = self.store.write(After::EmptyLog, move |tx| writes::forget_key(tx, operation));
        forget.await.map_err(of_vault)
    }

    async fn held(&self) -> Result<Vec<OperationId>, VaultError> {
        self.store.read(reads::sealed_operations).await.map_err(of_vault)
    }
}
