//! What must stand nowhere: not in the database, not in its write-ahead log, not in what the server said.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::server::{PASSWORD, Server, TOKEN, password_hash};

/// Marks of an OpenSSH private key: its armour, the head of its text, the head of its bytes.
const KEY_MARKS: [&str; 3] = ["OPENSSH PRIVATE", "b3BlbnNzaC1rZXktdjE", "openssh-key-v1"];
/// Bytes of a sealed key that are looked for at a time: a part of it is as bad as the whole.
const PIECE: usize = 16;

/// Sealed one-time keys as they stood in the database at some time.
#[derive(Default)]
pub(crate) struct SealedKeys(Vec<Vec<u8>>);

impl SealedKeys {
    /// Adds those that stand there now. Of a copy, so that the scene of a crash is left as it was; the server must
    /// not run.
    pub(crate) fn collect(&mut self, server: &Server) {
        let copy = tempfile::tempdir().unwrap();
        for name in ["provisioning.db", "provisioning.db-wal"] {
            let from = server.data().join(name);
            if from.exists() {
                fs::copy(from, copy.path().join(name)).unwrap();
            }
        }
        let Ok(db) =
            Connection::open_with_flags(copy.path().join("provisioning.db"), OpenFlags::SQLITE_OPEN_READ_WRITE)
        else {
            // Killed before there was a database.
            return;
        };
        let Ok(mut rows) = db.prepare("SELECT ciphertext FROM sealed_keys") else { return };
        let keys = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        self.0.extend(keys.map(Result::unwrap));
        self.0.sort();
        self.0.dedup();
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// Searches everything that the dead server has left behind. `tokens` are those of operations: the database keeps
/// them, nothing else may.
pub(crate) fn search(server: &Server, keys: &SealedKeys, tokens: &[String]) {
    let hash = password_hash();
    let nowhere = || KEY_MARKS.into_iter().chain([PASSWORD, TOKEN, &hash]).map(str::as_bytes);
    let pieces: Vec<&[u8]> = keys.0.iter().flat_map(|key| key.chunks_exact(PIECE)).collect();
    let said = fs::read(server.log()).unwrap();
    assert!(!said.is_empty(), "a server that says nothing has nothing to hide");
    for token in tokens {
        assert!(!holds(&said, token.as_bytes()), "the log holds the token of an operation: {}", around(&said, token));
    }
    for file in left_behind(&server.data()).into_iter().chain([server.log()]) {
        let bytes = fs::read(&file).unwrap();
        for secret in nowhere().chain(pieces.iter().copied()) {
            assert!(!holds(&bytes, secret), "{} holds {}", file.display(), String::from_utf8_lossy(secret));
        }
    }
}

/// The files of the data directory without the images and the key that opens sealed keys.
fn left_behind(data: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let files: Vec<PathBuf> = files.filter(|path| path.file_name().unwrap() != "vault.key").collect();
    assert!(files.iter().any(|file| file.ends_with("provisioning.db")), "{files:?}");
    files
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    let first = wanted[0];
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(wanted) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// The line of a log in which something stands.
fn around(log: &[u8], wanted: &str) -> String {
    let log = String::from_utf8_lossy(log);
    log.lines().find(|line| line.contains(wanted)).unwrap_or_default().replace(wanted, "(token)")
}

#[test]
fn what_is_there_is_found() {
    assert!(holds(b"aab", b"ab") && holds(b"xxab", b"ab") && holds(b"ab", b"ab"));
    assert!(!holds(b"aba", b"bb") && !holds(b"", b"a"));
}
