//! What the `Vault` contract says.

use provisioning_core::model::Secret;

use super::sample::operation_id;
use super::{Checked, Fixture};

fn key(n: u8) -> Secret<String> {
    Secret::new(format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n", format!("{n:02x}").repeat(180)))
}

/// Also after a reopen.
pub(crate) async fn a_stored_key_reads_back(fixture: &impl Fixture) -> Checked {
    let vault = fixture.vault();
    for n in 1..=3 {
        vault.store(operation_id(n), &key(n)).await?;
    }
    assert_eq!(vault.open(operation_id(2)).await?, Some(key(2)));
    drop(vault);
    let vault = fixture.vault();
    for n in 1..=3 {
        assert_eq!(vault.open(operation_id(n)).await?, Some(key(n)));
    }
    Ok(())
}

pub(crate) async fn storing_twice_keeps_the_latest(fixture: &impl Fixture) -> Checked {
    let vault = fixture.vault();
    vault.store(operation_id(1), &key(1)).await?;
    vault.store(operation_id(1), &key(2)).await?;
    assert_eq!(vault.open(operation_id(1)).await?, Some(key(2)));
    assert_eq!(vault.held().await?, [operation_id(1)]);
    Ok(())
}

/// Not an error.
pub(crate) async fn an_absent_key_is_none(fixture: &impl Fixture) -> Checked {
    let vault = fixture.vault();
    assert_eq!(vault.open(operation_id(1)).await?, None);
    Ok(())
}

/// `open` gives `None`, also after a reopen. That no copy stays in the medium only the adapter's own test can see.
pub(crate) async fn an_erased_key_is_gone(fixture: &impl Fixture) -> Checked {
    let vault = fixture.vault();
    vault.store(operation_id(1), &key(1)).await?;
    vault.store(operation_id(2), &key(2)).await?;
    vault.erase(operation_id(1)).await?;
    assert_eq!(vault.open(operation_id(1)).await?, None);
    drop(vault);
    let vault = fixture.vault();
    assert_eq!(vault.open(operation_id(1)).await?, None);
    assert_eq!(vault.open(operation_id(2)).await?, Some(key(2)), "and no other");
    Ok(())
}

pub(crate) async fn erasing_an_absent_key_is_fine(fixture: &impl Fixture) -> Checked {
    let vault = fixture.vault();
    vault.erase(operation_id(1)).await?;
    vault.store(operation_id(1), &key(1)).await?;
    vault.erase(operation_id(1)).await?;
    vault.erase(operation_id(1)).await?;
    Ok(())
}

/// And nothing else.
pub(crate) async fn held_lists_every_key(fixture: &impl Fixture) -> Checked {
    let vault = fixture.vault();
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
