//! Backups: everything but key material in one file, made while a server goes on writing.
//!
//! Rows are copied into a new database within one read of the old one, so that they are of one moment; what is not to be
//! in a backup is never written to it, and so stands in no unused page of it either:
//!
//! - sealed one-time keys are left out;
//! - the tokens of operations that run get other secrets, which open nothing.
//!
//! The file is a SQLite database of the same tables, with another `application_id`: no server starts on it by mistake,
//! which would go on with operations that cannot go on ([`restore`](super::restore) ends them).

use std::io;
use std::path::{Path, PathBuf};

use provisioning_core::model::{BootToken, OperationId, Timestamp};
use provisioning_core::ports::BoxError;
use rusqlite::{Connection, OpenFlags, Row, params};

use super::connect::BUSY_TIMEOUT;
use super::draft::Draft;
use super::schema::{self, Found};

/// So many entries of the journal are copied between two reports of progress.
const CHUNK: i64 = 5_000;

/// What a backup says of itself.
const NOTE: &str = "
CREATE TABLE backup (
    row     INTEGER PRIMARY KEY CHECK (row = 1),
    made_at INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    tokens  TEXT
) STRICT;
";

/// What is kept in a backup beside the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupNote {
    /// When it was made.
    pub made_at: Timestamp,
    /// By which program, such as `provisioning 0.1.0`.
    pub made_by: String,
    /// The operators' tokens, as their file holds them: digests, no tokens.
    pub tokens: Option<String>,
}

/// A backup that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MadeBackup {
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The version of its tables.
    pub version: u32,
    /// Rows that were copied.
    pub rows: u64,
    /// Operations that run: a restore ends them.
    pub running: u64,
}

/// Why there is no backup. Nothing is left of it then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file is there already.
    #[error("{} is there already: name another file", .0.display())]
    Exists(PathBuf),
    /// There is no database.
    #[error("there is no database {}", .0.display())]
    Missing(PathBuf),
    /// The database is not one that this release can make a backup of.
    #[error("{} is no database of this release or an older one: make the backup with the release that wrote it", .0.display())]
    NotOurs(PathBuf),
    /// What was copied contradicts itself: the database is damaged.
    #[error("the database is damaged, and a backup of it would be too: {problem}")]
    Damaged {
        /// What SQLite says of it.
        problem: String,
    },
    /// The file could not be written.
    #[error("{} could not be written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// SQLite could not read or write.
    #[error("the database could not be copied")]
    Sqlite(#[source] BoxError),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error.into())
    }
}

/// Makes a backup of `database` at `to`, with mode 0600, checked and on the disk when this returns. A server may run on
/// the database and goes on. `on_rows` is told how many rows are copied, of how many. An existing file is replaced only
/// with `replace`.
///
/// While it runs the write-ahead log cannot be emptied, so that keys which are to be erased wait for its end.
///
/// # Errors
/// See [`BackupError`].
pub fn back_up(
    database: &Path,
    to: &Path,
    note: &BackupNote,
    replace: bool,
    on_rows: &mut dyn FnMut(u64, u64),
) -> Result<MadeBackup, BackupError> {
    let file = |source| BackupError::File { path: to.to_owned(), source };
    if !replace && std::fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    if !database.is_file() {
        return Err(BackupError::Missing(database.to_owned()));
    }
    let draft = Draft::beside(to).map_err(file)?;
    let mut made = copy(database, draft.path(), note, on_rows)?;
    made.size_bytes = std::fs::metadata(draft.path()).map_err(file)?.len();
    let placed = if replace { draft.replace(to) } else { draft.put(to) };
    placed.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
        _ => file(error),
    })?;
    Ok(made)
}

