//! Names as DNS and the installer allow them.

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! text_type {
    ($name:ident, $error:ty) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                (*value.0).to_owned()
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }
    };
}
pub(crate) use text_type;

/// A host name as DNS allows it: 1-63 of `a-z 0-9 -`, not at the ends, not all digits; kept in lower case.
///
/// The installer refuses a first label of digits alone (`reference/answer-file.md`, `fqdn`).
///
/// ```
/// # use provisioning_core::model::Hostname;
/// assert_eq!("PVE-07".parse::<Hostname>()?.as_str(), "pve-07");
/// assert!("pve_07".parse::<Hostname>().is_err());
/// # Ok::<(), provisioning_core::model::ParseNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hostname(Arc<str>);

/// A domain: one or more labels joined by dots, in lower case, at most 253 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Domain(Arc<str>);

/// A host's full name: a [`Hostname`] and a [`Domain`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fqdn(Arc<str>);

/// The key of a server type: 1-63 of `a-z 0-9 - _`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ServerTypeKey(Arc<str>);

text_type!(Hostname, ParseNameError);
text_type!(Domain, ParseNameError);
text_type!(Fqdn, ParseNameError);
text_type!(ServerTypeKey, ParseNameError);

impl FromStr for Hostname {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        check_label(text)?;
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParseNameError::AllDigits);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl FromStr for Domain {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        if text.len() > 253 {
            return Err(ParseNameError::TooLong { max: 253 });
        }
        text.split('.').try_for_each(check_label)?;
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl Fqdn {
    /// Joins a host's name and its domain.
    ///
    /// # Errors
    /// `TooLong` when both together exceed 253 characters.
    pub fn new(name: &Hostname, domain: &Domain) -> Result<Self, ParseNameError> {
        let text = [name.as_str(), ".", domain.as_str()].concat();
        if text.len() > 253 {
            return Err(ParseNameError::TooLong { max: 253 });
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for Fqdn {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let (name, domain) = text.split_once('.').ok_or(ParseNameError::NoDomain)?;
        Self::new(&name.parse()?, &domain.parse()?)
    }
}

impl FromStr for ServerTypeKey {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        match text.as_bytes() {
            [] => Err(ParseNameError::Empty),
            _ if text.len() > 63 => Err(ParseNameError::TooLong { max: 63 }),
            [first, ..] if !first.is_ascii_lowercase() && !first.is_ascii_digit() => Err(ParseNameError::Key),
            bytes if bytes.iter().all(|&b| allowed(b)) => Ok(Self(text.into())),
            _ => Err(ParseNameError::Key),
        }
    }
}

fn check_label(label: &str) -> Result<(), ParseNameError> {
    if label.is_empty() {
        return Err(ParseNameError::Empty);
    }
    if label.len() > 63 {
        return Err(ParseNameError::TooLong { max: 63 });
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(ParseNameError::HyphenAtEnd);
    }
    match label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
        Some(found) => Err(ParseNameError::Character { found }),
        None => Ok(()),
    }
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseNameError {
    /// A label without characters.
    #[error("empty, or has an empty part between dots")]
    Empty,
    /// A label over 63 or a name over 253 characters.
    #[error("longer than {max} characters")]
    TooLong {
        /// The limit that was passed.
        max: usize,
    },
    /// A character that DNS labels may not have.
    #[error("has {found:?}; only letters, digits and - may stand in a DNS name")]
    Character {
        /// The first such character.
        found: char,
    },
    /// A label that begins or ends in a hyphen.
    #[error("begins or ends with -")]
    HyphenAtEnd,
    /// A host name of digits alone, which the installer refuses.
    #[error("only digits; the installer wants at least one letter")]
    AllDigits,
    /// A full name without a domain.
    #[error("has no domain: write HOST.DOMAIN")]
    NoDomain,
    /// A server type's key with other characters.
    #[error("not a key: only a-z, 0-9, - and _ may stand in it, and it begins with a letter or digit")]
    Key,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_the_installer_would_refuse_are_refused_here() {
        let cases = [
            ("", ParseNameError::Empty),
            ("pve_7", ParseNameError::Character { found: '_' }),
            ("pve.7", ParseNameError::Character { found: '.' }),
            ("pve\n7", ParseNameError::Character { found: '\n' }),
            ("-pve", ParseNameError::HyphenAtEnd),
            ("0815", ParseNameError::AllDigits),
        ];
        for (text, why) in cases {
            assert_eq!(text.parse::<Hostname>(), Err(why), "{text:?}");
        }
        assert_eq!("a".repeat(64).parse::<Hostname>(), Err(ParseNameError::TooLong { max: 63 }));
        assert_eq!("pve".parse::<Fqdn>(), Err(ParseNameError::NoDomain));
        assert_eq!("pve..example".parse::<Fqdn>(), Err(ParseNameError::Empty));
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_one_dns_label(text in ".{0,70}") {
            if let Ok(name) = text.parse::<Hostname>() {
                prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                prop_assert!(name.as_str().len() <= 63);
            }
        }
    }
}
