//! An imported Proxmox ISO, and the release that decides its dialect.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::ImageId;
use super::time::Timestamp;

/// A Proxmox release: `9.2`. Ordered, so that features can be asked for by `>=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Release {
    /// The part before the dot.
    pub major: u16,
    /// The part behind it.
    pub minor: u16,
}

impl Release {
    /// A release by its two numbers.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Release {
    type Err = ParseReleaseError;

    fn from_str(text: &str) -> Result<Self, ParseReleaseError> {
        let number = |part: &str| {
            let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            if digits { part.parse().ok() } else { None }
        };
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self { major: number(major)?, minor: number(minor)? }))
            .ok_or(ParseReleaseError)
    }
}

impl From<Release> for String {
    fn from(value: Release) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for Release {
    type Error = ParseReleaseError;

    fn try_from(text: String) -> Result<Self, ParseReleaseError> {
        text.parse()
    }
}

/// The text is no release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a release such as 9.2")]
pub struct ParseReleaseError;

/// The SHA-256 digest of a file, written as 64 lower-case digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The digest's 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Sha256Digest> for String {
    fn from(value: Sha256Digest) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Self, ParseDigestError> {
        text.parse()
    }
}

impl FromStr for Sha256Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseDigestError);
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| ParseDigestError)?;
        }
        Ok(Self(bytes))
    }
}

/// The text is no SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest: it has 64 hexadecimal digits")]
pub struct ParseDigestError;

/// A stock Proxmox ISO that was imported. Its bytes lie with the server; this is what is known of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// The name people know it by, such as `proxmox-ve_9.2-1`; made from `.cd-info`.
    pub name: String,
    /// `RELEASE` of `.cd-info`.
    pub release: Release,
    /// `ISORELEASE` of `.cd-info`.
    pub iso_release: String,
    /// Digest of the whole file.
    pub sha256: Sha256Digest,
    /// Size of the whole file in bytes.
    pub size_bytes: u64,
    /// When it was imported.
    pub imported_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_by_number_not_by_text() {
        let old: Release = "9.9".parse().unwrap();
        let new: Release = "10.0".parse().unwrap();
        assert!(old < new);
        for text in ["", "9", "9.", ".2", "9.2.1", "9.x", "+9.2", "9999.1"] {
            assert!(text.parse::<Release>().is_err(), "{text:?}");
        }
    }
}
