//! The store and the vault in one SQLite file.
//!
//! | file | what stands there |
//! |---|---|
//! | [`SqliteStore`] in `store` | the `Store` port, each method a read or a write from below |
//! | `bookmarks` | the `Bookmarks` port of the same [`SqliteStore`] |
//! | [`SqliteVault`] in `vault`, [`SealingKey`] in `seal` | the `Vault` port; sealing and the key file |
//! | `connect`, `schema` | opening the file, settings, tables and migrations |
//! | `writer` | group commit: one connection, one transaction for all that wait |
//! | `readers` | a few connections that only read |
//! | `prepared` | changes as they are given to SQLite, made before the writer is waited for |
//! | `writes`, `reads`, `rows` | the SQL, and rows to values |
//! | `places` | which entries of the journal are about which host and operation |
//! | `pruning` | dropping what is old |
//! | `backup`, `restore`, `draft` | copies without key material, and the way back |
//! | `examine` | what is wrong with a file, found out without changing it |
//! | `fault` | what goes wrong, in the ports' words |
//!
//! The file has mode 0600 because the tokens of operations stand in it as text; a token opens nothing any more
//! once its operation has ended. One-time private keys are in it only in sealed form.

mod backup;
mod bookmarks;
mod connect;
mod discovered;
mod draft;
mod examine;
mod fault;
mod places;
mod prepared;
mod pruning;
mod readers;
mod reads;
mod recall;
mod restore;
mod rows;
mod schema;
mod seal;
mod store;
mod vault;
mod writer;
mod writes;

pub use backup::{BackupError, BackupNote, MadeBackup, back_up};
pub use connect::OpenError;
pub use examine::{Examined, examine};
pub use restore::{BackupContents, RestoreError, put_in_place, read_backup, unpack_backup};
pub use seal::{KeyFileError, SealingKey};
pub use store::SqliteStore;
pub use vault::SqliteVault;
pub use writer::OnCommit;
