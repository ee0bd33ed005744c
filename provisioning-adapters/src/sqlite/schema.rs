//! Tables and migrations.
//!
//! The number of migrations that a file has seen is its `user_version`; it is raised in the transaction that
//! changes the tables. A migration that was ever released is never edited: a new one is added behind it.
//!
//! Before adding one, think of the three pairs: *new program, old file* runs the migration; *old program, new
//! file* is refused with [`OpenError::Newer`], since it would not keep rules that it does not know; *two
//! programs at once* see the change as soon as it is committed, the older of them as plain failures. JSON
//! columns (`state`, `what`, `server_type`) follow the core's rule that variants are only ever added.
//!
//! [`OpenError::Newer`]: super::OpenError::Newer

use rusqlite::{Connection, TransactionBehavior};

/// Written into the header of our files, so that no other program's file is taken for one: `prov`.
pub(super) const APPLICATION_ID: i32 = 0x7072_6f76;

/// The same of backups: `prob`.
pub(super) const BACKUP_APPLICATION_ID: i32 = 0x7072_6f62;

/// The version that this program writes: the number of migrations.
pub(super) const VERSION: u32 = 7;

/// What takes a file from version N to N + 1.
const MIGRATIONS: [&str; VERSION as usize] =
    [TABLES, DISCOVERED, DEFAULT_IMAGE, AUDIT_INDEX, BOOKMARKS, PRUNED, FEWER_PAGES];

/// At most one row: the image that rebuilds take when none is named. It goes with its image.
const DEFAULT_IMAGE: &str = "
CREATE TABLE default_image (
    row INTEGER PRIMARY KEY CHECK (row = 1),
    id  BLOB NOT NULL UNIQUE REFERENCES images ON DELETE CASCADE
) STRICT;
";

/// Ids are the 16 bytes of a UUID, times are milliseconds since 1970 UTC, words are the core's stable names.
///
/// - `hosts.phase`, `deadline`, `running` repeat what `state` says, to be searched by.
/// - `operations.token` is a secret: the file's mode keeps it, and it is worthless once the operation ended.
/// - `operations.image` may name an image that was removed since; `journal` outlives the hosts it tells of.
/// - `sealed_keys.margin` keeps the ciphertext off the page that holds the row's head. SQLite moves heads among
///   pages as rows come and go, and leaves a copy behind in the unused part of the old page that
///   `secure_delete` does not reach. What overflows a page lies on pages of its own, is never moved, and is
///   zeroed when freed. With pages of 4096 bytes at most 4061 of a row stand at its head; `margin` has 4096.
const TABLES: &str = "
CREATE TABLE hosts (
    id            BLOB PRIMARY KEY CHECK (length(id) = 16),
    name          TEXT NOT NULL UNIQUE,
    server_type   TEXT NOT NULL,
    address       TEXT,
    hardware_id   TEXT,
    last_ready_at INTEGER,
    registered_at INTEGER NOT NULL,
    state         TEXT NOT NULL,
    phase         TEXT NOT NULL,
    deadline      INTEGER,
    running       BLOB CHECK (length(running) = 16),
    revision      INTEGER NOT NULL CHECK (revision > 0)
) STRICT;
CREATE INDEX hosts_by_deadline ON hosts (deadline) WHERE deadline IS NOT NULL;
CREATE INDEX hosts_by_running ON hosts (running) WHERE running IS NOT NULL;

