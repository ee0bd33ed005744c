//! Backups and the way back: what is in one and what never is, and that a restore is whole or does not happen.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use provisioning_adapters::sqlite::{
    BackupError, BackupNote, MadeBackup, OpenError, RestoreError, SqliteStore, back_up, examine, put_in_place,
    read_backup, unpack_backup,
};
use provisioning_core::conformance::Checked;
use provisioning_core::conformance::sample::{
    at, entry, host_id, image, image_id, joining, operation, operation_id, register,
};
use provisioning_core::model::Secret;
use provisioning_core::ports::{Change, JournalQuery, Revision, Store, Vault};

use super::InTempDir;

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY----- which nobody else may ever see";

fn note() -> BackupNote {
    BackupNote { made_at: at(60), made_by: "a test".to_owned(), tokens: Some("[]".to_owned()) }
}

fn backed_up(fixture: &InTempDir, name: &str) -> Result<(PathBuf, MadeBackup), BackupError> {
    let to = fixture.dir.path().join(name);
    let made = back_up(&fixture.path(), &to, &note(), false, &mut |done, total| assert!(done <= total))?;
    Ok((to, made))
}

/// Two hosts, of which the first joins with a sealed key; an image, and a journal.
async fn filled(fixture: &InTempDir) -> Checked {
    let vault = fixture.open_vault();
    let store = fixture.open();
    store.insert_image(&image(1), entry(None, None, "imported")).await?;
    let first = register(&store, 1).await?;
    register(&store, 2).await?;
    vault.store(operation_id(1), &Secret::new(KEY.to_owned())).await?;
    let mut change = Change::to(first.host, joining(1)?, Some(Revision(1)));
    change.operation = Some(operation(1, 1, 1)?);
    change.journal = (0..12_000).map(|n| entry(Some(1), Some(1), &format!("line {n}"))).collect();
    store.commit(change).await?;
    Ok(())
}

