//! `cargo xtask bench --publish`: the results of measurements as tables and pictures below `docs/performance/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::plot;

/// What a measurement wrote.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) name: String,
    smoke: bool,
    machine: Machine,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    commit: String,
    at: String,
    load: Option<f64>,
}

/// One figure beside another.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    unit: String,
    pub(crate) ours: f64,
    beside: String,
    theirs: f64,
    budget: Budget,
}

/// What the ratio must be.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Budget {
    AtLeast(f64),
    AtMost(f64),
    None,
}

impl Row {
    pub(crate) fn ratio(&self) -> f64 {
        self.ours / self.theirs
    }

    pub(crate) fn budget(&self) -> Budget {
        self.budget
    }

    pub(crate) fn label(&self) -> String {
        format!("{} : {}", self.what, self.beside)
    }

    /// Whether the budget is kept; `None` without one.
    pub(crate) fn kept(&self) -> Option<bool> {
        match self.budget {
            Budget::AtLeast(least) => Some(self.ratio() >= least),
            Budget::AtMost(most) => Some(self.ratio() <= most),
            Budget::None => None,
        }
    }

    fn verdict(&self) -> String {
        let wanted = match self.budget {
            Budget::AtLeast(least) => format!("≥ {}", figure(least)),
            Budget::AtMost(most) => format!("≤ {}", figure(most)),
            Budget::None => return String::new(),
        };
        if self.kept() == Some(true) { format!("{wanted} kept") } else { format!("{wanted} **missed**") }
    }
}

/// Writes `results.md` and a picture for each measurement that has been run for real. Those that were not run since
/// keep the section that they have.
///
/// # Errors
/// When there are no results, or the folder can not be written.
pub(crate) fn publish(results: &Path, into: &Path) -> anyhow::Result<()> {
    let mut files: Vec<_> = fs::read_dir(results)
        .with_context(|| format!("{} is not there: run `cargo xtask bench` first", results.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut reports = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        let report: Report = serde_json::from_str(&text).with_context(|| format!("{} is no result", file.display()))?;
        // A smoke run says that a measurement works, and nothing else.
        if !report.smoke {
            reports.push(report);
        }
    }
    ensure!(!reports.is_empty(), "there are no results but those of smoke runs");
    fs::create_dir_all(into)?;
    let file = into.join("results.md");
    let before = fs::read_to_string(&file).unwrap_or_default();
    fs::write(file, page(&before, &reports))?;
    for report in &reports {
        fs::write(into.join(format!("{}.svg", report.name)), plot::ratios(report))?;
    }
    if let Some(picture) = plot::scaling(&reports) {
        fs::write(into.join("scaling.svg"), picture)?;
    }
    Ok(())
}

fn page(before: &str, reports: &[Report]) -> String {
    let kept = before.split("\n## ").skip(1).filter_map(|section| Some((section.lines().next()?, section.to_owned())));
    let mut sections: BTreeMap<&str, String> = kept.collect();
    sections.extend(reports.iter().map(|report| (report.name.as_str(), section(report))));
    let mut page = String::from(
        "# Results\n\nMade by `cargo xtask bench --publish` from the last full runs. The ratio is ours to theirs; \
         [performance.md](../performance.md) says what is measured and why. Figures with “(recorded)” were got before, \
         on a machine of the same kind.\n",
    );
    for section in sections.values() {
        page = page + "\n## " + section.trim_end() + "\n";
    }
    page
}

/// What stands behind the `##` of a measurement.
fn section(report: &Report) -> String {
    let Report { name, machine, rows, .. } = report;
    let Machine { cpu, cores, kernel, commit, at, load } = machine;
    let load = load.map(|load| format!(", load {load:.1} before the run")).unwrap_or_default();
    let day = at.get(..16).unwrap_or(at);
    let mut text = format!(
        "{name}\n\n{cores} × {cpu}, Linux {kernel}, commit {commit}, {day} UTC{load}.\n\n![{name}]({name}.svg)\n\n\
         | what | ours | beside | theirs | unit | ratio | budget |\n|---|--:|---|--:|---|--:|---|\n"
    );
    for row in rows {
        let Row { what, unit, beside, .. } = row;
        let (ours, theirs, ratio) = (figure(row.ours), figure(row.theirs), figure(row.ratio()));
        writeln!(text, "| {what} | {ours} | {beside} | {theirs} | {unit} | {ratio} | {} |", row.verdict())
            .expect("a String takes everything");
    }
    text
}

/// Three digits that count.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "–".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = r#"{"name":"boot_storm","smoke":SMOKE,
        "machine":{"cpu":"C & <D>","cores":2,"kernel":"6.1","commit":"abc","at":"2026-01-02T03:04:05Z"},
        "rows":[{"what":"rate, 10 hosts","unit":"req/s","ours":90.0,"beside":"nginx","theirs":100.0,"budget":{"at_least":0.8}},
                {"what":"p99, 1000 hosts","unit":"ms","ours":3.0,"beside":"nginx","theirs":1.0,"budget":{"at_most":1.5}},
                {"what":"CPU","unit":"µs","ours":3.0,"beside":"nginx","theirs":1.0,"budget":"none"}]}"#;

    #[test]
    fn results_become_a_table_and_a_picture() {
        let (results, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(results.path().join("boot_storm.json"), RESULT.replace("SMOKE", "false")).unwrap();
        publish(results.path(), into.path()).unwrap();
        let page = fs::read_to_string(into.path().join("results.md")).unwrap();
        assert!(page.contains("| rate, 10 hosts | 90.0 | nginx | 100 | req/s | 0.900 | ≥ 0.800 kept |"), "{page}");
        assert!(page.contains("| ≤ 1.50 **missed** |"), "{page}");
        let picture = fs::read_to_string(into.path().join("boot_storm.svg")).unwrap();
        assert!(picture.starts_with("<svg") && picture.contains("rate, 10 hosts : nginx"), "{picture}");
    }

    #[test]
    fn what_was_not_measured_again_keeps_its_section() {
        let (results, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let before = "# Results\n\n## answers\n\n| rate | 1 |\n\n## boot_storm\n\nof old\n";
        fs::write(into.path().join("results.md"), before).unwrap();
        fs::write(results.path().join("boot_storm.json"), RESULT.replace("SMOKE", "false")).unwrap();
        publish(results.path(), into.path()).unwrap();
        let page = fs::read_to_string(into.path().join("results.md")).unwrap();
        assert!(page.contains("\n## answers\n\n| rate | 1 |\n\n## boot_storm\n\n2 × C"), "{page}");
        assert!(!page.contains("of old"), "{page}");
        publish(results.path(), into.path()).unwrap();
        assert_eq!(fs::read_to_string(into.path().join("results.md")).unwrap(), page, "twice is once");
    }

    #[test]
    fn smoke_runs_are_not_published() {
        let (results, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(results.path().join("boot_storm.json"), RESULT.replace("SMOKE", "true")).unwrap();
        assert!(publish(results.path(), into.path()).is_err());
        assert!(!into.path().join("results.md").exists());
    }
}
