//! Opening the file: its mode, the settings of each connection, and refusing files that are not ours.

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use provisioning_core::model::Timestamp;
use provisioning_core::ports::BoxError;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::backup::{BackupError, BackupNote, back_up};
use super::draft::suffixed;
use super::schema::{self, Found};

/// How long a connection waits for another process' lock before it says busy.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to rest before trying once more what SQLite does not wait for by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// What the margin in `sealed_keys` is reckoned with.
const PAGE_SIZE_BYTES: i64 = 4096;

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file could not be made, or its mode not set.
    #[error("the database {path} could not be created or protected")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file may not be written.
    #[error("the database {path} is read-only: give its owner permission to write it (chmod 600)")]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// A newer release wrote it.
    #[error(
        "the database {path} has version {found}, and this release knows versions up to {known}: \
         start the release that wrote it, or a later one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this release knows.
        known: u32,
    },
    /// It has tables that are not ours.
    #[error("the file {path} is the database of another program: name another file")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is a backup.
    #[error("the file {path} is a backup: `provisioning restore` makes a database of it")]
    Backup {
        /// The file.
        path: PathBuf,
    },
    /// Its tables have to be changed, and no copy of it could be made before.
    #[error("the database {path} is of an older release, and it is not changed before there is a copy of it at {copy}")]
    Copy {
        /// The file.
        path: PathBuf,
        /// The copy.
        copy: PathBuf,
        /// The cause.
        #[source]
        source: Box<BackupError>,
    },
    /// SQLite could not read or write it.
    #[error("the database {path} could not be opened")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: BoxError,
    },
}

/// The connection that writes, on a file that exists with mode 0600 and has all tables.
///
/// Before its tables are changed a backup of it is made beside it, so that the release before can be gone back to.
pub(super) fn writer(path: &Path) -> Result<Connection, OpenError> {
    open_writer(path, keep_a_copy)
}

/// The same, for a file of which there is a backup.
pub(super) fn writer_without_copy(path: &Path) -> Result<Connection, OpenError> {
    open_writer(path, |_, _| Ok(()))
}

fn open_writer(
    path: &Path,
    before_migration: impl FnOnce(&Path, usize) -> Result<(), OpenError>,
) -> Result<Connection, OpenError> {
    protect(path)?;
    let sqlite = |source: rusqlite::Error| OpenError::Sqlite { path: path.into(), source: source.into() };
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
    // Nothing is written to a file before it is known to be ours.
    // In one read: another process may be making the tables right now.
    let found = connection.unchecked_transaction().and_then(|tx| schema::look(&tx)).map_err(sqlite)?;
    refuse_others(path, found)?;
    if let Found::Ours(version @ 1..) = found
        && version < schema::VERSION as usize
    {
        before_migration(path, version)?;
    }
    durable(&connection).map_err(sqlite)?;
    refuse_others(path, schema::migrate(&mut connection).map_err(sqlite)?)?;
    Ok(connection)
}

/// Makes a backup of a database of version `found` beside it.
fn keep_a_copy(path: &Path, found: usize) -> Result<(), OpenError> {
    let copy = suffixed(path, &format!(".before-v{}", schema::VERSION));
    let made_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let note = BackupNote {
        made_at: Timestamp::from_millis(i64::try_from(made_at.as_millis()).unwrap_or(i64::MAX)),
        made_by: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
        tokens: None,
    };
    match back_up(path, &copy, &note, true, &mut |_, _| ()) {
        Ok(made) => {
            tracing::info!(
                copy = %copy.display(), from = found, to = schema::VERSION, rows = made.rows,
                "the database is brought to this release's version; the copy of before is a backup to restore from"
            );
            Ok(())
        }
        Err(source) => Err(OpenError::Copy { path: path.into(), copy, source: Box::new(source) }),
    }
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Makes the file with mode 0600, which SQLite then gives to its `-wal` and `-shm` files too, or narrows the mode
/// of one that exists. An existing file is not opened for that: closing it would end the locks that another
/// connection of this process holds on it.
fn protect(path: &Path) -> Result<(), OpenError> {
    let fault = |source: io::Error| OpenError::File { path: path.into(), source };
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(fault(error)),
    }
    let mode = fs::metadata(path).map_err(fault)?.permissions().mode();
    // Asked of the mode and not of the system, so that it holds for root as well.
    if mode & 0o200 == 0 {
        return Err(OpenError::ReadOnly { path: path.into() });
    }
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        narrow(Path::new(&file)).map_err(fault)?;
    }
    Ok(())
}

fn narrow(file: &Path) -> io::Result<()> {
    let mode = match fs::metadata(file) {
        Ok(found) => found.permissions().mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if mode & 0o077 != 0 {
        tracing::warn!(file = %file.display(), "others could read the database; its mode is now 0600");
        fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn refuse_others(path: &Path, found: Found) -> Result<(), OpenError> {
    match found {
        Found::Empty | Found::Ours(_) => Ok(()),
        Found::Backup(_) | Found::NewerBackup(_) => Err(OpenError::Backup { path: path.into() }),
        Found::Newer(found) => Err(OpenError::Newer { path: path.into(), found, known: schema::VERSION }),
        Found::Foreign => Err(OpenError::Foreign { path: path.into() }),
    }
}

/// What holds for every connection.
fn open(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    // Without the URI flag: a path is a path, whatever it begins with.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // A schema that somebody has tampered with runs no functions of ours.
    connection.pragma_update(None, "trusted_schema", false)?;
    // Nothing of the database goes to temporary files beside it.
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Turns the file's journal into a write-ahead log, if it is none yet; the mode that it has then.
///
/// Of several that try to at the same moment SQLite tells all but one that the file is busy, at once: it lets nobody
/// wait who holds a lock that the other waits for.
fn become_wal(connection: &Connection) -> rusqlite::Result<String> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        let mode = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0));
        match mode {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until => {
                std::thread::sleep(BUSY_PAUSE);
            }
            mode => return mode,
        }
    }
}

/// What holds for the connection that writes.
fn durable(connection: &Connection) -> rusqlite::Result<()> {
    // Heeded only by a file without tables; all others have it already.
    connection.pragma_update(None, "page_size", PAGE_SIZE_BYTES)?;
    let mode = become_wal(connection)?;
    if mode != "wal" {
        let why = format!("the file system allows the journal mode {mode}, not wal");
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(why),
        ));
    }
    // In WAL mode anything less may lose the last commits when the power fails.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)
}