fn copy(
    database: &Path,
    draft: &Path,
    note: &BackupNote,
    on_rows: &mut dyn FnMut(u64, u64),
) -> Result<MadeBackup, BackupError> {
    let version = version_of(database)?;
    let mut copy =
        Connection::open_with_flags(draft, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    copy.busy_timeout(BUSY_TIMEOUT)?;
    // A draft that comes to nothing is thrown away: it needs no journal, and the disk is waited for once, at its end.
    for (name, value) in
        [("page_size", "4096"), ("synchronous", "off"), ("temp_store", "memory"), ("foreign_keys", "off")]
    {
        copy.pragma_update(None, name, value)?;
    }
    copy.pragma_update_and_check(None, "journal_mode", "memory", |_| Ok(()))?;
    let from = database.to_str().ok_or_else(|| BackupError::NotOurs(database.to_owned()))?;
    copy.execute("ATTACH DATABASE ?1 AS live", [from])?;
    let tx = copy.transaction()?;
    let (rows, running) = copy_rows(&tx, on_rows)?;
    tx.execute_batch(NOTE)?;
    tx.execute(
        "INSERT INTO backup (row, made_at, made_by, tokens) VALUES (1, ?1, ?2, ?3)",
        params![note.made_at.as_millis(), note.made_by, note.tokens],
    )?;
    tx.pragma_update(None, "application_id", schema::BACKUP_APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", version)?;
    tx.commit()?;
    copy.execute_batch("DETACH DATABASE live")?;
    if let Some(problem) = first_problem(&copy)? {
        return Err(BackupError::Damaged { problem });
    }
    Ok(MadeBackup { size_bytes: 0, version, rows, running })
}

/// The database's version; looked at by itself, so that nothing is attached that is not ours.
fn version_of(database: &Path) -> Result<u32, BackupError> {
    let live = super::connect::reader(database)?;
    match schema::look(&live)? {
        Found::Ours(version) if version > 0 => Ok(u32::try_from(version).unwrap_or(schema::VERSION)),
        _ => Err(BackupError::NotOurs(database.to_owned())),
    }
}

/// Tables first, then their rows, then indexes and all else.
fn copy_rows(tx: &Connection, on_rows: &mut dyn FnMut(u64, u64)) -> Result<(u64, u64), BackupError> {
    let objects =
        "SELECT type, name, sql FROM live.sqlite_schema WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_'";
    let objects: Vec<(String, String, String)> = tx
        .prepare(objects)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let (tables, others): (Vec<_>, Vec<_>) = objects.into_iter().partition(|(kind, ..)| kind == "table");
    let mut total = 0;
    for (_, name, sql) in &tables {
        tx.execute_batch(sql)?;
        if name != "sealed_keys" {
            total += tx.query_row(&format!("SELECT count(*) FROM live.\"{name}\""), [], counted)?;
        }
    }
    let running = new_tokens(tx)?;
    let mut done = 0;
    on_rows(done, total);
    for (_, name, _) in &tables {
        match name.as_str() {
            "sealed_keys" => {}
            "journal" => copy_journal(tx, &mut |rows| {
                done += rows;
                on_rows(done, total);
            })?,
            name => {
                done += copy_table(tx, name)?;
                on_rows(done, total);
            }
        }
    }
    // Up to version 6 the journal's places rose by a table of their own.
    if tx.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'")?.exists([])? {
        tx.execute_batch(
            "DELETE FROM main.sqlite_sequence; INSERT INTO main.sqlite_sequence SELECT * FROM live.sqlite_sequence",
        )?;
    }
    for (.., sql) in &others {
        tx.execute_batch(sql)?;
    }
    Ok((done, running))
}

fn copy_table(tx: &Connection, name: &str) -> Result<u64, BackupError> {
    let columns: Vec<String> = tx
        .prepare(&format!("SELECT name FROM pragma_table_info('{name}')"))?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let wanted: Vec<String> = columns
        .iter()
        .map(|column| match (name, column.as_str()) {
            ("operations", "token") => {
                "coalesce((SELECT f.token FROM temp.fresh f WHERE f.operation = l.id), l.token)".to_owned()
            }
            (_, column) => format!("l.\"{column}\""),
        })
        .collect();
    let rows =
        tx.execute(&format!("INSERT INTO main.\"{name}\" SELECT {} FROM live.\"{name}\" l", wanted.join(", ")), [])?;
    Ok(rows as u64)
}

fn copy_journal(tx: &Connection, on_rows: &mut dyn FnMut(u64)) -> Result<(), BackupError> {
    let mut after: i64 = 0;
    loop {
        let rows = tx.execute(
            "INSERT INTO main.journal SELECT * FROM live.journal WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            [after, CHUNK],
        )?;
        if rows == 0 {
            return Ok(());
        }
        after = tx.query_row("SELECT max(seq) FROM main.journal", [], |row| row.get(0))?;
        on_rows(rows as u64);
    }
}

/// Tokens in place of those of running operations, kept in memory; how many there are.
fn new_tokens(tx: &Connection) -> Result<u64, BackupError> {
    tx.execute_batch("CREATE TEMP TABLE fresh (operation BLOB PRIMARY KEY, token TEXT NOT NULL)")?;
    let running = "SELECT running FROM live.hosts WHERE running IS NOT NULL";
    let running: Vec<[u8; 16]> = tx.prepare(running)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for operation in &running {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|error| BackupError::Sqlite(error.into()))?;
        let token = BootToken::new(OperationId::from_bytes(*operation), secret);
        tx.execute("INSERT INTO temp.fresh (operation, token) VALUES (?1, ?2)", params![operation, token.expose()])?;
    }
    Ok(running.len() as u64)
}

/// A count is never negative.
pub(super) fn counted(row: &Row<'_>) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(0)?.unsigned_abs())
}

/// The first thing that is wrong with a database, if anything is: its pages, its indexes, rows that belong to nothing.
pub(super) fn first_problem(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let said: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if said != "ok" {
        return Ok(Some(said));
    }
    foreign_problem(connection)
}

/// The first row that belongs to a row that is not there.
pub(super) fn foreign_problem(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
    Ok(Some(format!("a row of {table} belongs to a row of {parent} that is not there")))
}
