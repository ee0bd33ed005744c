//! The suite of [`Vault`].

use std::future::Future;

use super::rule::{Broken, Checked};
use super::sample::operation_id;
use crate::model::Secret;
use crate::ports::Vault;

/// Makes the vault that is checked. Each rule has a fixture of its own.
pub trait VaultFixture {
    /// The adapter.
    type Vault: Vault;
    /// A vault with nothing in it; asked for once.
    fn fresh(&self) -> impl Future<Output = Self::Vault>;
    /// Drops the vault and opens the same data again, as the next process would.
    fn reopen(&self, vault: Self::Vault) -> impl Future<Output = Self::Vault>;
}

/// Makes each rule of [`Vault`](crate::ports::Vault) a test; takes an expression that makes a
/// [`VaultFixture`](crate::conformance::VaultFixture).
#[macro_export]
macro_rules! vault_conformance {
    ($fixture:expr) => {
        $crate::__vault_rules! { __rule_tests ($fixture) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __vault_rules {
    ($with:ident $arguments:tt) => {
        $crate::$with! { vault [
            a_stored_key_reads_back,
            storing_twice_keeps_the_latest,
            an_absent_key_is_none,
            an_erased_key_is_gone,
            erasing_an_absent_key_is_fine,
            held_lists_every_key,
        ] $arguments }
    };
}

/// The rules' names.
pub const RULES: &[&str] = crate::__vault_rules! { __rule_names () };

/// Tries all rules, each on what `make` makes, and gives those that the vault breaks. Call it outside of a runtime.
pub fn broken_rules<F: VaultFixture>(make: impl AsyncFn() -> F) -> Vec<Broken> {
    crate::__vault_rules! { __rules_broken (make().await) }
}

/// Also after a reopen, and beside others.
pub async fn a_stored_key_reads_back(fixture: &impl VaultFixture) -> Checked {
    let vault = fixture.fresh().await;
    for n in 1..=3 {
        vault.store(operation_id(n), &key(n)).await?;
    }
    assert_eq!(vault.open(operation_id(2)).await?, Some(key(2)));
    let vault = fixture.reopen(vault).await;
    for n in 1..=3 {
        assert_eq!(vault.open(operation_id(n)).await?, Some(key(n)));
    }
    Ok(())
}

/// The second key is the one that opens.
pub async fn storing_twice_keeps_the_latest(fixture: &impl VaultFixture) -> Checked {
    let vault = fixture.fresh().await;
    vault.store(operation_id(1), &key(1)).await?;
    vault.store(operation_id(1), &key(2)).await?;
    assert_eq!(vault.open(operation_id(1)).await?, Some(key(2)));
    assert_eq!(vault.held().await?, [operation_id(1)]);
    Ok(())
}

/// Not an error, with or without others.
pub async fn an_absent_key_is_none(fixture: &impl VaultFixture) -> Checked {
    let vault = fixture.fresh().await;
    assert_eq!(vault.open(operation_id(1)).await?, None);
    vault.store(operation_id(2), &key(2)).await?;
    assert_eq!(vault.open(operation_id(1)).await?, None);
    Ok(())
}

/// `open` gives `None`, also after a reopen. That no copy stays in the medium only the adapter's own test can see.
pub async fn an_erased_key_is_gone(fixture: &impl VaultFixture) -> Checked {
    let vault = fixture.fresh().await;
    vault.store(operation_id(1), &key(1)).await?;
    vault.store(operation_id(2), &key(2)).await?;
    vault.erase(operation_id(1)).await?;
    assert_eq!(vault.open(operation_id(1)).await?, None);
    let vault = fixture.reopen(vault).await;
    assert_eq!(vault.open(operation_id(1)).await?, None);
    assert_eq!(vault.open(operation_id(2)).await?, Some(key(2)), "and no other");
    Ok(())
}

/// Before anything was stored, and once more after it was erased.
pub async fn erasing_an_absent_key_is_fine(fixture: &impl VaultFixture) -> Checked {
    let vault = fixture.fresh().await;
    vault.erase(operation_id(1)).await?;
    vault.store(operation_id(1), &key(1)).await?;
    vault.erase(operation_id(1)).await?;
    vault.erase(operation_id(1)).await?;
    Ok(())
}

/// And nothing else.
pub async fn held_lists_every_key(fixture: &impl VaultFixture) -> Checked {
    let vault = fixture.fresh().await;
    assert_eq!(vault.held().await?, []);
    for n in [3, 1, 2] {
        vault.store(operation_id(n), &key(n)).await?;
    }
    vault.erase(operation_id(2)).await?;
    let mut held = vault.held().await?;
    held.sort();
    assert_eq!(held, [operation_id(1), operation_id(3)]);
    Ok(())
}

fn key(n: u8) -> Secret<String> {
    Secret::new(format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n", format!("{n:02x}").repeat(180)))
}