CREATE TABLE host_macs (
    mac      TEXT PRIMARY KEY,
    host     BLOB NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    UNIQUE (host, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE operations (
    id          BLOB PRIMARY KEY CHECK (length(id) = 16),
    host        BLOB NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    image       BLOB NOT NULL CHECK (length(image) = 16),
    server_type TEXT NOT NULL,
    token       TEXT NOT NULL,
    public_key  TEXT NOT NULL,
    started_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX operations_by_host ON operations (host, id);

CREATE TABLE artefacts (
    operation BLOB NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
    kind      TEXT NOT NULL,
    text      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (operation, kind)
) STRICT;

CREATE TABLE journal (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,
    host      BLOB CHECK (length(host) = 16),
    operation BLOB CHECK (length(operation) = 16),
    source    TEXT NOT NULL,
    what      TEXT NOT NULL
) STRICT;
CREATE INDEX journal_by_host ON journal (host, seq) WHERE host IS NOT NULL;
CREATE INDEX journal_by_operation ON journal (operation, seq) WHERE operation IS NOT NULL;

CREATE TABLE outbox (
    operation  BLOB NOT NULL CHECK (length(operation) = 16),
    kind       TEXT NOT NULL,
    host       BLOB NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    due        INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    last_error TEXT,
    PRIMARY KEY (operation, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_by_host ON outbox (host);

CREATE TABLE images (
    id          BLOB PRIMARY KEY CHECK (length(id) = 16),
    name        TEXT NOT NULL,
    release     TEXT NOT NULL,
    iso_release TEXT NOT NULL,
    sha256      TEXT NOT NULL UNIQUE,
    size_bytes  INTEGER NOT NULL CHECK (size_bytes >= 0),
    imported_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sealed_keys (
    operation  BLOB PRIMARY KEY CHECK (length(operation) = 16),
    margin     BLOB NOT NULL DEFAULT (zeroblob(4096)),
    nonce      BLOB NOT NULL CHECK (length(nonce) = 24),
    ciphertext BLOB NOT NULL
) STRICT;
";

/// Machines that belong to no host. What is only shown stands in `what`, as the core's JSON.
const DISCOVERED: &str = "
CREATE TABLE discovered (
    mac       TEXT PRIMARY KEY,
    last_seen INTEGER NOT NULL,
    what      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX discovered_by_last_seen ON discovered (last_seen, mac);
";
/// Audited entries are few among many: they are found without looking at the rest.
/// A damaged entry is none of them; without that an index over it could not be made, and nothing be written.
const AUDIT_INDEX: &str = "CREATE INDEX journal_of_operators ON journal (seq)
    WHERE CASE WHEN json_valid(what) THEN json_extract(what, '$.kind') = 'audited' ELSE 0 END;";

/// How far the journal's readers have come. No foreign key: places outlive entries that are pruned.
const BOOKMARKS: &str = "
CREATE TABLE bookmarks (
    reader TEXT PRIMARY KEY,
    place  INTEGER NOT NULL CHECK (place >= 0)
) STRICT, WITHOUT ROWID;
";

/// At most one row: the last place of the journal whose entry was pruned.
const PRUNED: &str = "
CREATE TABLE pruned (
    row INTEGER PRIMARY KEY CHECK (row = 1),
    seq INTEGER NOT NULL
) STRICT;
";

/// Less to write with each commit.
///
/// - `hosts.macs` repeats what `host_macs` says, in order, so that a host is one row; `host_macs` finds it.
/// - The journal's places need no table of their own to rise: its last entry is never pruned.
/// - `places_of_…` take the place of two indexes, and lag behind by a tail: `placed` says up to where they go.
/// - Audited entries are told by how their text begins, which costs less than to parse each entry's JSON.
const FEWER_PAGES: &str = "
ALTER TABLE hosts ADD COLUMN macs TEXT NOT NULL DEFAULT '';
UPDATE hosts SET macs = coalesce((SELECT group_concat(mac, ' ' ORDER BY position) FROM host_macs WHERE host = id), '');

CREATE TABLE places_of_hosts (
    host BLOB NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (host, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE places_of_operations (
    operation BLOB NOT NULL,
    seq       INTEGER NOT NULL,
    PRIMARY KEY (operation, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE placed (
    row INTEGER PRIMARY KEY CHECK (row = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO places_of_hosts SELECT host, seq FROM journal WHERE host IS NOT NULL ORDER BY host, seq;
INSERT INTO places_of_operations
    SELECT operation, seq FROM journal WHERE operation IS NOT NULL ORDER BY operation, seq;
INSERT INTO placed SELECT 1, coalesce(max(seq), 0) FROM journal;

CREATE TABLE new_journal (
    seq       INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    host      BLOB CHECK (length(host) = 16),
    operation BLOB CHECK (length(operation) = 16),
    source    TEXT NOT NULL,
    what      TEXT NOT NULL
) STRICT;
INSERT INTO new_journal SELECT * FROM journal ORDER BY seq;
DROP TABLE journal;
ALTER TABLE new_journal RENAME TO journal;
CREATE INDEX journal_of_operators ON journal (seq) WHERE substr(what, 1, 17) = '{\"kind\":\"audited\"';
";

/// Which entries of the journal `journal_of_operators` has, word for word, else SQLite does not see that it has them.
pub(super) const AUDITED: &str = "substr(what, 1, 17) = '{\"kind\":\"audited\"'";

/// Whose file this is, and how new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Without tables.
    Empty,
    /// Ours, of a version that this program can read or raise.
    Ours(usize),
    /// Ours, of a version that this program does not know.
    Newer(i64),
    /// A backup, of a version that this program can read or raise.
    Backup(usize),
    /// A backup of a version that this program does not know.
    NewerBackup(i64),
    /// Another program's.
    Foreign,
}

/// Looks at a file before anything is written to it.
pub(super) fn look(connection: &Connection) -> rusqlite::Result<Found> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, usize::try_from(version)) {
        (0, Ok(0)) if tables == 0 => Found::Empty,
        (APPLICATION_ID, Ok(version)) if version <= MIGRATIONS.len() => Found::Ours(version),
        (APPLICATION_ID, Ok(_)) => Found::Newer(version),
        (BACKUP_APPLICATION_ID, Ok(version)) if version <= MIGRATIONS.len() => Found::Backup(version),
        (BACKUP_APPLICATION_ID, Ok(_)) => Found::NewerBackup(version),
        _ => Found::Foreign,
    })
}

/// Brings the tables up to [`VERSION`]; what was found meanwhile, if another process was faster with a newer one.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<Found> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = look(&tx)?;
    let done = match found {
        Found::Empty => 0,
        Found::Ours(version) => version,
        Found::Newer(_) | Found::Foreign | Found::Backup(_) | Found::NewerBackup(_) => return Ok(found),
    };
    for migration in &MIGRATIONS[done..] {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()?;
    Ok(Found::Ours(MIGRATIONS.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn migrating_twice_is_migrating_once() {
        let mut connection = empty();
        assert_eq!(look(&connection).unwrap(), Found::Empty);
        for _ in 0..2 {
            assert_eq!(migrate(&mut connection).unwrap(), Found::Ours(MIGRATIONS.len()));
        }
        assert_eq!(look(&connection).unwrap(), Found::Ours(MIGRATIONS.len()));
    }

    #[test]
    fn a_migration_that_fails_leaves_no_table_behind() {
        let mut connection = empty();
        connection.pragma_update(None, "max_page_count", 4).unwrap();
        migrate(&mut connection).unwrap_err();
        assert_eq!(look(&connection).unwrap(), Found::Empty);
    }

    /// Tables, columns and indexes, as SQLite keeps their text.
    fn declared(connection: &Connection) -> Vec<(String, String)> {
        let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_migration_that_was_released_is_never_edited() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sqlite");
        let raised = empty();
        for (version, migration) in (1..VERSION).zip(MIGRATIONS) {
            raised.execute_batch(migration).unwrap();
            let released = empty();
            let dump = std::fs::read_to_string(folder.join(format!("v{version}.sql"))).unwrap();
            released.execute_batch(&dump).unwrap();
            assert_eq!(declared(&raised), declared(&released), "version {version}");
            assert_eq!(look(&released).unwrap(), Found::Ours(version as usize));
        }
        raised.execute_batch(MIGRATIONS[VERSION as usize - 1]).unwrap();
        let mut made = empty();
        migrate(&mut made).unwrap();
        assert_eq!(declared(&raised), declared(&made));
    }

    #[test]
    fn every_foreign_key_has_an_index_to_cascade_by() {
        let mut connection = empty();
        migrate(&mut connection).unwrap();
        for (table, column) in
            [("host_macs", "host"), ("operations", "host"), ("artefacts", "operation"), ("outbox", "host")]
        {
            let sql = format!("EXPLAIN QUERY PLAN DELETE FROM {table} WHERE {column} = x'00'");
            let plan: String = connection.query_row(&sql, [], |row| row.get(3)).unwrap();
            assert!(plan.contains("SEARCH"), "{table}: {plan}");
        }
    }
}
