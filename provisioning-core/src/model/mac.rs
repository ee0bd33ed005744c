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
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Self::new(bytes)
    }
}

/// The values of the twelve digits without their dividers, which must be the same throughout.
fn undivided(text: &str) -> Option<[u8; 12]> {
    let (divider, group) = match (text.len(), text.as_bytes().get(2), text.as_bytes().get(4)) {
        (12, _, _) => (None, 12),
        (17, Some(divider @ (b':' | b'-')), _) => (Some(*divider), 2),
        (14, _, Some(b'.')) => (Some(b'.'), 4),
        _ => return None,
    };
    let mut digits = [0; 12];
    let mut free = digits.iter_mut();
    for (at, byte) in text.bytes().enumerate() {
        if at % (group + 1) == group {
            if Some(byte) != divider {
                return None;
            }
            continue;
        }
        let digit = char::from(byte).to_digit(16)?;
        *free.next()? = u8::try_from(digit).ok()?;
    }
    Some(digits)
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Log lines, journal entries and boot scripts are full of them: one piece is written, not eleven.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b':'; 17];
        for (place, byte) in text.chunks_mut(3).zip(self.0) {
            place[0] = DIGITS[usize::from(byte >> 4)];
            place[1] = DIGITS[usize::from(byte & 15)];
        }
        f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
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
