//! Lengths of time and sizes in words.

use std::time::Duration;

/// A length of time by its two largest units; the scripts count in the same form (`assets/times.js`).
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) if seconds.is_multiple_of(60) => format!("{minutes} min"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) if minutes.is_multiple_of(60) => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        (_, _, _) if hours.is_multiple_of(24) => format!("{days} d"),
        (_, _, _) => format!("{days} d {} h", hours % 24),
    }
}

/// A size in bytes by its largest decimal unit, as disks and downloads are sold: `1.6 GB`.
pub(in crate::web) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit / (unit / 10)),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_at_most_two_units() {
        let cases = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (133, "2 min 13 s"),
            (3600, "1 h"),
            (3725, "1 h 2 min"),
            (86_400, "1 d"),
            (100_000, "1 d 3 h"),
        ];
        for (seconds, text) in cases {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn sizes_have_one_decimal_and_the_largest_unit() {
        let cases = [(999, "999 B"), (1_000, "1.0 kB"), (1_650_000_000, "1.6 GB"), (2_000_000_000_000, "2.0 TB")];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }
}
