//! The operators' tokens, in a file of the data directory of their own.
//!
//! Apart from the database on purpose: a copy of the hosts' rows brings no access with it, and the few rows that there
//! are fit into one small file that is replaced as a whole.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use provisioning_core::model::{Secret, Timestamp, TokenId};
use provisioning_core::ports::{Entropy, EntropyExt as _};
use serde::{Deserialize, Serialize};

use super::{Scope, TokenDigest, TokenName, TokenRow, new_token};
use crate::data_dir::write_private;

/// How often a token's last use is written at most.
const USE_WRITTEN_EVERY: Duration = Duration::from_secs(60);
/// Tokens that are kept at most; the dead ones make room, the longest dead first.
const ROWS_MAX: usize = 1000;

/// All tokens. Cheap to clone: the clones share the rows.
#[derive(Clone, Debug)]
pub struct TokenBook(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` keeps the rows in memory only.
    path: Option<PathBuf>,
    rows: Mutex<Vec<TokenRow>>,
    /// One writer after the other, so that the file never goes back to older rows.
    writing: Mutex<()>,
}

/// A token to make.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its name.
    pub name: TokenName,
    /// What it allows.
    pub scope: Scope,
    /// When it ends; `None` is never.
    pub expires: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    tokens: Vec<TokenRow>,
}

impl TokenBook {
    /// Tokens that go with the process.
    pub fn in_memory() -> Self {
        Self::with(None, vec![])
    }

    /// The tokens of a file; none when there is no file yet.
    ///
    /// # Errors
    /// When the file cannot be read, or is not what this wrote.
    pub fn open(path: PathBuf) -> Result<Self, TokenBookError> {
        match std::fs::read(&path) {
            Ok(bytes) => {
                let document: Document = serde_json::from_slice(&bytes)
                    .map_err(|source| TokenBookError::Corrupt { path: path.clone(), source })?;
                Ok(Self::with(Some(path), document.tokens))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::with(Some(path), vec![])),
            Err(source) => Err(TokenBookError::Io { path, source }),
        }
    }

    fn with(path: Option<PathBuf>, rows: Vec<TokenRow>) -> Self {
        Self(Arc::new(Inner { path, rows: Mutex::new(rows), writing: Mutex::default() }))
    }

    /// Whether no token was ever made.
    pub fn is_empty(&self) -> bool {
        self.rows().is_empty()
    }

    /// All rows, in the order they were made.
    pub fn list(&self) -> Vec<TokenRow> {
        self.rows().clone()
    }

    /// Makes a token. It is shown now or never; when this returns it is on disk.
    ///
    /// # Errors
    /// `NameTaken`, `Full`, and when the file cannot be written: then there is no such token.
    pub fn create(
        &self,
        new: NewToken,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<(TokenRow, Secret<String>), TokenBookError> {
        let token = new_token(entropy);
        let row = self.add(new, TokenDigest::of(token.expose()), now, entropy)?;
        Ok((row, token))
    }

    /// Keeps a token that was made elsewhere, by its digest.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn add(
        &self,
        new: NewToken,
        digest: TokenDigest,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<TokenRow, TokenBookError> {
        let id = TokenId::new(now, entropy.bytes());
        let NewToken { name, scope, expires } = new;
        let row = TokenRow { id, name, digest, scope, created: now, expires, last_used: None, revoked: None };
        {
            let mut rows = self.rows();
            if rows.iter().any(|other| other.name == row.name && other.is_alive(now)) {
                return Err(TokenBookError::NameTaken { name: row.name });
            }
            make_room(&mut rows, now)?;
            rows.push(row.clone());
        }
        if let Err(error) = self.save() {
            self.rows().retain(|other| other.id != id);
            return Err(error);
        }
        Ok(row)
    }

    /// Revokes a living token, by its name or id. It opens nothing any more even when the file cannot be written, which
    /// is an error all the same: a restart would bring it back.
    ///
    /// # Errors
    /// `NoSuchToken`, and when the file cannot be written.
    pub fn revoke(&self, name_or_id: &str, now: Timestamp) -> Result<TokenRow, TokenBookError> {
        let row = {
            let mut rows = self.rows();
            let id = name_or_id.parse::<TokenId>().ok();
            let named =
                |row: &&mut TokenRow| row.revoked.is_none() && (Some(row.id) == id || row.name.as_str() == name_or_id);
            // The latest of a name: the ones before it have expired.
            let Some(row) = rows.iter_mut().rev().find(named) else {
                return Err(TokenBookError::NoSuchToken { name: name_or_id.to_owned() });
            };
            row.revoked = Some(now);
            row.clone()
        };
        self.save()?;
        Ok(row)
    }

    /// The token that was shown, if it opens anything at `now`. Looks at all rows whichever matches.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<TokenRow, TokenRefusal> {
        let digest = TokenDigest::of(token);
        let mut rows = self.rows();
        let mut found = None;
        for row in rows.iter_mut() {
            if row.digest.matches(digest) {
                found = Some(row);
            }
        }
        let row = found.ok_or(TokenRefusal::Unknown)?;
        refusal(row, now).map_or(Ok(()), Err)?;
        let is_news = row.last_used.is_none_or(|used| now.since(used) >= USE_WRITTEN_EVERY);
        if is_news {
            row.last_used = Some(now);
        }
        let row = row.clone();
        drop(rows);
        if is_news {
            self.save_soon();
        }
        Ok(row)
    }

    /// Whether a token that opened a session is still good.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, id: TokenId, now: Timestamp) -> Result<(), TokenRefusal> {
        let rows = self.rows();
        let row = rows.iter().find(|row| row.id == id).ok_or(TokenRefusal::Unknown)?;
        refusal(row, now).map_or(Ok(()), Err)
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, Vec<TokenRow>> {
        self.0.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self) -> Result<(), TokenBookError> {
        let Some(path) = &self.0.path else { return Ok(()) };
        let _turn = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let document = Document { tokens: self.list() };
        let text = serde_json::to_string_pretty(&document).expect("rows of texts are JSON");
        write_private(path, &format!("{text}\n")).map_err(|source| TokenBookError::Io { path: path.clone(), source })
    }

    /// Writes a last use, off the async threads where there are such. Losing one costs nothing.
    fn save_soon(&self) {
        if self.0.path.is_none() {
            return;
        }
        let book = self.clone();
        let write = move || {
            if let Err(error) = book.save() {
                tracing::warn!(%error, "could not write when a token was last used");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(write)),
            Err(_) => write(),
        }
    }

    /// The file, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }
}

fn refusal(row: &TokenRow, now: Timestamp) -> Option<TokenRefusal> {
    match (row.revoked, row.expires) {
        (Some(at), _) => Some(TokenRefusal::Revoked { name: row.name.clone(), at }),
        (None, Some(at)) if now >= at => Some(TokenRefusal::Expired { name: row.name.clone(), at }),
        (None, _) => None,
    }
}

fn make_room(rows: &mut Vec<TokenRow>, now: Timestamp) -> Result<(), TokenBookError> {
    let dead: BTreeSet<(Option<Timestamp>, TokenId)> =
        rows.iter().filter(|row| !row.is_alive(now)).map(|row| (row.revoked.or(row.expires), row.id)).collect();
    let excess = (rows.len() + 1).saturating_sub(ROWS_MAX);
    if excess > dead.len() {
        return Err(TokenBookError::Full);
    }
    let leaving: BTreeSet<TokenId> = dead.into_iter().take(excess).map(|(_, id)| id).collect();
    rows.retain(|row| !leaving.contains(&row.id));
    Ok(())
}

/// Why a token opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// Nobody made it here.
    #[error("the token is not known")]
    Unknown,
    /// Its time is over.
    #[error("the token {name} expired at {at}")]
    Expired {
        /// Its name.
        name: TokenName,
        /// When.
        at: Timestamp,
    },
    /// Somebody took it back.
    #[error("the token {name} was revoked at {at}")]
    Revoked {
        /// Its name.
        name: TokenName,
        /// When.
        at: Timestamp,
    },
}

/// Why the book of tokens did not do it.
#[derive(Debug, thiserror::Error)]
pub enum TokenBookError {
    /// A living token has the name.
    #[error("a token named {name} is in use; revoke it first, or choose another name")]
    NameTaken {
        /// The name.
        name: TokenName,
    },
    /// No living token has the name or id.
    #[error("no token in force has the name or id {name}")]
    NoSuchToken {
        /// What was asked for.
        name: String,
    },
    /// There are too many living ones.
    #[error("there are {ROWS_MAX} tokens in force; revoke some first")]
    Full,
    /// The file is not ours, or was damaged.
    #[error("{} holds no tokens; move it away, and the next start makes a new one", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The file system did not do it.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use provisioning_adapters::system::SystemEntropy;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn named(name: &str) -> NewToken {
        NewToken { name: name.parse().unwrap(), scope: Scope::Full, expires: None }
    }

    #[test]
    fn a_token_is_known_after_a_restart_and_its_text_is_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        let book = TokenBook::open(path.clone()).unwrap();
        assert!(book.is_empty());
        let (row, token) = book.create(named("ci"), at(1), &SystemEntropy).unwrap();
        let again = TokenBook::open(path.clone()).unwrap();
        assert_eq!(again.verify(token.expose(), at(2)).unwrap().id, row.id);
        assert!(!std::fs::read_to_string(&path).unwrap().contains(token.expose()));
        assert_eq!(again.verify("prov_other", at(2)), Err(TokenRefusal::Unknown));
    }

    #[test]
    fn what_is_revoked_or_expired_is_refused_in_words_of_its_own() {
        let book = TokenBook::in_memory();
        let (_, gone) = book.create(named("a"), at(1), &SystemEntropy).unwrap();
        book.revoke("a", at(5)).unwrap();
        let short = NewToken { expires: Some(at(10)), ..named("b") };
        let (row, short) = book.create(short, at(1), &SystemEntropy).unwrap();
        let refused = book.verify(gone.expose(), at(6)).unwrap_err();
        assert_eq!(refused, TokenRefusal::Revoked { name: "a".parse().unwrap(), at: at(5) });
        assert!(book.verify(short.expose(), at(9)).is_ok());
        assert_eq!(book.check(row.id, at(9)), Ok(()));
        let expired = TokenRefusal::Expired { name: "b".parse().unwrap(), at: at(10) };
        assert_eq!(book.verify(short.expose(), at(10)), Err(expired.clone()));
        assert_eq!(book.check(row.id, at(10)), Err(expired));
        assert!(matches!(book.revoke("a", at(7)), Err(TokenBookError::NoSuchToken { .. })));
    }

    #[test]
    fn a_name_is_free_again_when_its_token_is_dead() {
        let book = TokenBook::in_memory();
        book.create(named("ci"), at(1), &SystemEntropy).unwrap();
        assert!(matches!(book.create(named("ci"), at(2), &SystemEntropy), Err(TokenBookError::NameTaken { .. })));
        let first = book.revoke("ci", at(3)).unwrap();
        let (second, _) = book.create(named("ci"), at(4), &SystemEntropy).unwrap();
        assert_ne!(first.id, second.id);
        assert_eq!(book.revoke("ci", at(5)).unwrap().id, second.id);
    }

    #[test]
    fn a_last_use_is_written_once_a_minute() {
        let book = TokenBook::in_memory();
        let (_, token) = book.create(named("ci"), at(1), &SystemEntropy).unwrap();
        for (now, used) in [(10, 10), (69, 10), (70, 70)] {
            assert_eq!(book.verify(token.expose(), at(now)).unwrap().last_used, Some(at(used)));
        }
    }

    #[test]
    fn dead_tokens_make_room_and_living_ones_do_not() {
        let book = TokenBook::in_memory();
        for n in 0..ROWS_MAX {
            book.create(named(&format!("t{n}")), at(1), &SystemEntropy).unwrap();
        }
        assert!(matches!(book.create(named("one-more"), at(2), &SystemEntropy), Err(TokenBookError::Full)));
        book.revoke("t3", at(3)).unwrap();
        book.create(named("one-more"), at(4), &SystemEntropy).unwrap();
        assert_eq!(book.list().len(), ROWS_MAX);
        assert!(book.list().iter().all(|row| row.name.as_str() != "t3"));
    }

    #[test]
    fn a_damaged_file_is_named_and_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        std::fs::write(&path, "{\"tokens\": [7]}").unwrap();
        let error = TokenBook::open(path.clone()).unwrap_err();
        assert!(error.to_string().contains("tokens.json"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"tokens\": [7]}");
    }
}
