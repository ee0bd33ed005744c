//! Rows that somebody, or a failing disk, has spoilt: an error that names them, never a panic.

use provisioning_core::conformance::Checked;
use provisioning_core::conformance::sample::{
    artefact, at, entry, host_id, image, image_id, moved, operation_id, start, work,
};
use provisioning_core::machine::WorkKind;
use provisioning_core::model::ArtefactKind;
use provisioning_core::ports::{Change, HostFilter, JournalQuery, Store, StoreError, Vault, VaultError};

use super::InTempDir;

/// A store with a row in each table.
async fn filled(fixture: &InTempDir) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let store = fixture.open();
    let row = start(&store, 1, 1).await?;
    let mut change = Change::to(row.host, row.state, Some(row.revision));
    change.artefacts = vec![(operation_id(1), artefact(ArtefactKind::Answer, "[global]"))];
    change.journal = vec![moved(1, 1)];
    change.owe = vec![work(1, WorkKind::Join, 1, 10)];
    store.commit(change).await?;
    store.insert_image(&image(1), entry(None, None, "imported")).await?;
    Ok(())
}

/// Reads everything there is.
async fn read_all(store: &dyn Store) -> Result<(), StoreError> {
    store.host(host_id(1)).await?;
    store.hosts(&HostFilter::default()).await?;
    store.overdue(at(100)).await?;
    store.next_deadline().await?;
    store.operation(operation_id(1)).await?;
    store.artefacts(operation_id(1)).await?;
    store.journal(&JournalQuery::after(0, 100)).await?;
    store.work().await?;
    store.images().await?;
    Ok(())
}

#[tokio::test]
async fn a_spoilt_row_is_corrupt_and_named() -> Checked {
    let spoilt = [
        ("hosts", "UPDATE hosts SET state = '{\"state\":\"melted\"}'", "state"),
        ("hosts", "UPDATE hosts SET state = 'no json'", "state"),
        ("hosts", "UPDATE hosts SET name = 'not a name'", "name"),
        ("hosts", "UPDATE hosts SET address = '10.0.0.0.1'", "address"),
        ("hosts", "UPDATE hosts SET macs = macs || ' ff:ff'", "macs"),
        ("operations", "UPDATE operations SET token = 'short'", "token"),
        ("operations", "UPDATE operations SET public_key = 'none'", "public_key"),
        ("operations", "UPDATE operations SET server_type = '{}'", "server_type"),
        ("artefacts", "UPDATE artefacts SET kind = 'poem'", "kind"),
        ("journal", "UPDATE journal SET what = '{\"kind\":\"unheard_of\"}'", "what"),
        ("journal", "UPDATE journal SET source = 'nobody'", "source"),
        ("outbox", "UPDATE outbox SET attempts = -1", "attempts"),
        ("outbox", "UPDATE outbox SET kind = 'dance'", "kind"),
        ("images", "UPDATE images SET sha256 = 'abc'", "sha256"),
        ("images", "UPDATE images SET release = 'nine'", "release"),
    ];
    for (expected, sql, column) in spoilt {
        let fixture = InTempDir::new();
        filled(&fixture).await?;
        let store = fixture.open();
        read_all(&store).await?;
        assert!(fixture.raw().execute(sql, [])? > 0, "{sql}");
        match read_all(&store).await {
            Err(StoreError::Corrupt { table, problem }) => {
                assert_eq!(table, expected, "{sql}");
                assert!(problem.contains(&format!(", {column}: ")), "{sql}: {problem}");
            }
            other => return Err(format!("{sql}: {other:?}").into()),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_spoilt_row_is_named_by_its_key() -> Checked {
    let fixture = InTempDir::new();
    filled(&fixture).await?;
    fixture.raw().execute_batch("UPDATE hosts SET name = '-'; UPDATE journal SET source = 'x' WHERE seq = 2")?;
    let store = fixture.open();
    let host = store.host(host_id(1)).await.unwrap_err().to_string();
    assert!(host.contains(&host_id(1).to_string()), "{host}");
    let journal = store.journal(&JournalQuery::after(1, 9)).await.unwrap_err().to_string();
    assert!(journal.contains("row 2, source"), "{journal}");
    assert_eq!(store.image(image_id(1)).await?, Some(image(1)), "other rows can be read as before");
    Ok(())
}

#[tokio::test]
async fn a_page_of_rubbish_is_an_error() -> Checked {
    let fixture = InTempDir::new();
    filled(&fixture).await?;
    fixture.raw().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let roots: Vec<u32> = {
        let database = fixture.raw();
        let mut roots = database.prepare("SELECT rootpage FROM sqlite_schema WHERE rootpage > 0")?;
        roots.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    let mut bytes = std::fs::read(fixture.path())?;
    // The schema itself stays, which may fill several pages; every table and index begins with rubbish.
    for root in roots {
        let end = usize::try_from(root)? * 4096;
        bytes[end - 4096..end].fill(0xa5);
    }
    std::fs::write(fixture.path(), bytes)?;
    let store = fixture.open();
    let error = read_all(&store).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { table: "the file", .. }), "{error:?}");
    let error = store.append(vec![entry(None, None, "x")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. } | StoreError::Unavailable { .. }), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_sealed_key_that_was_changed_or_moved_does_not_open() -> Checked {
    let swapped = "UPDATE sealed_keys SET ciphertext = (SELECT ciphertext FROM sealed_keys ORDER BY operation DESC)";
    for sql in [swapped, "UPDATE sealed_keys SET nonce = zeroblob(24)", "UPDATE sealed_keys SET ciphertext = x'00'"] {
        let fixture = InTempDir::new();
        let vault = fixture.open_vault();
        for n in [1, 2] {
            vault.store(operation_id(n), &provisioning_core::model::Secret::new(format!("key {n}"))).await?;
        }
        fixture.raw().execute(sql, [])?;
        let error = vault.open(operation_id(1)).await.unwrap_err();
        assert!(matches!(error, VaultError::Sealed(operation) if operation == operation_id(1)), "{sql}: {error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_sealed_key_does_not_open_with_another_key_file() -> Checked {
    let fixture = InTempDir::new();
    let vault = fixture.open_vault();
    vault.store(operation_id(1), &provisioning_core::model::Secret::new("a key".to_owned())).await?;
    std::fs::remove_file(fixture.dir.path().join("vault.key"))?;
    let vault = fixture.open_vault();
    assert!(matches!(vault.open(operation_id(1)).await, Err(VaultError::Sealed(_))));
    vault.erase(operation_id(1)).await?;
    assert_eq!(vault.held().await?, [], "it can still be erased");
    Ok(())
}
