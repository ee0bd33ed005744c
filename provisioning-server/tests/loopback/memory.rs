//! What the running server still has in its memory of one-time keys that it has erased.
//!
//! The test knows the keys because it opens the vault as the server does, while their operations run.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provisioning_adapters::sqlite::{SealingKey, SqliteStore};
use provisioning_core::machine::EventKind;
use provisioning_core::model::{OperationId, Release};
use provisioning_core::ports::{Happening, Store as _, Vault as _};
use provisioning_sim::real::fleet::Fleet;
use rusqlite::Connection;
use sha2::{Digest as _, Sha512};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use crate::journal::Journal;
use crate::server::{FleetSize, Server};
use crate::traces;

/// Bytes that are looked for at a time: half of a seed is as bad as the whole, and no chance brings so many together.
const PIECE: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_left_in_memory_database_backup_or_log_once_its_host_is_ready() {
    let hosts = 2;
    let (mut server, options) = Server::configured(FleetSize { hosts, seed: 911, release: Release::new(9, 2) });
    let mut journal = Journal::of(&server);
    server.start();
    let mut fleet = Fleet::new(options, unbounded_channel().0).unwrap();
    let mut keys: Vec<OneTimeKey> = vec![];
    let watched = async {
        while !journal.is_quiet(hosts) {
            let entry = journal.next(&mut server).await;
            if let Happening::Moved { event: EventKind::BootScriptFetched, .. } = entry.what {
                keys.push(OneTimeKey::of(&server, entry.operation.unwrap()).await);
                assert!(keys[keys.len() - 1].is_sealed(&server), "the sealed key stands where it will be looked for");
            }
        }
    };
    let (summary, quiet) = tokio::join!(fleet.run(), timeout(Duration::from_secs(200), watched));
    quiet.expect("all hosts come to their end");
    assert_eq!(summary.unwrap().to_string(), "2 ready, 0 failed");
    assert_eq!(keys.len(), usize::from(hosts));

    let backup = server.data().join("backup.db");
    let db = Connection::open(server.data().join("provisioning.db")).unwrap();
    db.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    drop(db);
    let found = keys.iter().flat_map(|key| key.in_memory(server.pid())).collect::<Vec<_>>();
    assert!(found.is_empty(), "the process still holds: {found:#?}");
    for file in fs::read_dir(server.data()).unwrap().map(|entry| entry.unwrap().path()).chain([server.log()]) {
        let bytes = if file.is_file() { fs::read(&file).unwrap() } else { vec![] };
        for key in &keys {
            let left: Vec<&str> =
                key.needles().filter(|needle| holds(&bytes, &needle.1)).map(|needle| needle.0).collect();
            assert!(left.is_empty(), "{} holds {left:?}", file.display());
            assert!(
                !key.sealed.chunks_exact(PIECE).any(|piece| holds(&bytes, piece)),
                "{} holds it sealed",
                file.display()
            );
        }
    }
    server.kill();
    traces::search(&server, &traces::SealedKeys::default(), &[]);
}

/// A one-time key in every form in which it could lie about.
struct OneTimeKey {
    /// What, and its bytes.
    forms: Vec<(&'static str, Vec<u8>)>,
    sealed: Vec<u8>,
}

impl OneTimeKey {
    /// The key of a running operation.
    async fn of(server: &Server, operation: OperationId) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for name in ["provisioning.db", "provisioning.db-wal"] {
            fs::copy(server.data().join(name), copy.path().join(name)).unwrap();
        }
        let path = copy.path().join("provisioning.db");
        let store = SqliteStore::open(&path).unwrap();
        let vault = store.vault(SealingKey::load_or_create(&server.data().join("vault.key")).unwrap());
        let text = vault.open(operation).await.unwrap().expect("its operation runs");
        let public = store.operation(operation).await.unwrap().unwrap().public_key;
        let sealed = Connection::open(&path)
            .unwrap()
            .query_row(
                "SELECT ciphertext FROM sealed_keys WHERE operation = ?1",
                [operation.as_bytes().as_slice()],
                |row| row.get(0),
            )
            .unwrap();
        Self { forms: forms(text.expose(), public.blob()), sealed }
    }

    fn needles(&self) -> impl Iterator<Item = &(&'static str, Vec<u8>)> {
        self.forms.iter()
    }

