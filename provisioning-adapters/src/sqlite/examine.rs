//! What can be said of a database without changing a byte of it, whether a server runs on it or not.

use std::path::Path;

use provisioning_core::model::{Image, Timestamp};
use provisioning_core::ports::{BoxError, StoreError};
use rusqlite::{Connection, OpenFlags};

use super::backup::{counted, foreign_problem};
use super::connect::{self, BUSY_TIMEOUT};
use super::draft::suffixed;
use super::reads;
use super::schema::{self, Found};

/// What was found in a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// The version of its tables.
    pub version: i64,
    /// The newest version that this release knows.
    pub known: u32,
    /// Whether it is the database of another program, or none at all.
    pub is_foreign: bool,
    /// What is damaged in it.
    pub damage: Option<String>,
    /// Sealed one-time keys that it holds.
    pub sealed_keys: u64,
    /// Its images.
    pub images: Vec<Image>,
    /// The time of the latest entry of the journal.
    pub latest: Option<Timestamp>,
}

impl Examined {
    /// Whether a newer release wrote it.
    pub fn is_newer(&self) -> bool {
        self.version > i64::from(self.known)
    }
}

/// Looks at the database at `path`, which is there, and at each page of it.
///
/// # Errors
/// When it cannot be read.
pub fn examine(path: &Path) -> Result<Examined, BoxError> {
    let connection = open(path)?;
    let mut found = Examined { known: schema::VERSION, ..Examined::default() };
    match schema::look(&connection) {
        Ok(Found::Ours(version)) => found.version = i64::try_from(version)?,
        Ok(Found::Empty) => return Ok(found),
        Ok(Found::Newer(version)) => {
            found.version = version;
            return Ok(found);
        }
        Ok(Found::Foreign | Found::Backup(_) | Found::NewerBackup(_)) => {
            found.is_foreign = true;
            return Ok(found);
        }
        Err(error) => {
            found.damage = Some(error.to_string());
            return Ok(found);
        }
    }
    match look_inside(&connection, &mut found) {
        Ok(damage) => found.damage = damage,
        Err(error) => found.damage = Some(error.to_string()),
    }
    Ok(found)
}

fn look_inside(connection: &Connection, found: &mut Examined) -> Result<Option<String>, StoreError> {
    let sql = |error: rusqlite::Error| StoreError::from(super::fault::Fault::from(error));
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sql)?;
    if said != "ok" {
        return Ok(Some(said));
    }
    let latest: Option<i64> = connection.query_row("SELECT max(at) FROM journal", [], |row| row.get(0)).map_err(sql)?;
    found.latest = latest.map(Timestamp::from_millis);
    found.sealed_keys = connection.query_row("SELECT count(*) FROM sealed_keys", [], counted).map_err(sql)?;
    found.images = reads::images(connection)?;
    foreign_problem(connection).map_err(sql)
}

/// With a write-ahead log it is read as ever. Without one nobody has it open, and it is read as a file that does not
/// change: SQLite makes no files beside it then.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    if suffixed(path, "-wal").exists() {
        return connect::reader(path);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let escaped: String = path.as_os_str().as_encoded_bytes().iter().fold(String::new(), |text, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => text + &char::from(*byte).to_string(),
        byte => text + &format!("%{byte:02x}"),
    });
    let connection = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}
