//! Which known key a typing error was meant to be.

/// The known word that is at most two typing errors away from `written`.
pub(super) fn nearest<'k>(known: &[&'k str], written: &str) -> Option<&'k str> {
    let written = written.to_lowercase();
    let near = known.iter().map(|word| (distance(&word.to_lowercase(), &written), *word)).min()?;
    // Of short words nothing would be left that both have.
    (near.0 <= 2 && near.0 < near.1.chars().count()).then_some(near.1)
}

/// The question behind a fault, when there is something to ask.
pub(super) fn did_you_mean(meant: Option<&str>) -> String {
    meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()
}

/// How many characters must be put in, left out or changed to make `a` into `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_near_the_word_that_was_meant() {
        assert_eq!(distance("public_url", "publik_url"), 1);
        assert_eq!(distance("listen", "lisetn"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(nearest(&["token", "open"], "Open"), Some("open"));
        assert_eq!(nearest(&["on", "off"], "xy"), None);
    }
}
