//! When a certificate ends: the one date of its DER that the server itself has to know.

use provisioning_core::model::Timestamp;

/// DER's tags (X.690), as far as they stand before the date.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When the certificate ends (RFC 5280 §4.1.2.5); `None` when it cannot be read.
pub(super) fn ends(certificate: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = expect(certificate, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    if let Some((_, rest)) = expect(fields, VERSION) {
        fields = rest;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        (_, _, fields) = value(fields)?;
    }
    let (validity, _) = expect(fields, SEQUENCE)?;
    let (_, _, rest) = value(validity)?;
    let (tag, not_after, _) = value(rest)?;
    date(tag, std::str::from_utf8(not_after).ok()?)
}

fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = value(bytes)?;
    (found == tag).then_some((content, rest))
}

/// The first value: its tag, its content, and what comes after it.
fn value(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // Longer than 64 KiB is no certificate.
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `YYMMDDhhmmssZ`, or with four digits of the year.
fn date(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let digits =
        text.strip_suffix('Z').filter(|text| text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (day, time) = digits.split_at(8);
    let text = format!("{}-{}-{}T{}:{}:{}Z", &day[..4], &day[4..6], &day[6..], &time[..2], &time[2..4], &time[4..]);
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        let end = |year| {
            let mut params = rcgen::CertificateParams::new(vec!["prov.lab".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 3, 9);
            ends(params.self_signed(&key).unwrap().der()).map(|at| at.to_string())
        };
        // Up to 2049 in the short form, beyond it in the long one.
        assert!(end(2036).unwrap().starts_with("2036-03-09T00:00:00"), "{:?}", end(2036));
        assert!(end(2061).unwrap().starts_with("2061-03-09T00:00:00"), "{:?}", end(2061));
    }

    #[test]
    fn what_breaks_off_has_no_end() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["prov.lab".to_owned()]).unwrap();
        let whole = params.self_signed(&key).unwrap().der().to_vec();
        for length in 0..whole.len() {
            assert_eq!(ends(&whole[..length]), None, "{length}");
        }
        assert_eq!(ends(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