#[tokio::test]
async fn a_backup_holds_all_rows_and_no_key_nor_a_token_that_opens_something() -> Checked {
    let fixture = InTempDir::new();
    filled(&fixture).await?;
    let store = fixture.open();
    // The first half of a token is its operation's id.
    let token = store.operation(operation_id(1)).await?.ok_or("it runs")?.token.expose();
    let (nonce, sealed): (Vec<u8>, Vec<u8>) =
        fixture
            .raw()
            .query_row("SELECT nonce, ciphertext FROM sealed_keys", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (file, made) = backed_up(&fixture, "backup")?;
    assert_eq!((made.running, made.size_bytes), (1, fs::metadata(&file)?.len()));
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(&file)?;
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(holds(b"line 11999") && holds(b"pve-002"), "the search finds what is there");
    for secret in [KEY.as_bytes(), &sealed, &nonce, &token.as_bytes()[22..]] {
        assert!(!secret.chunks_exact(8).any(holds), "no eight bytes of a secret are in a backup");
    }
    let contents = read_backup(&file)?;
    assert_eq!((contents.hosts, contents.entries, contents.images), (2, 12_001, vec![image(1)]));
    assert_eq!((contents.running, contents.note), (vec!["pve-001".to_owned()], note()));
    store.append(vec![entry(None, None, "the store goes on")]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_made_while_a_server_writes_is_of_one_moment() -> Checked {
    let fixture = InTempDir::new();
    let store = fixture.open();
    register(&store, 1).await?;
    let writer = store.clone();
    let writing = tokio::spawn(async move {
        for n in 0..300 {
            let (first, second) = (entry(Some(1), None, &format!("{n}a")), entry(Some(1), None, &format!("{n}b")));
            writer.append(vec![first, second]).await?;
        }
        Ok::<(), provisioning_core::ports::StoreError>(())
    });
    for n in 0..5 {
        let (file, _) = backed_up(&fixture, &format!("backup-{n}"))?;
        assert_eq!(read_backup(&file)?.entries % 2, 0, "entries of one commit are all in it or none");
    }
    writing.await??;
    Ok(())
}

#[tokio::test]
async fn a_backup_overwrites_nothing_unless_told_to_and_leaves_nothing_half_made() -> Checked {
    let fixture = InTempDir::new();
    filled(&fixture).await?;
    let to = fixture.dir.path().join("taken");
    fs::write(&to, "of value")?;
    assert!(matches!(backed_up(&fixture, "taken"), Err(BackupError::Exists(_))));
    assert_eq!(fs::read(&to)?, b"of value");
    back_up(&fixture.path(), &to, &note(), true, &mut |_, _| ())?;
    assert_eq!(read_backup(&to)?.hosts, 2);
    assert!(matches!(backed_up(&fixture, "no/such/folder"), Err(BackupError::File { .. })));
    fixture.raw().execute_batch("PRAGMA foreign_keys = off; DELETE FROM operations")?;
    fixture.raw().execute_batch(
        "PRAGMA foreign_keys = off; INSERT INTO artefacts VALUES (zeroblob(16), 'answer', 'of nothing', 1)",
    )?;
    assert!(matches!(backed_up(&fixture, "damaged"), Err(BackupError::Damaged { .. })));
    let left: Vec<_> = fs::read_dir(fixture.dir.path())?.filter_map(Result::ok).map(|file| file.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("part")), "{left:?}");
    Ok(())
}

#[tokio::test]
async fn a_backup_becomes_a_database_and_the_old_one_is_kept_aside() -> Checked {
    let fixture = InTempDir::new();
    filled(&fixture).await?;
    let (file, _) = backed_up(&fixture, "backup")?;
    let store = fixture.open();
    store.append(vec![entry(None, None, "after the backup")]).await?;
    let last = store.last_seq().await?;
    drop(store);
    let (new, aside) = (fixture.dir.path().join("new"), fixture.dir.path().join("aside"));
    unpack_backup(&file, &new)?;
    put_in_place(&new, &fixture.path(), &aside)?;
    let store = fixture.open();
    assert_eq!(store.last_seq().await?, last - 1);
    assert_eq!(store.image(image_id(1)).await?, Some(image(1)));
    assert_eq!(store.journal(&JournalQuery::of_host(host_id(1), 20_000)).await?.len(), 12_000);
    assert_eq!(fixture.open_vault().held().await?, []);
    assert_eq!(SqliteStore::open(&aside)?.last_seq().await?, last, "the old one is whole");
    assert!(!new.exists());
    Ok(())
}

#[tokio::test]
async fn a_damaged_database_goes_aside_with_its_log() -> Checked {
    let fixture = InTempDir::new();
    filled(&fixture).await?;
    let (file, _) = backed_up(&fixture, "backup")?;
    fs::write(fixture.path(), "no database at all".repeat(300))?;
    fs::write(fixture.dir.path().join("provisioning.db-wal"), "nor a log")?;
    let (new, aside) = (fixture.dir.path().join("new"), fixture.dir.path().join("aside"));
    unpack_backup(&file, &new)?;
    put_in_place(&new, &fixture.path(), &aside)?;
    assert_eq!(fixture.open().last_seq().await?, 12_001);
    assert!(fs::read(&aside)?.starts_with(b"no database"));
    assert_eq!(fs::read(fixture.dir.path().join("aside-wal"))?, b"nor a log");
    Ok(())
}

#[tokio::test]
async fn what_is_no_whole_backup_of_a_known_release_is_refused_and_says_why() -> Checked {
    let fixture = InTempDir::new();
    filled(&fixture).await?;
    let (file, _) = backed_up(&fixture, "backup")?;
    let whole = fs::read(&file)?;
    let refusal = |bytes: &[u8]| -> Result<RestoreError, std::io::Error> {
        fs::write(&file, bytes)?;
        Ok(read_backup(&file).expect_err("it is refused"))
    };
    assert!(matches!(refusal(b"a letter".repeat(200).as_slice())?, RestoreError::NotABackup(_)));
    assert!(matches!(refusal(&fs::read(fixture.path())?)?, RestoreError::NotABackup(_)), "a database is no backup");
    assert!(matches!(refusal(&whole[..whole.len() / 2])?, RestoreError::Damaged { .. }));
    let mut newer = whole.clone();
    newer[63] = 99;
    let error = refusal(&newer)?;
    assert!(
        matches!(error, RestoreError::Newer { found: 99, .. }) && error.to_string().contains("version 99"),
        "{error}"
    );
    fs::write(&file, &whole)?;
    let error = SqliteStore::open(&file).expect_err("a server does not start on a backup");
    assert!(matches!(error, OpenError::Backup { .. }) && error.to_string().contains("provisioning restore"), "{error}");
    assert_eq!(fs::read(&file)?, whole);
    Ok(())
}

#[tokio::test]
async fn examining_a_database_changes_nothing_and_finds_what_is_damaged() -> Checked {
    let fixture = InTempDir::new();
    filled(&fixture).await?;
    fixture.raw().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let files = || -> Result<Vec<_>, std::io::Error> {
        let mut files: Vec<_> = fs::read_dir(fixture.dir.path())?.collect::<Result<_, _>>()?;
        files.sort_by_key(fs::DirEntry::file_name);
        files.into_iter().map(|file| Ok((file.file_name(), fs::read(file.path())?))).collect()
    };
    let before = files()?;
    let found = examine(&fixture.path())?;
    assert_eq!((found.damage.as_deref(), found.sealed_keys, found.images), (None, 1, vec![image(1)]));
    assert_eq!((found.version, found.latest), (i64::from(found.known), Some(at(3))));
    assert_eq!(files()?, before);
    let store = fixture.open();
    store.append(vec![entry(None, None, "in the log alone")]).await?;
    assert_eq!(examine(&fixture.path())?.damage, None, "while a server has it open");
    drop(store);
    let mut bytes = fs::read(fixture.path())?;
    bytes[40_960..45_056].fill(0xa5);
    fs::write(fixture.path(), bytes)?;
    assert!(examine(&fixture.path())?.damage.is_some());
    Ok(())
}
