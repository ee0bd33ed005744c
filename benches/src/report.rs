//! Results as a table for people and as JSON for programs, with the facts of the machine that they were got on.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use comfy_table::{Table, presets::UTF8_BORDERS_ONLY};
use serde::Serialize;

use crate::Effort;

/// What a ratio must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// Not below this.
    AtLeast(f64),
    /// Not above this.
    AtMost(f64),
    /// Shown for what it is.
    None,
}

/// One line: our figure beside the peer's.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured, with its size.
    pub what: String,
    /// The unit of both figures.
    pub unit: &'static str,
    /// Ours.
    pub ours: f64,
    /// Whose the other figure is.
    pub beside: String,
    /// Theirs.
    pub theirs: f64,
    /// What `ours / theirs` must be.
    pub budget: Budget,
}

impl Row {
    /// Our figure divided by theirs.
    pub fn ratio(&self) -> f64 {
        self.ours / self.theirs
    }

    /// Whether the budget is kept; `None` when there is none.
    pub fn kept(&self) -> Option<bool> {
        match self.budget {
            Budget::AtLeast(least) => Some(self.ratio() >= least),
            Budget::AtMost(most) => Some(self.ratio() <= most),
            Budget::None => None,
        }
    }

    fn verdict(&self, effort: Effort) -> String {
        let wanted = match self.budget {
            Budget::AtLeast(least) => format!("≥ {least}"),
            Budget::AtMost(most) => format!("≤ {most}"),
            Budget::None => return String::new(),
        };
        match self.kept() {
            _ if effort.smoke => format!("{wanted} (not judged)"),
            Some(true) => format!("{wanted} kept"),
            _ => format!("{wanted} MISSED"),
        }
    }
}

/// A report under way.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    load: f64,
    effort: Effort,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Written<'a> {
    name: &'static str,
    smoke: bool,
    machine: Machine,
    rows: &'a [Row],
}

/// What the figures were got on.
#[derive(Debug, Serialize)]
struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    commit: String,
    at: String,
    /// How many processes wanted to run in the minute before: figures of a busy machine are worth less.
    load: f64,
}

impl Report {
    /// A report without rows.
    pub fn new(name: &'static str, effort: Effort) -> Self {
        Self { name, load: busy_before(), effort, rows: vec![] }
    }

    /// Adds a row.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Prints the table and writes `target/bench/NAME.json`.
    ///
    /// # Errors
    /// When the file can not be written, or a budget was missed.
    #[expect(clippy::print_stdout, reason = "the table is what the program is for")]
    pub fn finish(self) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY).set_header(["what", "ours", "beside", "theirs", "unit", "ratio", "budget"]);
        for row in &self.rows {
            table.add_row([
                row.what.clone(),
                figure(row.ours),
                row.beside.clone(),
                figure(row.theirs),
                row.unit.to_owned(),
                figure(row.ratio()),
                row.verdict(self.effort),
            ]);
        }
        println!("{}\n{table}", self.name);
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        fs::create_dir_all(&folder).with_context(|| format!("{} can not be made", folder.display()))?;
        let written =
            Written { name: self.name, smoke: self.effort.smoke, machine: machine(self.load), rows: &self.rows };
        let file = folder.join(format!("{}.json", self.name));
        fs::write(&file, serde_json::to_vec_pretty(&written)?)
            .with_context(|| format!("{} can not be written", file.display()))?;
        let missed: Vec<&str> =
            self.rows.iter().filter(|row| row.kept() == Some(false)).map(|row| row.what.as_str()).collect();
        anyhow::ensure!(self.effort.smoke || missed.is_empty(), "budgets missed: {}", missed.join("; "));
        Ok(())
    }
}

/// Three digits that count.
fn figure(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "–".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn busy_before() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

fn machine(load: f64) -> Machine {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    Machine {
        cpu: cpu.trim_start_matches([' ', '\t', ':']).to_owned(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: said("uname", &["-r"]),
        commit: said("git", &["rev-parse", "--short", "HEAD"]),
        at: jiff::Timestamp::now().to_string(),
        load,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_kept_or_missed_by_the_ratio() {
        let row = |ours, budget| {
            let (what, unit, beside) = ("x".to_owned(), "req/s", "nginx".to_owned());
            Row { what, unit, ours, beside, theirs: 100.0, budget }
        };
        assert_eq!(row(80.0, Budget::AtLeast(0.8)).kept(), Some(true));
        assert_eq!(row(79.0, Budget::AtLeast(0.8)).kept(), Some(false));
        assert_eq!(row(131.0, Budget::AtMost(1.3)).kept(), Some(false));
        assert_eq!(row(1.0, Budget::None).kept(), None);
    }
}