    fn is_sealed(&self, server: &Server) -> bool {
        let files = ["provisioning.db", "provisioning.db-wal"].map(|name| fs::read(server.data().join(name)).unwrap());
        files.iter().any(|bytes| holds(bytes, &self.sealed[..PIECE]))
    }

    /// Where the process has it: the kind of memory, and in which form.
    fn in_memory(&self, pid: u32) -> Vec<String> {
        let memory =
            File::open(format!("/proc/{pid}/mem")).expect("reading another process needs tests that run as root");
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let mut found = vec![];
        for line in maps.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let (range, kind) = (words[0], words.get(5).copied().unwrap_or("anonymous"));
            if !words[1].starts_with("rw") {
                continue;
            }
            let (from, to) = range.split_once('-').unwrap();
            let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            // A thread that ended meanwhile has taken its stack with it.
            let Ok(()) = memory.read_exact_at(&mut bytes, from) else { continue };
            for (form, piece) in self.needles() {
                found.extend(positions(&bytes, piece).map(|at| format!("{form} in {kind} {range} at {at:#x}")));
            }
        }
        found
    }
}

/// The seed, what ed25519 makes of it, and the lines of the OpenSSH text that hold it.
fn forms(text: &str, public_blob: &str) -> Vec<(&'static str, Vec<u8>)> {
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = STANDARD.decode(&body).unwrap();
    let blob = STANDARD.decode(public_blob).unwrap();
    let public = &blob[blob.len() - 32..];
    // The private half is the seed and behind it the public half (PROTOCOL.key of OpenSSH).
    let at = bytes.windows(32).rposition(|window| window == public).unwrap() - 32;
    let seed = &bytes[at..at + 32];
    let expanded = Sha512::digest(seed);
    let mut forms = vec![("the seed", seed[..PIECE].to_vec()), ("the seed", seed[PIECE..].to_vec())];
    // The first and the last byte of the scalar are changed before it is used.
    forms.push(("the scalar", expanded[1..=PIECE].to_vec()));
    forms.push(("the nonce prefix", expanded[32..32 + PIECE].to_vec()));
    let (first, last) = (at * 4 / 3 + 2, (at + 32) * 4 / 3 - 2);
    let mut column = 0;
    for line in text.lines().filter(|line| !line.starts_with('-')) {
        let from = first.clamp(column, column + line.len()) - column;
        let to = last.clamp(column, column + line.len()) - column;
        let pieces = line.as_bytes()[from..to].chunks_exact(PIECE);
        forms.extend(pieces.map(|piece| ("the OpenSSH text", piece.to_vec())));
        column += line.len();
    }
    forms
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    positions(bytes, wanted).next().is_some()
}

fn positions<'a>(bytes: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = wanted[0];
    let candidates = bytes.iter().enumerate().filter(move |(_, byte)| **byte == first).map(|(at, _)| at);
    candidates.filter(move |at| bytes[*at..].starts_with(wanted))
}

#[test]
fn every_form_of_a_key_is_known_and_found() {
    let text = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n\
        QyNTUxOQAAACCzPq7zfqLffKoBDe/eo04kH2XxtSmk9D7RQyf1xUqrYgAAAJgAIAxdACAM\n\
        XQAAAAtzc2gtZWQyNTUxOQAAACCzPq7zfqLffKoBDe/eo04kH2XxtSmk9D7RQyf1xUqrYg\n\
        AAAEC2BsIi0QwW2uFscKTUUXNHLsYX4FxlaSDSblbAj7WR7bM+rvN+ot98qgEN796jTiQf\n\
        ZfG1KaT0PtFDJ/XFSqtiAAAAEHVzZXJAZXhhbXBsZS5jb20BAgMEBQ==\n\
        -----END OPENSSH PRIVATE KEY-----\n";
    let forms = forms(text, "AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti");
    assert_eq!(forms[0].1[..4], [0xb6, 0x06, 0xc2, 0x22], "the seed begins behind its length");
    let of_text: Vec<_> = forms.iter().filter(|form| form.0 == "the OpenSSH text").collect();
    assert!(!of_text.is_empty() && of_text.iter().all(|form| holds(text.as_bytes(), &form.1)));
    assert_eq!(positions(b"abcabc", b"bc").collect::<Vec<_>>(), [1, 4]);
}
