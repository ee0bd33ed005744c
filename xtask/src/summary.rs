//! The table at the end: each step, what became of it, how long it took.

use std::fmt::Write as _;
use std::time::Duration;

use crate::steps::Done;

/// One step of the table.
#[derive(Debug)]
pub(crate) struct Line {
    name: &'static str,
    took: Duration,
    outcome: String,
}

impl Line {
    pub(crate) fn new(name: &'static str, took: Duration, done: &anyhow::Result<Done>) -> Self {
        let outcome = match done {
            Ok(Done::Passed) => "passed".to_owned(),
            Ok(Done::LeftOut(why)) => format!("LEFT OUT: {why}"),
            Err(_) => "FAILED".to_owned(),
        };
        Self { name, took, outcome }
    }
}

/// The whole table, with the sum as its last line.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut table = String::new();
    for Line { name, took, outcome } in lines {
        writeln!(table, "{name:<10}{:>9}  {outcome}", seconds(*took)).expect("text can always be added to a String");
    }
    let sum = lines.iter().map(|line| line.took).sum();
    writeln!(table, "{:<10}{:>9}", "in all", seconds(sum)).expect("text can always be added to a String");
    table
}

/// A duration as a reader wants it: `0.4 s`.
pub(crate) fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_each_step_and_the_sum() {
        let lines = [
            Line::new("format", Duration::from_millis(420), &Ok(Done::Passed)),
            Line::new("deny", Duration::ZERO, &Ok(Done::LeftOut("not here".to_owned()))),
            Line::new("tests", Duration::from_secs(61), &Err(anyhow::anyhow!("one failed"))),
        ];
        let expected = "\
format        0.4 s  passed
deny          0.0 s  LEFT OUT: not here
tests        61.0 s  FAILED
in all       61.4 s
";
        assert_eq!(table(&lines), expected);
    }
}
