//! How long a token shall live.

use std::str::FromStr;
use std::time::Duration;

const DAY: u64 = 24 * 3600;
/// Ten years.
const DAYS_MAX: u64 = 3660;

/// A number and a unit: `12h`, `90d`, `52w`; from an hour to ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(Duration);

impl Lifetime {
    /// The time.
    pub fn time(self) -> Duration {
        self.0
    }
}

impl FromStr for Lifetime {
    type Err = ParseLifetimeError;

    fn from_str(text: &str) -> Result<Self, ParseLifetimeError> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let unit = match &text[digits.len()..] {
            "h" => 3600,
            "d" => DAY,
            "w" => 7 * DAY,
            _ => return Err(ParseLifetimeError),
        };
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let seconds = digits.parse::<u64>().ok().filter(|_| is_number).and_then(|number| number.checked_mul(unit));
        match seconds {
            Some(seconds) if (1..=DAYS_MAX * DAY).contains(&seconds) => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(ParseLifetimeError),
        }
    }
}

/// The text is no such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number and h, d or w, such as 12h, 90d or 52w; ten years at most")]
pub struct ParseLifetimeError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_of_known_units_are_times() {
        assert_eq!("90d".parse::<Lifetime>().unwrap().time(), Duration::from_secs(90 * DAY));
        assert_eq!("12h".parse::<Lifetime>().unwrap().time(), Duration::from_secs(12 * 3600));
        for text in ["", "d", "90", "0d", "-1d", "+1d", "1.5h", "1y", "99999999999999999999w", "4000d", "1 d"] {
            assert!(text.parse::<Lifetime>().is_err(), "{text}");
        }
    }
}
