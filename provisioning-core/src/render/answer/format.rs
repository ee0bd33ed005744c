//! TOML or JSON: installers read JSON since 9.2, if they ask for it.

use super::dialect::Dialect;
use crate::model::Release;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML, which every installer reads.
    Toml,
    /// JSON, from 9.2 on.
    Json,
}

impl Format {
    /// The value of `Content-Type`. An installer takes anything but JSON's for TOML (`reference/fetch-answer.md`).
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Toml => "application/toml",
            Self::Json => "application/json",
        }
    }
}

/// Chooses the format for a request: JSON for an installer of 9.2 or later whose `Accept` lists
/// `application/json` with no less weight than TOML, else TOML.
///
/// JSON must be listed by its name: `*/*` is what anyone sends, and TOML is what anyone reads.
pub fn format_for(release: Release, accept_header: Option<&str>) -> Format {
    let reads_json = Dialect::of(release).is_ok_and(Dialect::reads_json);
    let Some(accept) = accept_header.filter(|_| reads_json) else { return Format::Toml };
    let json = weight(accept, "application/json").unwrap_or(0);
    let toml = ["application/toml", "application/*", "*/*"].iter().find_map(|range| weight(accept, range)).unwrap_or(0);
    if json > 0 && json >= toml { Format::Json } else { Format::Toml }
}

/// The weight in thousandths of a media range in an `Accept` header; `None` when it is not listed.
fn weight(accept: &str, range: &str) -> Option<u16> {
    accept.split(',').find_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(range) {
            return None;
        }
        let q = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
        });
        // A weight that makes no sense is none: the other format is the safer guess.
        Some(q.map_or(1000, |q| thousandths(q).unwrap_or(0)))
    })
}

/// Reads `1`, `0.5` or `0.125` (RFC 9110, 12.4.2).
fn thousandths(q: &str) -> Option<u16> {
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    if fraction.len() > 3 || !matches!(whole, "0" | "1") || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let sum = format!("{whole}{fraction:0<3}").parse().ok()?;
    (sum <= 1000).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INSTALLER_9_2: &str = "application/json, application/toml;q=0.5";

    #[test]
    fn json_is_for_installers_of_9_2_that_prefer_it() {
        let new = Release::new(9, 2);
        let cases = [
            (Some(INSTALLER_9_2), Format::Json),
            (Some("Application/JSON ; q=1.0"), Format::Json),
            (Some("application/toml;q=0.5,application/json;q=0.5"), Format::Json),
            (Some("application/json;q=0.125, */*;q=0.1"), Format::Json),
            (Some("application/json;q=0.5, application/toml"), Format::Toml),
            (Some("application/json;q=0.5, */*"), Format::Toml),
            (Some("application/json;q=0"), Format::Toml),
            (Some("application/json;q=2"), Format::Toml),
            (Some("application/json;q=1.001"), Format::Toml),
            (Some("application/jsonx, text/plain"), Format::Toml),
            (Some("*/*"), Format::Toml),
            (Some(""), Format::Toml),
            (None, Format::Toml),
        ];
        for (accept, format) in cases {
            assert_eq!(format_for(new, accept), format, "{accept:?}");
        }
        assert_eq!(format_for(Release::new(10, 0), Some(INSTALLER_9_2)), Format::Json);
    }

    #[test]
    fn older_installers_get_toml_whatever_they_ask_for() {
        for (major, minor) in [(8, 1), (8, 2), (8, 4), (9, 1)] {
            assert_eq!(format_for(Release::new(major, minor), Some("application/json")), Format::Toml);
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(accept in ".{0,80}") {
            format_for(Release::new(9, 2), Some(&accept));
        }

        #[test]
        fn a_weight_with_three_digits_is_read_exactly(q in 0_u16..=1000) {
            let text = format!("{}.{:03}", q / 1000, q % 1000);
            prop_assert_eq!(thousandths(&text), Some(q));
        }
    }
}
