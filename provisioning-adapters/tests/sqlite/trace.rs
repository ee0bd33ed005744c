//! What can be found in the files by who holds them: never a private key, and nothing at all of an erased one.

use std::collections::BTreeSet;

use provisioning_core::conformance::Checked;
use provisioning_core::conformance::sample::{at, operation_id};
use provisioning_core::model::{OperationId, Secret, Timestamp};
use provisioning_core::ports::{Retry, Vault, VaultError};

use super::{InTempDir, bytes_on_disk};

/// So many bytes of a text are taken as a trace of it.
const TRACE: usize = 8;

/// How many different pieces of `texts` stand in `bytes`.
fn traces<'a>(bytes: &[u8], texts: impl IntoIterator<Item = &'a [u8]>) -> usize {
    let pieces: BTreeSet<&[u8]> = texts.into_iter().flat_map(|text| text.chunks_exact(TRACE)).collect();
    bytes.windows(TRACE).filter(|window| pieces.contains(window)).collect::<BTreeSet<_>>().len()
}

/// Text of a private key's size that looks like nothing else, from a small generator.
fn private_key(seed: u64) -> Secret<String> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let text = (0..400).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + u8::try_from(state % 90).unwrap_or(0))
    });
    Secret::new(text.collect())
}

fn ciphertexts(fixture: &InTempDir) -> rusqlite::Result<Vec<Vec<u8>>> {
    let raw = fixture.raw();
    let mut statement = raw.prepare("SELECT ciphertext FROM sealed_keys ORDER BY operation")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

#[tokio::test]
async fn no_byte_of_a_private_key_is_ever_in_the_files() -> Checked {
    let fixture = InTempDir::new();
    let vault = fixture.open_vault();
    let keys: Vec<_> = (0..10).map(private_key).collect();
    let plain = || keys.iter().map(|key| key.expose().as_bytes());
    for (n, key) in (0..).zip(&keys) {
        vault.store(operation_id(n), key).await?;
    }
    assert!(traces(plain().collect::<Vec<_>>().concat().as_slice(), plain()) > 100, "the search finds what is there");
    assert_eq!(traces(&bytes_on_disk(&fixture.path()), plain()), 0);
    vault.erase(operation_id(3)).await?;
    assert_eq!(traces(&bytes_on_disk(&fixture.path()), plain()), 0);
    drop(vault);
    assert_eq!(traces(&bytes_on_disk(&fixture.path()), plain()), 0);
    Ok(())
}

#[tokio::test]
async fn nothing_of_an_erased_key_stays_in_the_files_however_rows_were_moved() -> Checked {
    const KEYS: usize = 60;
    let fixture = InTempDir::new();
    let vault = fixture.open_vault();
    // Ids in an order of their own, so that rows come and go in the middle of pages.
    let id = |n: usize| {
        let n = u8::try_from((n * 37) % KEYS).unwrap_or(0);
        OperationId::new(Timestamp::from_millis(at(0).as_millis() + i64::from(n)), [n; 10])
    };
    for n in 0..KEYS {
        vault.store(id(n), &private_key(n as u64)).await?;
        if n % 3 == 0 {
            vault.store(id(n), &private_key(1_000 + n as u64)).await?;
        }
    }
    let before = ciphertexts(&fixture)?;
    assert!(traces(&bytes_on_disk(&fixture.path()), before.iter().map(Vec::as_slice)) > 1_000);
    for n in 0..KEYS {
        if n % 5 != 0 {
            vault.erase(id(n)).await?;
        }
        // Rows that come later move those that are there.
        if n % 7 == 0 {
            vault.store(id(n), &private_key(2_000 + n as u64)).await?;
        }
    }
    let kept: BTreeSet<Vec<u8>> = ciphertexts(&fixture)?.into_iter().collect();
    let gone = || before.iter().filter(|text| !kept.contains(*text)).map(Vec::as_slice);
    assert!(gone().count() > KEYS / 2);
    // The log holds what was written since it was emptied; the last erasure empties it once more.
    vault.erase(id(1)).await?;
    assert_eq!(traces(&bytes_on_disk(&fixture.path()), gone()), 0);
    Ok(())
}

#[tokio::test]
async fn a_long_read_delays_an_erasure_and_the_next_try_ends_it() -> Checked {
    let fixture = InTempDir::new();
    let vault = fixture.open_vault();
    vault.store(operation_id(1), &private_key(1)).await?;
    let sealed = ciphertexts(&fixture)?;
    let text = || sealed.iter().map(Vec::as_slice);

    let mut backup = fixture.raw();
    let reading = backup.transaction()?;
    let rows: i64 = reading.query_row("SELECT count(*) FROM sealed_keys", [], |row| row.get(0))?;
    assert_eq!(rows, 1);
    let error = vault.erase(operation_id(1)).await.unwrap_err();
    assert!(matches!(error, VaultError::Unavailable { retry: Retry::Later, .. }), "{error:?}");
    assert_eq!(vault.open(operation_id(1)).await?, None, "no longer to be had from the vault");
    assert!(traces(&bytes_on_disk(&fixture.path()), text()) > 0, "but not yet gone from the log");

    reading.finish()?;
    drop(backup);
    vault.erase(operation_id(1)).await?;
    assert_eq!(traces(&bytes_on_disk(&fixture.path()), text()), 0);
    Ok(())
}
