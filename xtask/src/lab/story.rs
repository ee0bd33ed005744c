//! What a case tells while it runs, and the table at the end.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::summary::seconds;

/// Tells what happens in one case, each line with the time since the case began.
#[derive(Debug)]
pub(crate) struct Story {
    case: &'static str,
    begun: Instant,
}

impl Story {
    pub(crate) fn begin(case: &'static str) -> Self {
        Self { case, begun: Instant::now() }
    }

    pub(crate) fn tell(&self, what: impl AsRef<str>) {
        println!("{:>8}  {:<16}{}", seconds(self.elapsed()), self.case, what.as_ref());
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// How a case ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) case: &'static str,
    took: Duration,
    pub(crate) error: Option<String>,
}

impl Outcome {
    pub(crate) fn new(case: &'static str, took: Duration, done: anyhow::Result<()>) -> Self {
        Self { case, took, error: done.err().map(|error| format!("{error:#}")) }
    }
}

/// The whole table; the cases ran side by side, so the last line is no sum.
pub(crate) fn table(outcomes: &[Outcome], in_all: Duration) -> String {
    let mut table = String::new();
    for Outcome { case, took, error } in outcomes {
        let became = error.as_ref().map_or_else(|| "passed".to_owned(), |error| format!("FAILED: {error}"));
        writeln!(table, "{case:<16}{:>9}  {became}", seconds(*took)).expect("text can always be added to a String");
    }
    writeln!(table, "{:<16}{:>9}", "in all", seconds(in_all)).expect("text can always be added to a String");
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_the_error_of_a_case_that_failed() {
        let outcomes = [
            Outcome::new("bios", Duration::from_millis(97_400), Ok(())),
            Outcome::new("uefi", Duration::from_secs(3), Err(anyhow::anyhow!("no lease").context("netboot"))),
        ];
        let expected = "\
bios               97.4 s  passed
uefi                3.0 s  FAILED: netboot: no lease
in all             99.0 s
";
        assert_eq!(table(&outcomes, Duration::from_secs(99)), expected);
    }
}
