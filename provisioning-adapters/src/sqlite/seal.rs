//! Sealing: XChaCha20-Poly1305 under a key that lies in a file outside the database.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use provisioning_core::model::{OperationId, Secret};
use zeroize::{Zeroize, Zeroizing};

const KEY_BYTES: usize = 32;

/// What one-time keys are sealed under. Shown nowhere, zeroed when dropped.
///
/// Its bytes, and the nonces, are drawn from the operating system here and not from the core's `Entropy` port: two
/// keys sealed with one nonce would give each other away, so no caller is given the chance to repeat one.
pub struct SealingKey(Zeroizing<[u8; KEY_BYTES]>);

/// Why there is no sealing key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file could not be read or made.
    #[error("the key file {path} could not be read or created")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Others than its owner may read or write it.
    #[error("the key file {path} has mode {mode:04o}, so that others could read the key: run chmod 600 on it")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is not 32 bytes long.
    #[error(
        "the key file {path} has {size} bytes and not 32: put the right file there, or remove it if no one-time \
         key sealed with it is of worth any more"
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
}

/// What lies in the database.
pub(super) struct Sealed {
    pub(super) nonce: [u8; 24],
    pub(super) ciphertext: Vec<u8>,
}

impl SealingKey {
    /// A key that the caller keeps in a place of its own.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the key from the file at `path`, 32 bytes that only its owner may read; makes it (random, mode 0600)
    /// when there is none. The file belongs outside the database's backups: who has both can read the keys that
    /// were not yet erased.
    ///
    /// # Errors
    /// See [`KeyFileError`]. A file that is there is never replaced.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        match load(path) {
            Err(KeyFileError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(|source| KeyFileError::File { path: path.into(), source })?;
                load(path)
            }
            outcome => outcome,
        }
    }

    /// Seals a text for an operation.
    pub(super) fn seal(&self, operation: OperationId, plain: &[u8]) -> io::Result<Sealed> {
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce)?;
        // Its text is overwritten by the ciphertext where it stands; with room for the tag it is not moved.
        let mut buffer = Vec::with_capacity(plain.len() + 16);
        buffer.extend_from_slice(plain);
        match self.cipher().encrypt_in_place(&XNonce::from(nonce), &bound_to(operation), &mut buffer) {
            Ok(()) => Ok(Sealed { nonce, ciphertext: buffer }),
            Err(error) => {
                buffer.zeroize();
                Err(io::Error::other(error.to_string()))
            }
        }
    }

    /// Opens what was sealed for the operation; `None` when it was not, or not with this key, or was changed.
    pub(super) fn open(&self, operation: OperationId, sealed: Sealed) -> Option<Secret<String>> {
        let mut buffer = sealed.ciphertext;
        let nonce = XNonce::from(sealed.nonce);
        self.cipher().decrypt_in_place(&nonce, &bound_to(operation), &mut buffer).ok()?;
        match String::from_utf8(buffer) {
            Ok(text) => Some(Secret::new(text)),
            Err(error) => {
                error.into_bytes().zeroize();
                None
            }
        }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(***)")
    }
}

/// What a ciphertext is bound to: moved to another operation's row it does not open.
fn bound_to(operation: OperationId) -> Vec<u8> {
    [b"sealed_keys".as_slice(), operation.as_bytes()].concat()
}

fn load(path: &Path) -> Result<SealingKey, KeyFileError> {
    let fault = |source: io::Error| KeyFileError::File { path: path.into(), source };
    let mut file = File::open(path).map_err(fault)?;
    let found = file.metadata().map_err(fault)?;
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open { path: path.into(), mode });
    }
    if found.len() != KEY_BYTES as u64 {
        return Err(KeyFileError::Size { path: path.into(), size: found.len() });
    }
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    file.read_exact(bytes.as_mut_slice()).map_err(fault)?;
    Ok(SealingKey(bytes))
}

/// Makes the key file whole or not at all, and never in place of another: it is written under a name of its own,
/// then linked.
fn create(path: &Path) -> io::Result<()> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(bytes.as_mut_slice())?;
    // A name that no other process or task writes to.
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:016x}.new", u64::from_be_bytes(suffix)));
    let draft = PathBuf::from(draft);
    let made = write_draft(&draft, bytes.as_slice()).and_then(|()| match fs::hard_link(&draft, path) {
        // Another process was faster: its key is the key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    });
    let removed = fs::remove_file(&draft);
    made?;
    removed?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning_core::model::Timestamp;

    fn operation(n: u8) -> OperationId {
        OperationId::new(Timestamp::from_millis(1_000), [n; 10])
    }

    #[test]
    fn what_is_sealed_opens_only_with_the_same_key_for_the_same_operation() {
        let key = SealingKey::new([7; 32]);
        let seal = || key.seal(operation(1), b"a private key").unwrap();
        assert_eq!(key.open(operation(1), seal()).unwrap().expose(), "a private key");
        assert!(key.open(operation(2), seal()).is_none());
        assert!(SealingKey::new([8; 32]).open(operation(1), seal()).is_none());
        let mut changed = seal();
        changed.ciphertext[3] ^= 1;
        assert!(key.open(operation(1), changed).is_none());
    }

    #[test]
    fn no_nonce_is_used_twice() {
        let key = SealingKey::new([7; 32]);
        let (one, two) = (key.seal(operation(1), b"x").unwrap(), key.seal(operation(1), b"x").unwrap());
        assert_ne!(one.nonce, two.nonce);
        assert_ne!(one.ciphertext, two.ciphertext);
    }

    #[test]
    fn a_key_file_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.key");
        let made = SealingKey::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let read = SealingKey::load_or_create(&path).unwrap();
        assert_eq!(*made.0, *read.0);
        assert_ne!(*made.0, [0; 32]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
        assert_eq!(format!("{made:?}"), "SealingKey(***)");
    }

    #[test]
    fn those_who_make_the_key_file_at_once_get_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.key");
        let keys: Vec<SealingKey> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8).map(|_| scope.spawn(|| SealingKey::load_or_create(&path).unwrap())).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key.0 == *keys[0].0));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.key");
        drop(SealingKey::load_or_create(&path).unwrap());
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = SealingKey::load_or_create(&path).unwrap_err();
            assert!(matches!(error, KeyFileError::Open { mode: found, .. } if found == mode), "{error}");
        }
    }

    #[test]
    fn a_key_file_of_another_size_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.key");
        write_draft(&path, b"too short").unwrap();
        let error = SealingKey::load_or_create(&path).unwrap_err();
        assert!(matches!(error, KeyFileError::Size { size: 9, .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"too short");
    }
}
