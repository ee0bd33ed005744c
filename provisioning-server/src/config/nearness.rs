//! Which known key a typing error was meant to be.

/// The known word that is at most two typing errors away from `written`.
pub(super) fn nearest<'k>(known: &'k [String], written: &str) -> Option<&'k str> {
    let near = known.iter().map(|word| (distance(word, written), word.as_str())).min()?;
    (near.0 <= 2).then_some(near.1)
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
    }
}
