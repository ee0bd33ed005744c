//! Digests of tokens and cookies: all that is ever kept of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use provisioning_core::model::{Secret, Sha256Digest};
use provisioning_core::ports::{Entropy, EntropyExt as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A digest of a token or cookie. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of a token's text.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digest: Sha256Digest = text.parse().ok()?;
        let bytes = digest.to_string();
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(bytes.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(out))
    }

    /// As 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        Sha256Digest::new(self.0).to_string()
    }

    /// Whether both are of the same token, in constant time.
    pub(crate) fn matches(self, other: Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl From<TokenDigest> for String {
    fn from(digest: TokenDigest) -> Self {
        digest.to_hex()
    }
}

impl TryFrom<String> for TokenDigest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::from_hex(&text).ok_or("a digest has 64 hexadecimal digits")
    }
}

/// Makes a token: `prov_` and 43 characters of base64url.
pub fn new_token(entropy: &dyn Entropy) -> Secret<String> {
    Secret::new(format!("prov_{}", URL_SAFE_NO_PAD.encode(entropy.bytes::<32>())))
}
