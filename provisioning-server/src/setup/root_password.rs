//! Root's password as crypt(3) hashes it: what the installer puts into `/etc/shadow` of new hosts.

use provisioning_core::model::{PasswordHash, Secret};
use sha_crypt::ShaCrypt;
use sha_crypt::password_hash::PasswordHasher as _;

/// The installer's own least length, in characters.
pub const LENGTH_MIN: usize = 8;
/// crypt(3) reads 16 characters of a salt and not more: these many bytes make them.
const SALT_BYTES: usize = 12;

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The password is too short.
    #[error("root's password has at least {LENGTH_MIN} characters")]
    TooShort,
    /// There is no randomness for the salt.
    #[error("the system gives no random numbers")]
    NoRandomness(#[source] getrandom::Error),
    /// The hash could not be made.
    #[error("the hash cannot be made")]
    Hash(#[source] sha_crypt::password_hash::Error),
}

/// The SHA-512 hash of a password, with a salt of its own.
///
/// # Errors
/// When the password is too short, or the system gives no random numbers.
pub fn hash(password: &Secret<String>) -> Result<Secret<String>, HashError> {
    if password.expose().chars().count() < LENGTH_MIN {
        return Err(HashError::TooShort);
    }
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(HashError::NoRandomness)?;
    with_salt(password, &salt)
}

fn with_salt(password: &Secret<String>, salt: &[u8; SALT_BYTES]) -> Result<Secret<String>, HashError> {
    let hash = ShaCrypt::SHA512.hash_password_with_salt(password.expose().as_bytes(), salt);
    let hash = Secret::new(hash.map_err(HashError::Hash)?.to_string());
    debug_assert!(hash.expose().parse::<PasswordHash>().is_ok(), "it has the shape that the installer is given");
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_crypt() {
        let hash = with_salt(&Secret::new("correct horse".to_owned()), b"0123456789ab").unwrap();
        // By libcrypt: perl -e 'print crypt("correct horse", "$6$rounds=5000$SALT")'
        assert_eq!(
            hash.expose(),
            "$6$rounds=5000$k2XAnEHBqQ1Ct2aM$KDBGOLClapqzK43U1GDLsBvQ8UyKzV4Gil5wjmo4po8DDQYfilvtBtdIBewkrDZsDiH9kMMRkq9YqOGSFdm16/"
        );
    }

    #[test]
    fn two_hashes_of_one_password_differ_and_a_short_one_is_refused() {
        let password = Secret::new("correct horse".to_owned());
        assert_ne!(hash(&password).unwrap().expose(), hash(&password).unwrap().expose());
        let refused = hash(&Secret::new("short".to_owned())).unwrap_err();
        assert_eq!(refused.to_string(), "root's password has at least 8 characters");
    }
}
