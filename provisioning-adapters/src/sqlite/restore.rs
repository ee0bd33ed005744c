//! Back from a backup: looked at first, made into a database of its own, and put in place in one step.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use provisioning_core::model::{Image, Timestamp};
use provisioning_core::ports::{BoxError, StoreError};
use rusqlite::{Connection, OpenFlags};

use super::backup::{BackupNote, counted, first_problem};
use super::connect::{self, OpenError};
use super::draft::{suffixed, sync_folder_of};
use super::reads;
use super::schema::{self, Found};

/// What a backup holds.
#[derive(Clone, Debug)]
pub struct BackupContents {
    /// What it says of itself.
    pub note: BackupNote,
    /// The version of its tables.
    pub version: u32,
    /// How many hosts it knows.
    pub hosts: u64,
    /// The names of hosts whose operation ran when it was made.
    pub running: Vec<String>,
    /// The journal's entries.
    pub entries: u64,
    /// Its images, without their ISOs.
    pub images: Vec<Image>,
}

/// Why a backup is not restored. The database is as it was then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// It is no backup.
    #[error("{} is no backup: name a file that `provisioning backup` has made", .0.display())]
    NotABackup(PathBuf),
    /// A newer release made it.
    #[error(
        "the backup {} has version {found}, and this release knows versions up to {known}: restore it with the release \
         that made it, or a later one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this release knows.
        known: u32,
    },
    /// It is not whole.
    #[error("the backup {} is damaged: {problem}; take another one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says of it.
        problem: String,
    },
    /// A file could not be read or written.
    #[error("{} could not be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The new database could not be made.
    #[error("no database could be made of the backup")]
    Database(#[from] OpenError),
    /// SQLite could not read or write.
    #[error("the backup could not be read, or the database not be written")]
    Sqlite(#[source] BoxError),
}

impl From<rusqlite::Error> for RestoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error.into())
    }
}

/// Looks into a backup, and checks every page of it. Changes nothing.
///
/// # Errors
/// See [`RestoreError`].
pub fn read_backup(path: &Path) -> Result<BackupContents, RestoreError> {
    fs::File::open(path).map_err(|source| RestoreError::File { path: path.to_owned(), source })?;
    let not_whole = |error: &rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => RestoreError::NotABackup(path.to_owned()),
        _ => RestoreError::Damaged { path: path.to_owned(), problem: error.to_string() },
    };
    let backup = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let version = match schema::look(&backup).map_err(|error| not_whole(&error))? {
        Found::Backup(version) if version > 0 => version,
        Found::NewerBackup(found) => {
            return Err(RestoreError::Newer { path: path.to_owned(), found, known: schema::VERSION });
        }
        _ => return Err(RestoreError::NotABackup(path.to_owned())),
    };
    if let Some(problem) = first_problem(&backup).map_err(|error| not_whole(&error))? {
        return Err(RestoreError::Damaged { path: path.to_owned(), problem });
    }
    let note = backup.query_row("SELECT made_at, made_by, tokens FROM backup", [], |row| {
        let made_at = Timestamp::from_millis(row.get(0)?);
        Ok(BackupNote { made_at, made_by: row.get(1)?, tokens: row.get(2)? })
    })?;
    let count = |table: &str| backup.query_row(&format!("SELECT count(*) FROM {table}"), [], counted);
    let running = "SELECT name FROM hosts WHERE running IS NOT NULL ORDER BY name";
    Ok(BackupContents {
        note,
        version: u32::try_from(version).unwrap_or(schema::VERSION),
        hosts: count("hosts")?,
        entries: count("journal")?,
        running: backup.prepare(running)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?,
        images: reads::images(&backup).map_err(|fault| RestoreError::Damaged {
            path: path.to_owned(),
            problem: StoreError::from(fault).to_string(),
        })?,
    })
}

/// Makes a database of the newest version at `at`, where nothing is yet, out of a backup.
///
/// # Errors
/// See [`RestoreError`].
pub fn unpack_backup(backup: &Path, at: &Path) -> Result<(), RestoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::File { path, source }
    };
    let mut from = fs::File::open(backup).map_err(failed(backup))?;
    let mut to = fs::OpenOptions::new();
    let mut to = to.write(true).create_new(true).mode(0o600).open(at).map_err(failed(at))?;
    io::copy(&mut from, &mut to).map_err(failed(at))?;
    drop(to);
    let database =
        Connection::open_with_flags(at, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    database.execute_batch("DROP TABLE backup")?;
    database.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
    drop(database);
    connect::writer_without_copy(at)?;
    Ok(())
}

/// Puts `new`, which nobody has open, in the place of `database`, and what was there at `aside`; both lie in one folder.
/// Whatever happens meanwhile, one whole database is in its place: the old one until the last step.
///
/// # Errors
/// See [`RestoreError`].
pub fn put_in_place(new: &Path, database: &Path, aside: &Path) -> Result<(), RestoreError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::File { path, source }
    };
    // All of it in one file: a log that belongs to another database must not be found beside it.
    into_one_file(new)?;
    fs::File::open(new).and_then(|file| file.sync_all()).map_err(failed(new))?;
    if database.exists() {
        if !looks_like_one(database) || into_one_file(database).is_err() {
            // It is damaged: its log goes with it, before anything else could be taken for its database.
            for suffix in ["-wal", "-shm"] {
                let from = suffixed(database, suffix);
                if from.exists() {
                    fs::rename(&from, suffixed(aside, suffix)).map_err(failed(&from))?;
                }
            }
        }
        fs::hard_link(database, aside).map_err(failed(aside))?;
        sync_folder_of(aside).map_err(failed(aside))?;
    }
    fs::rename(new, database).map_err(failed(database))?;
    sync_folder_of(database).map_err(failed(database))
}

/// Whether a file begins as SQLite's do, or is empty. SQLite itself throws away the log beside one that does not.
fn looks_like_one(database: &Path) -> bool {
    let mut head = Vec::new();
    let read = fs::File::open(database).and_then(|file| file.take(16).read_to_end(&mut head));
    read.is_ok() && (head.is_empty() || head == b"SQLite format 3\0")
}

/// Moves the write-ahead log into the database, and removes it.
fn into_one_file(database: &Path) -> rusqlite::Result<()> {
    let connection =
        Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(connect::BUSY_TIMEOUT)?;
    connection.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get::<_, String>(0)).map(drop)
}
