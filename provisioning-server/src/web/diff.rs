//! What changed between two texts, line by line: an operation's artefacts against those of the run before.

/// How many lines around a change are shown with it.
const CONTEXT: usize = 3;

/// The largest comparison, in cells of its table: about 4 ms. What is larger is told as replaced as a whole.
const CELLS_MAX: usize = 4_000_000;

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in both texts.
    Kept,
    /// It is in the old text only.
    Gone,
    /// It is in the new text only.
    Added,
}

impl Fate {
    /// Its name in the style sheet.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Gone => "gone",
            Self::Added => "added",
        }
    }

    /// The mark in front of the line, for those who see no colour.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Kept => " ",
            Self::Gone => "-",
            Self::Added => "+",
        }
    }
}

/// A line of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DiffLine {
    pub(super) fate: Fate,
    pub(super) text: String,
    /// Whether unchanged lines were left out in front of it.
    pub(super) is_behind_gap: bool,
}

/// Two texts compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Diff {
    /// The changed lines with some around them; empty when the texts are the same.
    pub(super) lines: Vec<DiffLine>,
    pub(super) added: usize,
    pub(super) gone: usize,
}

impl Diff {
    /// Compares two texts.
    pub(super) fn of(old: &str, new: &str) -> Self {
        let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        let fates = fates(&old, &new);
        let count = |fate| fates.iter().filter(|(found, _)| *found == fate).count();
        Self { added: count(Fate::Added), gone: count(Fate::Gone), lines: near_changes(&fates) }
    }

    /// Whether the texts are the same.
    pub(super) fn is_same(&self) -> bool {
        self.added == 0 && self.gone == 0
    }
}

/// Every line of both texts in order, the old one's before the new one's.
fn fates<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Fate, &'a str)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (old_middle, new_middle) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let kept = |lines: &[&'a str]| lines.iter().map(|line| (Fate::Kept, *line)).collect::<Vec<_>>();
    let mut fates = kept(&old[..head]);
    if old_middle.len().saturating_mul(new_middle.len()) > CELLS_MAX {
        fates.extend(old_middle.iter().map(|line| (Fate::Gone, *line)));
        fates.extend(new_middle.iter().map(|line| (Fate::Added, *line)));
    } else {
        fates.extend(compared(old_middle, new_middle));
    }
    fates.extend(kept(&old[old.len() - tail..]));
    fates
}

/// By the longest common subsequence.
fn compared<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Fate, &'a str)> {
    let width = new.len() + 1;
    // How many lines can be kept from line `i` of the old and line `j` of the new text on.
    let mut keepable = vec![0_u32; (old.len() + 1) * width];
    for (i, old_line) in old.iter().enumerate().rev() {
        for (j, new_line) in new.iter().enumerate().rev() {
            keepable[i * width + j] = if old_line == new_line {
                keepable[(i + 1) * width + j + 1] + 1
            } else {
                keepable[(i + 1) * width + j].max(keepable[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut fates = vec![];
    while i < old.len() || j < new.len() {
        let goes = j == new.len() || (i < old.len() && keepable[(i + 1) * width + j] >= keepable[i * width + j + 1]);
        if i < old.len() && j < new.len() && old[i] == new[j] {
            fates.push((Fate::Kept, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if goes {
            fates.push((Fate::Gone, old[i]));
            i += 1;
        } else {
            fates.push((Fate::Added, new[j]));
            j += 1;
        }
    }
    fates
}

/// Changed lines, and those at most [`CONTEXT`] away from one.
fn near_changes(fates: &[(Fate, &str)]) -> Vec<DiffLine> {
    let mut is_near = vec![false; fates.len()];
    for (at, _) in fates.iter().enumerate().filter(|(_, (fate, _))| *fate != Fate::Kept) {
        let end = (at + CONTEXT + 1).min(fates.len());
        is_near[at.saturating_sub(CONTEXT)..end].fill(true);
    }
    let near = fates.iter().enumerate().filter(|(at, _)| is_near[*at]);
    near.map(|(at, (fate, text))| DiffLine {
        fate: *fate,
        text: (*text).to_owned(),
        is_behind_gap: at > 0 && !is_near[at - 1],
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(old: &str, new: &str) -> String {
        let line = |line: &DiffLine| {
            let gap = if line.is_behind_gap { "…\n" } else { "" };
            format!("{gap}{}{}\n", line.fate.mark(), line.text)
        };
        Diff::of(old, new).lines.iter().map(line).collect()
    }

    #[test]
    fn a_changed_line_is_told_with_three_lines_around_it() {
        let old = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
        let new = "1\n2\n3\n4\nFIVE\n6\n7\n8\n9\n";
        assert_eq!(told(old, new), "…\n 2\n 3\n 4\n-five\n+FIVE\n 6\n 7\n 8\n");
        let diff = Diff::of(old, new);
        assert_eq!((diff.added, diff.gone), (1, 1));
    }

    #[test]
    fn two_changes_far_apart_have_a_gap_between_them() {
        let old: String = (0..30).flat_map(|n| [n.to_string(), "\n".to_owned()]).collect();
        let new = old.replace("\n5\n", "\n").replace("\n25\n", "\n25\nnew\n");
        let told = told(&old, &new);
        assert_eq!(told.matches('…').count(), 2, "{told}");
        assert!(told.contains("-5\n") && told.contains("+new\n"), "{told}");
    }

    #[test]
    fn texts_that_are_the_same_have_no_lines_to_show() {
        assert_eq!(Diff::of("a\nb", "a\nb"), Diff::default());
        assert!(Diff::of("", "").is_same());
    }

    #[test]
    fn what_is_too_large_to_compare_is_told_as_replaced() {
        let text = |word: &str| (0..2500).flat_map(|n| [format!("{word} {n}"), "\n".to_owned()]).collect::<String>();
        let diff = Diff::of(&text("old"), &text("new"));
        assert_eq!((diff.added, diff.gone), (2500, 2500));
    }

    proptest! {
        #[test]
        fn the_lines_that_stay_and_go_are_the_old_text_and_those_that_stay_and_come_the_new_one(
            old in prop::collection::vec("[ab]", 0..12),
            new in prop::collection::vec("[ab]", 0..12),
        ) {
            let (old, new): (Vec<&str>, Vec<&str>) =
                (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
            let fates = fates(&old, &new);
            let without = |left_out| fates.iter().filter(move |(fate, _)| *fate != left_out).map(|(_, line)| *line);
            prop_assert_eq!(without(Fate::Added).collect::<Vec<_>>(), old);
            prop_assert_eq!(without(Fate::Gone).collect::<Vec<_>>(), new);
        }
    }
}
