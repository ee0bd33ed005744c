//! Vaults that are broken on purpose, one fault each, around the one that is not.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use provisioning_core::conformance::{VaultFixture, vault};
use provisioning_core::memory::MemoryVault;
use provisioning_core::model::{OperationId, Secret};
use provisioning_core::ports::{Retry, Vault, VaultError};

use super::{assert_each_bites, names};

/// What is wrong with a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    KeepsErasedKeys,
    KeepsTheFirst,
    MissesAbsentKeys,
    MindsErasingNothing,
    HoldsLess,
    ForgetsOnReopen,
}

/// Each fault, and all rules that it breaks.
const FAULTS: &[(Fault, &[&str])] = &[
    (Fault::KeepsErasedKeys, &["an_erased_key_is_gone", "held_lists_every_key"]),
    (Fault::KeepsTheFirst, &["storing_twice_keeps_the_latest"]),
    (Fault::MissesAbsentKeys, &["an_absent_key_is_none", "an_erased_key_is_gone"]),
    (Fault::MindsErasingNothing, &["erasing_an_absent_key_is_fine"]),
    (Fault::HoldsLess, &["held_lists_every_key"]),
    (Fault::ForgetsOnReopen, &["a_stored_key_reads_back", "an_erased_key_is_gone"]),
];

#[test]
fn each_broken_vault_fails_the_rules_that_it_breaks_and_no_other() {
    for (fault, expected) in FAULTS {
        let broken = vault::broken_rules(async || *fault);
        assert_eq!(names(&broken), *expected, "{fault:?}: {broken:#?}");
    }
}

#[test]
fn the_vault_without_a_fault_breaks_no_rule() {
    assert_eq!(vault::broken_rules(async || Fault::None), []);
}

#[test]
fn each_rule_of_the_vault_bites() {
    assert_each_bites(vault::RULES, &FAULTS.iter().map(|(_, rules)| *rules).collect::<Vec<_>>());
}

impl VaultFixture for Fault {
    type Vault = BrokenVault;

    async fn fresh(&self) -> BrokenVault {
        BrokenVault { inner: MemoryVault::default(), fault: *self, reopened: AtomicBool::new(false) }
    }

    async fn reopen(&self, vault: BrokenVault) -> BrokenVault {
        vault.reopened.store(true, Ordering::Relaxed);
        vault
    }
}

struct BrokenVault {
    inner: MemoryVault,
    fault: Fault,
    reopened: AtomicBool,
}

fn failure() -> VaultError {
    VaultError::Unavailable { retry: Retry::Later, source: "there is no such key".into() }
}

#[async_trait]
#[deny(clippy::missing_trait_methods, reason = "what is not passed on would be a second fault")]
impl Vault for BrokenVault {
    async fn store(&self, operation: OperationId, key: &Secret<String>) -> Result<(), VaultError> {
        if self.fault == Fault::KeepsTheFirst && self.inner.open(operation).await?.is_some() {
            return Ok(());
        }
        self.inner.store(operation, key).await
    }

    async fn open(&self, operation: OperationId) -> Result<Option<Secret<String>>, VaultError> {
        match self.inner.open(operation).await? {
            None if self.fault == Fault::MissesAbsentKeys => Err(failure()),
            Some(_) if self.fault == Fault::ForgetsOnReopen && self.reopened.load(Ordering::Relaxed) => Ok(None),
            key => Ok(key),
        }
    }

    async fn erase(&self, operation: OperationId) -> Result<(), VaultError> {
        match self.fault {
            Fault::KeepsErasedKeys => Ok(()),
            Fault::MindsErasingNothing if self.inner.open(operation).await?.is_none() => Err(failure()),
            _ => self.inner.erase(operation).await,
        }
    }

    async fn held(&self) -> Result<Vec<OperationId>, VaultError> {
        let mut held = self.inner.held().await?;
        if self.fault == Fault::HoldsLess {
            held.truncate(1);
        }
        Ok(held)
    }
}
