//! The token of an operation: what a machine shows to be served.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::ids::OperationId;
use super::secret::Secret;

/// An operation's token: the operation's id (16 bytes) and a secret (16 bytes), base64url, 43 characters.
///
/// The id inside finds the operation without searching by a secret; the secret half is compared in
/// constant time by `==`. It dies with its operation.
#[derive(Clone, PartialEq, Eq)]
pub struct BootToken {
    operation: OperationId,
    secret: Secret<[u8; 16]>,
}

impl BootToken {
    /// A token for `operation` with a secret drawn by the caller.
    pub fn new(operation: OperationId, secret: [u8; 16]) -> Self {
        Self { operation, secret: Secret::new(secret) }
    }

    /// Whose token it claims to be. Compare with the stored token before believing it.
    pub fn operation(&self) -> OperationId {
        self.operation
    }

    /// The text that goes into URLs and headers. A secret: never log it.
    pub fn expose(&self) -> String {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(self.operation.as_bytes());
        bytes[16..].copy_from_slice(self.secret.expose());
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl fmt::Debug for BootToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootToken({}, ***)", self.operation)
    }
}

impl FromStr for BootToken {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseTokenError)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| ParseTokenError)?;
        let (mut operation, mut secret) = ([0; 16], [0; 16]);
        operation.copy_from_slice(&bytes[..16]);
        secret.copy_from_slice(&bytes[16..]);
        Ok(Self::new(OperationId::from_bytes(operation), secret))
    }
}

/// The text has not the form of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an operation's token: it has 43 characters of A-Z a-z 0-9 - _")]
pub struct ParseTokenError;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn a_token_reads_back_and_shows_nothing_in_debug() {
        let id = OperationId::new(Timestamp::from_millis(7), [3; 10]);
        let token = BootToken::new(id, [9; 16]);
        let text = token.expose();
        assert_eq!(text.len(), 43);
        assert_eq!(text.parse::<BootToken>().as_ref(), Ok(&token));
        assert!(!format!("{token:?}").contains(&text[22..]));
        assert_ne!(token, BootToken::new(id, [8; 16]));
        assert!("short".parse::<BootToken>().is_err());
    }
}
