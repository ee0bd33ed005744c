//! Databases of every released version become databases of this one, with all that stood in them.
//!
//! `tests/fixtures/sqlite/vN.sql` is the dump of a database as the release with version N wrote it. They are never
//! edited; a new version gets a new one.

use std::fs;
use std::path::{Path, PathBuf};

use provisioning_adapters::sqlite::{OpenError, SqliteStore, examine, read_backup};
use provisioning_core::conformance::Checked;
use provisioning_core::conformance::sample::{
    artefact, at, entry, host, host_id, image, image_id, joining, mac, operation, operation_id, work,
};
use provisioning_core::machine::WorkKind;
use provisioning_core::model::ArtefactKind;
use provisioning_core::ports::{Bookmarks, JournalQuery, Prune, Pruned, Store};

use super::InTempDir;

/// Versions that were released before this one.
const RELEASED: std::ops::RangeInclusive<u32> = 1..=6;

fn fixture_file(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/sqlite/v{version}.sql"))
}

/// A database as that release left it.
fn of_version(version: u32) -> Result<InTempDir, Box<dyn std::error::Error + Send + Sync>> {
    let fixture = InTempDir::new();
    let database = fixture.raw();
    database.pragma_update(None, "journal_mode", "wal")?;
    database.execute_batch(&fs::read_to_string(fixture_file(version))?)?;
    Ok(fixture)
}

#[tokio::test]
async fn a_database_of_every_released_version_is_raised_and_keeps_everything() -> Checked {
    for version in RELEASED {
        let fixture = of_version(version)?;
        assert_eq!(examine(&fixture.path())?.version, i64::from(version));
        let store = fixture.open();
        let found = examine(&fixture.path())?;
        assert_eq!((found.version, found.damage.as_deref()), (i64::from(found.known), None), "version {version}");

        let first = store.host(host_id(1)).await?.ok_or("host 1 is there")?;
        assert_eq!((first.host, first.state), (host(1)?, joining(1)?), "version {version}");
        assert_eq!(store.host_by_mac(mac(2, 1)?).await?.map(|row| row.host), Some(host(2)?));
        assert_eq!(store.operation(operation_id(1)).await?, Some(operation(1, 1, 1)?));
        assert_eq!(store.artefacts(operation_id(1)).await?, [artefact(ArtefactKind::Answer, "an answer")]);
        assert_eq!(store.work().await?, [work(1, WorkKind::Join, 1, 9)]);
        assert_eq!(store.images().await?, [image(1)]);
        assert_eq!(store.image(image_id(1)).await?, Some(image(1)));
        let journal = store.journal(&JournalQuery::after(0, 9)).await?;
        assert_eq!(journal, [entry(Some(1), Some(1), "first").at_place(1), entry(None, None, "second").at_place(3)]);
        assert_eq!(store.last_seq().await?, 3);
        assert_eq!(found.sealed_keys, 1);

        let of = |from: u32, count: usize| if version >= from { count } else { 0 };
        assert_eq!(store.discovered().await?.len(), of(2, 1), "version {version}");
        assert_eq!(usize::from(store.default_image().await?.is_some()), of(3, 1), "version {version}");
        assert_eq!(usize::from(store.place("a reader").await? == Some(2)), of(5, 1), "version {version}");
        assert_eq!(store.pruned_to().await?, of(6, 1) as u64 * 2, "version {version}");
        // What is new works as well.
        assert_eq!(store.host_by_mac(mac(1, 1)?).await?.map(|row| row.host.macs), Some(host(1)?.macs));
        let of_host = store.journal(&JournalQuery::of_host(host_id(1), 9)).await?;
        let of_operation = store.journal(&JournalQuery::of_operation(operation_id(1), 9)).await?;
        assert_eq!((of_host.len(), of_operation), (1, of_host.clone()), "version {version}");
        let prune = Prune { journal_before: Some(at(60)), artefacts_before: None, at_most: 9 };
        assert_eq!(store.prune(&prune).await?, Pruned::default(), "of a last operation, and the last entry");
    }
    Ok(())
}

#[tokio::test]
async fn a_copy_of_before_is_kept_and_is_a_backup_of_the_old_version() -> Checked {
    let fixture = of_version(3)?;
    drop(fixture.open());
    let found = examine(&fixture.path())?;
    let copy = fixture.dir.path().join(format!("provisioning.db.before-v{}", found.known));
    let contents = read_backup(&copy)?;
    assert_eq!((contents.version, contents.hosts, contents.entries), (3, 2, 2));
    let sealed: Vec<u8> = fixture.raw().query_row("SELECT ciphertext FROM sealed_keys", [], |row| row.get(0))?;
    assert!(!fs::read(&copy)?.windows(sealed.len()).any(|window| window == sealed), "no key goes into the copy");
    drop(fixture.open());
    let names = fs::read_dir(fixture.dir.path())?.filter_map(Result::ok).map(|file| file.file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().contains("before")).count(), 1, "and none at later starts");
    Ok(())
}

#[tokio::test]
async fn without_a_copy_nothing_is_changed() -> Checked {
    let fixture = of_version(2)?;
    let found = examine(&fixture.path())?;
    // Nothing can be put in its place.
    fs::create_dir(fixture.dir.path().join(format!("provisioning.db.before-v{}", found.known)))?;
    let error = SqliteStore::open(&fixture.path()).expect_err("it is not changed");
    assert!(matches!(error, OpenError::Copy { .. }) && error.to_string().contains("before-v"), "{error}");
    assert_eq!(examine(&fixture.path())?.version, 2);
    Ok(())
}

#[tokio::test]
async fn a_migration_that_was_killed_is_begun_anew_by_the_next_start() -> Checked {
    let fixture = of_version(1)?;
    let database = fixture.raw();
    // Half of a migration, spilled into the log as SQLite does when its memory is full, and never committed.
    database.pragma_update(None, "cache_size", 1)?;
    database.pragma_update(None, "cache_spill", 1)?;
    database.execute_batch("BEGIN IMMEDIATE; CREATE TABLE discovered (half TEXT)")?;
    for n in 0..200 {
        database.execute("INSERT INTO discovered VALUES (?1)", [format!("{n}").repeat(500)])?;
    }
    let killed = InTempDir::new();
    for suffix in ["", "-wal"] {
        let name = format!("provisioning.db{suffix}");
        fs::copy(fixture.dir.path().join(&name), killed.dir.path().join(&name))?;
    }
    assert!(fs::metadata(killed.dir.path().join("provisioning.db-wal"))?.len() > 50_000, "the log holds the half");
    assert_eq!(examine(&killed.path())?.version, 1);
    let store = killed.open();
    assert_eq!(store.host(host_id(1)).await?.map(|row| row.host), Some(host(1)?));
    assert_eq!(store.discovered().await?, []);
    Ok(())
}
