//! Which files are opened, which are refused and with what words, and who may read them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use provisioning_adapters::sqlite::{OpenError, SqliteStore};
use provisioning_core::conformance::Checked;
use provisioning_core::conformance::sample::{host_id, register};
use provisioning_core::ports::Store;

use super::InTempDir;

fn refusal(fixture: &InTempDir) -> OpenError {
    let before = fs::read(fixture.path()).unwrap_or_default();
    let error = SqliteStore::open(&fixture.path()).expect_err("the file is refused");
    assert_eq!(fs::read(fixture.path()).unwrap_or_default(), before, "a refused file is left as it is");
    error
}

fn mode(file: &Path) -> std::io::Result<u32> {
    Ok(fs::metadata(file)?.permissions().mode() & 0o7777)
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused_by_its_version() -> Checked {
    let fixture = InTempDir::new();
    register(&fixture.open(), 1).await?;
    fixture.raw().pragma_update(None, "user_version", 99)?;
    let error = refusal(&fixture);
    assert!(matches!(error, OpenError::Newer { found: 99, known: 1.., .. }), "{error:?}");
    assert!(error.to_string().contains("version 99"), "{error}");
    Ok(())
}

#[tokio::test]
async fn the_database_of_another_program_is_refused() -> Checked {
    let fixture = InTempDir::new();
    fixture.raw().execute_batch("CREATE TABLE theirs (x)")?;
    let error = refusal(&fixture);
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() -> Checked {
    let fixture = InTempDir::new();
    fs::write(fixture.path(), "Dear diary, ".repeat(100))?;
    let error = refusal(&fixture);
    assert!(matches!(error, OpenError::Sqlite { .. }), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_read_only_database_is_refused_with_advice() -> Checked {
    let fixture = InTempDir::new();
    register(&fixture.open(), 1).await?;
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o400))?;
    let error = refusal(&fixture);
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("chmod 600"), "{error}");
    assert_eq!(mode(&fixture.path())?, 0o400);
    Ok(())
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let fixture = InTempDir::new();
    let path = fixture.dir.path().join("missing").join("provisioning.db");
    let error = SqliteStore::open(&path).expect_err("there is no such directory");
    assert!(matches!(error, OpenError::File { .. }), "{error:?}");
    assert!(error.to_string().contains("missing/provisioning.db"), "{error}");
}

#[tokio::test]
async fn stores_that_make_the_file_at_once_all_open_it() -> Checked {
    let fixture = InTempDir::new();
    let stores: Vec<SqliteStore> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8).map(|_| scope.spawn(|| fixture.open())).collect();
        racers.into_iter().map(|racer| racer.join().expect("each of them opens it")).collect()
    });
    register(&stores[0], 1).await?;
    for store in &stores {
        assert!(store.host(host_id(1)).await?.is_some());
    }
    Ok(())
}

#[tokio::test]
async fn only_the_owner_can_read_what_the_store_writes() -> Checked {
    let fixture = InTempDir::new();
    let store = fixture.open();
    register(&store, 1).await?;
    let mut names = Vec::new();
    for file in fs::read_dir(fixture.dir.path())? {
        let file = file?;
        assert_eq!(mode(&file.path())?, 0o600, "{:?}", file.file_name());
        names.push(file.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["provisioning.db", "provisioning.db-shm", "provisioning.db-wal"]);
    Ok(())
}

#[tokio::test]
async fn a_database_that_others_could_read_is_narrowed() -> Checked {
    let fixture = InTempDir::new();
    register(&fixture.open(), 1).await?;
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o644))?;
    let store = fixture.open();
    assert_eq!(mode(&fixture.path())?, 0o600);
    assert!(store.host(host_id(1)).await?.is_some());
    Ok(())
}

/// `.cargo/config.toml` says how; whether `fdatasync` is used SQLite does not tell, but the flags come together.
#[test]
fn sqlite_is_compiled_as_this_workspace_says() -> Checked {
    let fixture = InTempDir::new();
    let raw = fixture.raw();
    let options: Vec<String> =
        raw.prepare("PRAGMA compile_options")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    assert!(options.iter().any(|option| option == "DEFAULT_MEMSTATUS=0"), "{options:?}");
    assert!(!options.iter().any(|option| option.starts_with("ENABLE_FTS")), "{options:?}");
    Ok(())
}
