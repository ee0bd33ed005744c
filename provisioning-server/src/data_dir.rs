//! The data directory: everything that outlives the process, for one server at a time and one user alone.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use provisioning_core::model::{Secret, Timestamp};
use provisioning_core::ports::Entropy;

use crate::access::{Access, NewToken, Scope, TokenBook, TokenBookError, TokenDigest};
use crate::config::AuthConfig;

/// A data directory, locked as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Held, never read: the lock goes with it.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is not there, closes it to other users, and locks it.
    ///
    /// # Errors
    /// `Locked` when another server uses it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(path.join("lock"));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.path.join("provisioning.db")
    }

    /// The file of the key that one-time keys are sealed under. Keep it out of backups of the database.
    pub fn key_file(&self) -> PathBuf {
        self.path.join("vault.key")
    }

    /// The file of the operators' tokens.
    pub fn tokens_file(&self) -> PathBuf {
        self.path.join("tokens.json")
    }

    /// The operators' tokens.
    ///
    /// # Errors
    /// When their file cannot be read.
    pub fn tokens(&self) -> Result<TokenBook, DataDirError> {
        Ok(TokenBook::open(self.tokens_file())?)
    }

    /// Who may operate. The first start that has neither a configured nor a kept token makes one named `admin`, and
    /// gives it back to be shown; only its digest is kept.
    ///
    /// # Errors
    /// When the tokens cannot be read or written.
    pub fn access(
        &self,
        auth: &AuthConfig,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<(Access, TokenBook, Option<Secret<String>>), DataDirError> {
        let tokens = self.tokens()?;
        self.adopt_old_token(&tokens, now, entropy)?;
        match auth {
            AuthConfig::Open => Ok((Access::Open, tokens, None)),
            AuthConfig::Token { admin: Some(token) } => {
                Ok((Access::Token(TokenDigest::of(token.expose())), tokens, None))
            }
            AuthConfig::Token { admin: None } if tokens.is_empty() => {
                let (_, token) = tokens.create(admin(), now, entropy)?;
                Ok((Access::Stored, tokens, Some(token)))
            }
            AuthConfig::Token { admin: None } => Ok((Access::Stored, tokens, None)),
        }
    }

    /// Before there were named tokens, the one token's digest was kept in a file of its own.
    fn adopt_old_token(&self, tokens: &TokenBook, now: Timestamp, entropy: &dyn Entropy) -> Result<(), DataDirError> {
        let path = self.path.join("admin-token.sha256");
        let failed = |source| DataDirError::Io { path: path.clone(), source };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let digest = TokenDigest::from_hex(text.trim());
        let digest = digest.ok_or_else(|| DataDirError::Digest { path: path.clone() })?;
        if tokens.list().iter().all(|row| row.digest != digest) {
            tokens.add(admin(), digest, now, entropy)?;
        }
        std::fs::remove_file(&path).map_err(failed)
    }
}

/// The token of the first start.
fn admin() -> NewToken {
    let name = "admin".parse().expect("these are letters");
    NewToken { name, scope: Scope::Full, expires: None }
}

/// The socket through which this user operates a running server without a token.
pub fn control_socket(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Writes a file that only this user can read; it is there whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process uses it.
    #[error("another provisioning server uses {}; stop it first, or give this one a server.data_dir of its own", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The operators' tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokenBookError),
    /// The digest of the operators' token is none.
    #[error("{} holds no digest; remove it, and the next start makes a new token", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
    },
    /// The file system did not do it.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;

    impl Entropy for Sevens {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    #[test]
    fn a_directory_is_for_one_server_and_one_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let held = DataDir::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(DataDir::open(&path), Err(DataDirError::Locked { .. })));
        drop(held);
        assert!(DataDir::open(&path).is_ok());
    }

    #[test]
    fn a_token_is_made_once_and_only_its_digest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let auth = AuthConfig::Token { admin: None };
        let now = Timestamp::from_millis(1_000);
        let (access, tokens, token) = data.access(&auth, now, &Sevens).unwrap();
        let token = token.unwrap();
        assert_eq!(access, Access::Stored);
        assert_eq!(tokens.verify(token.expose(), now).unwrap().name.as_str(), "admin");
        let (_, again, none) = data.access(&auth, now, &Sevens).unwrap();
        assert!(none.is_none());
        assert!(again.verify(token.expose(), now).is_ok());
        let file = data.tokens_file();
        assert!(!std::fs::read_to_string(&file).unwrap().contains(token.expose()));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_token_of_an_older_release_still_opens() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let old = dir.path().join("admin-token.sha256");
        std::fs::write(&old, format!("{}\n", TokenDigest::of("prov_old").to_hex())).unwrap();
        let now = Timestamp::from_millis(1_000);
        let (_, tokens, made) = data.access(&AuthConfig::Token { admin: None }, now, &Sevens).unwrap();
        assert!(made.is_none() && !old.exists());
        assert_eq!(tokens.verify("prov_old", now).unwrap().name.as_str(), "admin");
    }
}
