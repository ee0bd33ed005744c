//! Ethernet addresses, in the one form we keep.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A unicast Ethernet address. Read in any usual spelling, written as `52:54:00:12:34:56`.
///
/// Installers send upper case since 9.2 and lower case before, firmware writes `-` or `:`
/// (`reference/fetch-answer.md`, `reference/netboot.md`): all of them are the same value here.
///
/// ```
/// # use provisioning_core::model::MacAddr;
/// let mac: MacAddr = "52-54-00-AB-CD-EF".parse()?;
/// assert_eq!(mac.to_string(), "52:54:00:ab:cd:ef");
/// assert_eq!("525400abcdef".parse(), Ok(mac));
/// assert!("01:00:5e:00:00:01".parse::<MacAddr>().is_err()); // multicast: no NIC has it
/// # Ok::<(), provisioning_core::model::ParseMacError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// From six bytes.
    ///
    /// # Errors
    /// Group (multicast) addresses and all zeroes belong to no NIC.
    pub fn new(bytes: [u8; 6]) -> Result<Self, ParseMacError> {
        if bytes == [0; 6] {
            return Err(ParseMacError::Zero);
        }
        if bytes[0] & 1 == 1 {
            return Err(ParseMacError::Group);
        }
        Ok(Self(bytes))
    }

    /// The six bytes.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddr {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let digits = undivided(text).ok_or(ParseMacError::Form)?;
        let mut bytes = [0; 6];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| ParseMacError::Form)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| ParseMacError::Form)?;
        }
        Self::new(bytes)
    }
}

/// The twelve digits without their dividers, which must be the same throughout.
fn undivided(text: &str) -> Option<String> {
    let (divider, group) = match (text.len(), text.as_bytes().get(2), text.as_bytes().get(4)) {
        (12, _, _) => (None, 12),
        (17, Some(b':'), _) => (Some(':'), 2),
        (17, Some(b'-'), _) => (Some('-'), 2),
        (14, _, Some(b'.')) => (Some('.'), 4),
        _ => return None,
    };
    let digits: String = match divider {
        None => text.to_owned(),
        Some(divider) if text.split(divider).all(|part| part.len() == group) => text.split(divider).collect(),
        Some(_) => return None,
    };
    (digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digits)
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, byte)| write!(f, "{}{byte:02x}", if i == 0 { "" } else { ":" }))
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> Self {
        mac.to_string()
    }
}

impl TryFrom<String> for MacAddr {
    type Error = ParseMacError;

    fn try_from(text: String) -> Result<Self, ParseMacError> {
        text.parse()
    }
}

/// Why a text is no MAC address of a NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMacError {
    /// Not twelve hexadecimal digits, or dividers that do not fit.
    #[error("not a MAC address: write six pairs of hexadecimal digits such as 52:54:00:12:34:56")]
    Form,
    /// The group bit is set.
    #[error("a group (multicast) address, which no NIC has: the second digit must be even")]
    Group,
    /// All zeroes.
    #[error("all zeroes, which no NIC has")]
    Zero,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn odd_spellings_are_refused() {
        for text in [
            "",
            "52:54:00:12:34",
            "52:54:00:12:34:5g",
            "52:54-00:12:34:56",
            "52:54:00:12:34:56:78",
            "5:254:00:12:34:56:",
            "+2:54:00:12:34:56",
            "52540012345",
            "52:54:00:12:34:56\n",
            "ää:54:00:12:34:5",
        ] {
            assert_eq!(text.parse::<MacAddr>(), Err(ParseMacError::Form), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_spelling_of_an_address_is_the_same_address(bytes: [u8; 6], upper: bool) {
            let Ok(mac) = MacAddr::new(bytes) else { return Ok(()) };
            let colon = if upper { mac.to_string().to_uppercase() } else { mac.to_string() };
            let bare = colon.replace(':', "");
            let dotted = format!("{}.{}.{}", &bare[..4], &bare[4..8], &bare[8..]);
            for text in [colon.replace(':', "-"), colon, bare, dotted] {
                prop_assert_eq!(text.parse(), Ok(mac));
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,20}") {
            text.parse::<MacAddr>().ok();
        }
    }
}
