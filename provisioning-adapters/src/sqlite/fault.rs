//! What goes wrong inside, and how it is told in the ports' words.

use provisioning_core::ports::{BoxError, Retry, StoreError, VaultError, WriteTrouble};
use rusqlite::ErrorCode;

/// A fault of a read or a write, before it is known which port asked.
#[derive(Debug)]
pub(super) enum Fault {
    /// One that the store's contract names.
    Store(StoreError),
    /// One of SQLite's.
    Sql(rusqlite::Error),
    /// A value that cannot be written down.
    Unwritable(BoxError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Unwritable(error.into())
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Store(error) => error,
            Fault::Sql(error) if is_damage(&error) => Self::Corrupt { table: "the file", problem: error.to_string() },
            // The checks before a write name what they find; what is left to the tables' own rules is this.
            Fault::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Self::BadChange { problem: error.to_string() }
            }
            Fault::Sql(error) => match write_trouble(&error) {
                Some(trouble) => Self::Unwritable { trouble, source: error.into() },
                None => Self::Unavailable { retry: retry(&error), source: error.into() },
            },
            Fault::Unwritable(source) => Self::Unavailable { retry: Retry::Never, source },
        }
    }
}

/// What is wrong with the disk, when that is what it is.
pub(super) fn write_trouble(error: &rusqlite::Error) -> Option<WriteTrouble> {
    match error.sqlite_error_code()? {
        ErrorCode::DiskFull => Some(WriteTrouble::Full),
        ErrorCode::ReadOnly => Some(WriteTrouble::ReadOnly),
        ErrorCode::SystemIoFailure => Some(WriteTrouble::Failing),
        _ => None,
    }
}

/// The vault has no rows that the store's errors could name: what is not `Unavailable` is a fault of ours.
pub(super) fn of_vault(error: StoreError) -> VaultError {
    match error {
        StoreError::Unavailable { retry, source } => VaultError::Unavailable { retry, source },
        trouble @ StoreError::Unwritable { .. } => {
            VaultError::Unavailable { retry: Retry::Later, source: trouble.into() }
        }
        other => VaultError::Unavailable { retry: Retry::Never, source: other.into() },
    }
}

/// A cause that is only words.
pub(super) fn unavailable(why: &'static str) -> StoreError {
    StoreError::Unavailable { retry: Retry::Later, source: why.into() }
}

/// Whether the file itself is damaged, or is no database.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether trying again can help. It can where another process, the disk, or a person at its console may mend
/// what is wrong: a lock, a full or failing disk, a file system that was mounted read-only, too little memory.
/// What remains (a constraint, misuse) would be refused again.
pub(super) fn retry(error: &rusqlite::Error) -> Retry {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationAborted
            | ErrorCode::OperationInterrupted
            | ErrorCode::FileLockingProtocolFailed,
        ) => Retry::Later,
        _ => Retry::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn sqlite(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn trouble_of_the_disk_may_pass_and_refusals_do_not() {
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_IOERR, ffi::SQLITE_FULL, ffi::SQLITE_READONLY, ffi::SQLITE_CANTOPEN]
        {
            assert_eq!(retry(&sqlite(code)), Retry::Later, "{code}");
        }
        for code in [ffi::SQLITE_CONSTRAINT, ffi::SQLITE_MISUSE, ffi::SQLITE_ERROR] {
            assert_eq!(retry(&sqlite(code)), Retry::Never, "{code}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_disk_is_told_apart() {
        for (code, expected) in [
            (ffi::SQLITE_FULL, Some(WriteTrouble::Full)),
            (ffi::SQLITE_READONLY, Some(WriteTrouble::ReadOnly)),
            (ffi::SQLITE_IOERR, Some(WriteTrouble::Failing)),
            (ffi::SQLITE_BUSY, None),
        ] {
            let trouble = match StoreError::from(Fault::from(sqlite(code))) {
                StoreError::Unwritable { trouble, .. } => Some(trouble),
                _ => None,
            };
            assert_eq!(trouble, expected, "{code}");
        }
    }

    #[test]
    fn a_damaged_file_is_corrupt_and_not_merely_away() {
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB] {
            let error = StoreError::from(Fault::from(sqlite(code)));
            assert!(matches!(error, StoreError::Corrupt { table: "the file", .. }), "{error:?}");
        }
    }
}
