//! A vault in memory; it seals nothing, since nothing leaves the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::model::{OperationId, Secret};
use crate::ports::{Vault, VaultError};

/// One-time keys in memory, zeroed when erased. Clones share the keys.
#[derive(Clone, Debug, Default)]
pub struct MemoryVault {
    keys: Arc<Mutex<BTreeMap<OperationId, Secret<String>>>>,
}

impl MemoryVault {
    fn keys(&self) -> MutexGuard<'_, BTreeMap<OperationId, Secret<String>>> {
        self.keys.lock().expect("no caller panics while it holds the keys")
    }
}

#[async_trait]
impl Vault for MemoryVault {
    async fn store(&self, operation: OperationId, key: &Secret<String>) -> Result<(), VaultError> {
        self.keys().insert(operation, key.clone());
        Ok(())
    }

    async fn open(&self, operation: OperationId) -> Result<Option<Secret<String>>, VaultError> {
        Ok(self.keys().get(&operation).cloned())
    }

    async fn erase(&self, operation: OperationId) -> Result<(), VaultError> {
        self.keys().remove(&operation);
        Ok(())
    }

    async fn held(&self) -> Result<Vec<OperationId>, VaultError> {
        Ok(self.keys().keys().copied().collect())
    }
}
