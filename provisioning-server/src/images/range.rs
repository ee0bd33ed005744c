//! HTTP's `Range` and the conditions beside it (RFC 9110 §13 and §14), as a decision without any I/O.

use std::ops::Range;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: answer 200.
    Whole,
    /// One run of bytes, inside the whole and not empty: answer 206 with [`content_range`].
    Part(Range<u64>),
    /// Nothing that is there: answer 416 with [`unsatisfied_range`].
    Nothing,
}

/// Decides what to send. `range` and `if_range` are the headers of a GET; `etag` and `len` those of the whole.
///
/// A range that is malformed, in another unit, or one of several is ignored, as the RFC allows; so is one whose
/// `If-Range` is not exactly the tag that we would send now.
pub fn wanted(range: Option<&str>, if_range: Option<&str>, etag: &str, len: u64) -> Wanted {
    match range {
        Some(range) if if_range.is_none_or(|tag| tag.trim() == etag) => parse(range, len).unwrap_or(Wanted::Whole),
        _ => Wanted::Whole,
    }
}

/// Whether an `If-None-Match` header names the tag, so that 304 is the answer.
pub fn is_unchanged(if_none_match: Option<&str>, etag: &str) -> bool {
    let names = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
    if_none_match.is_some_and(|tags| tags.split(',').map(str::trim).any(names))
}

/// The `Content-Range` of a part.
pub fn content_range(part: &Range<u64>, len: u64) -> String {
    format!("bytes {}-{}/{len}", part.start, part.end.saturating_sub(1))
}

/// The `Content-Range` of a 416.
pub fn unsatisfied_range(len: u64) -> String {
    format!("bytes */{len}")
}

fn parse(range: &str, len: u64) -> Option<Wanted> {
    let (unit, spec) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = spec.trim().split_once('-')?;
    let part = match (first, last) {
        ("", suffix) => len.saturating_sub(number(suffix)?)..len,
        (first, "") => number(first)?..len,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(len)
        }
    };
    Some(if part.is_empty() { Wanted::Nothing } else { Wanted::Part(part) })
}

/// Digits only; a number too large to keep is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(range: &str, expected: &Wanted) {
        assert_eq!(wanted(Some(range), None, "\"e\"", 1000), *expected, "{range:?}");
    }

    #[test]
    fn one_range_is_cut_to_what_is_there() {
        check("bytes=0-0", &Wanted::Part(0..1));
        check("bytes=10-19", &Wanted::Part(10..20));
        check("Bytes=990-2000", &Wanted::Part(990..1000));
        check("bytes=999-", &Wanted::Part(999..1000));
        check("bytes=-1", &Wanted::Part(999..1000));
        check("bytes=-5000", &Wanted::Part(0..1000));
        check("bytes=5-99999999999999999999999", &Wanted::Part(5..1000));
    }

    #[test]
    fn a_range_beyond_the_end_is_unsatisfiable() {
        for range in ["bytes=1000-", "bytes=1000-1001", "bytes=-0", "bytes=99999999999999999999999-"] {
            check(range, &Wanted::Nothing);
        }
        assert_eq!(unsatisfied_range(1000), "bytes */1000");
    }

    #[test]
    fn what_is_no_single_range_of_bytes_gets_the_whole() {
        for range in
            ["", "bytes", "bytes=", "bytes=-", "bytes=5", "bytes=9-5", "bytes=0-1,5-6", "lines=0-1", "bytes=+1-2"]
        {
            check(range, &Wanted::Whole);
        }
    }

    #[test]
    fn if_range_must_be_our_tag_exactly() {
        let with = |tag| wanted(Some("bytes=0-1"), Some(tag), "\"e\"", 1000);
        assert_eq!(with("\"e\""), Wanted::Part(0..2));
        for tag in ["\"f\"", "W/\"e\"", "Mon, 23 Nov 2026 10:00:00 GMT"] {
            assert_eq!(with(tag), Wanted::Whole, "{tag}");
        }
    }

    #[test]
    fn if_none_match_finds_the_tag_in_a_list() {
        assert!(is_unchanged(Some("\"d\", W/\"e\""), "\"e\""));
        assert!(is_unchanged(Some("*"), "\"e\""));
        assert!(!is_unchanged(Some("\"d\""), "\"e\""));
        assert!(!is_unchanged(None, "\"e\""));
    }

    proptest! {
        #[test]
        fn a_part_always_lies_inside_the_whole(range in "bytes=[0-9]{0,5}-[0-9]{0,5}", len in 1..5000_u64) {
            if let Wanted::Part(part) = wanted(Some(&range), None, "", len) {
                prop_assert!(part.start < part.end && part.end <= len);
                prop_assert_eq!(content_range(&part, len), format!("bytes {}-{}/{len}", part.start, part.end - 1));
            }
        }

        #[test]
        fn any_text_is_decided_without_a_panic(range in ".*", len: u64) {
            let _: Wanted = wanted(Some(&range), None, "", len);
        }
    }
}
