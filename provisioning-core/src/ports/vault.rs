//! Where one-time private keys lie until their operation ends.

use async_trait::async_trait;

use super::error::{BoxError, Retry};
use crate::model::{OperationId, Secret};

/// One-time keys, sealed at rest.
///
/// # Contract
/// - `a_stored_key_reads_back`: also after a reopen.
/// - `storing_twice_keeps_the_latest`.
/// - `an_absent_key_is_none`: not an error.
/// - `an_erased_key_is_gone`: `open` gives `None`, also after a reopen. No copy stays in the medium either, which only
///   the adapter's own tests can see.
/// - `erasing_an_absent_key_is_fine`.
/// - `held_lists_every_key`: and nothing else.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Vault: Send + Sync {
    /// Keeps an operation's private key (OpenSSH text), sealed.
    async fn store(&self, operation: OperationId, key: &Secret<String>) -> Result<(), VaultError>;
    /// The key of an operation, if it is still kept.
    async fn open(&self, operation: OperationId) -> Result<Option<Secret<String>>, VaultError>;
    /// Erases an operation's key.
    async fn erase(&self, operation: OperationId) -> Result<(), VaultError>;
    /// Whose keys are kept.
    async fn held(&self) -> Result<Vec<OperationId>, VaultError>;
}

/// Why a vault did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// What is kept was not sealed with our key file, or was changed.
    #[error("the sealed key of operation {0} does not open with this key file")]
    Sealed(OperationId),
    /// The vault did not answer.
    #[error("the vault did not answer")]
    Unavailable {
        /// Whether trying again can help.
        retry: Retry,
        /// The cause.
        #[source]
        source: BoxError,
    },
}
