//! The dashboard's password: argon2id, a few at a time, off the async threads.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use provisioning_core::model::Secret;
use tokio::sync::Semaphore;

/// Checks at once: each takes 19 MiB and a core for a moment.
const TURNS: usize = 2;
/// The longest password that is looked at, in bytes.
const LENGTH_MAX: usize = 1024;
/// The most memory that a configured hash may ask for, in KiB: 1 GiB.
const MEMORY_KIB_MAX: u32 = 1 << 20;
/// The most passes likewise.
const PASSES_MAX: u32 = 100;

/// An argon2id hash in PHC form: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
#[derive(Clone, Debug)]
pub struct PasswordPhc(Secret<String>);

impl FromStr for PasswordPhc {
    type Err = PasswordPhcError;

    fn from_str(text: &str) -> Result<Self, PasswordPhcError> {
        let parsed = PasswordHash::new(text).map_err(|_| PasswordPhcError)?;
        let params = argon2::Params::try_from(&parsed).map_err(|_| PasswordPhcError)?;
        let fits = parsed.algorithm.as_str() == "argon2id"
            && parsed.salt.is_some()
            && parsed.hash.is_some()
            && params.m_cost() <= MEMORY_KIB_MAX
            && params.t_cost() <= PASSES_MAX;
        if fits { Ok(Self(Secret::new(text.to_owned()))) } else { Err(PasswordPhcError) }
    }
}

/// The text is no argon2id hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordPhcError;

impl fmt::Display for PasswordPhcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an argon2id hash ($argon2id$v=19$…): make one with `provisioning password hash`")
    }
}

impl std::error::Error for PasswordPhcError {}

/// Hashes a password as `auth.password_hash` wants it. Takes a moment and 19 MiB.
///
/// # Errors
/// When the password is longer than 1024 bytes, or the system has no randomness.
pub fn hash_password(password: &Secret<String>) -> Result<PasswordPhc, HashPasswordError> {
    if password.expose().len() > LENGTH_MAX {
        return Err(HashPasswordError::TooLong);
    }
    let hash = Argon2::default().hash_password(password.expose().as_bytes());
    let text = hash.map_err(|error| HashPasswordError::Failed(error.to_string()))?.to_string();
    Ok(PasswordPhc(Secret::new(text)))
}

/// Why a password cannot be hashed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashPasswordError {
    /// It is too long.
    #[error("a password has at most {LENGTH_MAX} bytes")]
    TooLong,
    /// argon2 did not do it.
    #[error("the password could not be hashed: {0}")]
    Failed(String),
}

impl PasswordPhc {
    /// The hash, to be written into a configuration.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// The password that opens a session.
#[derive(Clone, Debug)]
pub struct LoginPassword {
    hash: Arc<PasswordPhc>,
    turns: Arc<Semaphore>,
}

impl LoginPassword {
    /// The one with this hash.
    pub fn new(hash: PasswordPhc) -> Self {
        Self { hash: Arc::new(hash), turns: Arc::new(Semaphore::new(TURNS)) }
    }

    /// Whether this is the password.
    pub async fn is(&self, password: &Secret<String>) -> bool {
        if password.expose().len() > LENGTH_MAX {
            return false;
        }
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else { return false };
        let (hash, password) = (Arc::clone(&self.hash), password.clone());
        let verified = tokio::task::spawn_blocking(move || {
            // The turn goes with the work, not with whoever waits for it and may hang up.
            let _turn = turn;
            PasswordHash::new(hash.expose())
                .is_ok_and(|hash| Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok())
        });
        verified.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_password_itself_is_the_password() {
        let hash = hash_password(&secret("correct horse")).unwrap();
        let read: PasswordPhc = hash.expose().parse().unwrap();
        assert!(!format!("{read:?}").contains("argon2id"));
        let login = LoginPassword::new(read);
        assert!(login.is(&secret("correct horse")).await);
        assert!(!login.is(&secret("correct hors")).await);
        assert!(!login.is(&secret("")).await);
        assert!(!login.is(&secret(&"x".repeat(LENGTH_MAX + 1))).await);
    }

    #[test]
    fn only_an_argon2id_hash_of_bearable_cost_is_taken() {
        let good = hash_password(&secret("x")).unwrap();
        for bad in [
            "correct horse".to_owned(),
            String::new(),
            "$6$salt$hash".to_owned(),
            good.expose().replace("argon2id", "argon2i"),
            good.expose().replace("m=19456", "m=4000000"),
            good.expose().replace("t=2", "t=4000"),
            good.expose().rsplit_once('$').unwrap().0.to_owned(),
        ] {
            assert!(bad.parse::<PasswordPhc>().is_err(), "{bad}");
        }
    }
}
