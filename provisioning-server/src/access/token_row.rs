//! What is kept of one operators' token.

use std::fmt;
use std::str::FromStr;

use provisioning_core::model::{Timestamp, TokenId};
use serde::{Deserialize, Serialize};

use super::{Scope, TokenDigest};

/// A token's row. The token itself is shown once, when it is made, and is not in here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// What people call it; no two living ones have the same name.
    pub name: TokenName,
    /// The token's digest.
    pub digest: TokenDigest,
    /// What it allows.
    pub scope: Scope,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; `None` is never.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl TokenRow {
    /// Whether it opens anything at `now`.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// A token's name: 1 to 64 of `A-Z a-z 0-9 . _ @ -`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TokenName(Box<str>);

impl TokenName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenName {
    type Err = ParseTokenNameError;

    fn from_str(text: &str) -> Result<Self, ParseTokenNameError> {
        let fits = (1..=64).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._@-".contains(c));
        if fits { Ok(Self(text.into())) } else { Err(ParseTokenNameError) }
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<TokenName> for String {
    fn from(name: TokenName) -> Self {
        name.0.into()
    }
}

impl TryFrom<String> for TokenName {
    type Error = ParseTokenNameError;

    fn try_from(text: String) -> Result<Self, ParseTokenNameError> {
        text.parse()
    }
}

/// The text is no token's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token's name has 1 to 64 of the characters A-Z a-z 0-9 . _ @ - and begins with a letter or digit")]
pub struct ParseTokenNameError;
