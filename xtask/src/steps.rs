//! The checks as a table, in the order in which they run: cheap ones first.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::run::TestArgs;
use crate::shell::{Shell, find_program};
use crate::{api_fuzz, book, browser, deb, docker, lab, purity, setup};

/// What became of a step that did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Passed,
    /// Not checked, and why.
    LeftOut(String),
}

/// One check.
pub(crate) struct Step {
    /// How `--only` names it.
    pub(crate) name: &'static str,
    /// What `--list` says about it.
    pub(crate) about: &'static str,
    /// Whether `--fast` keeps it.
    pub(crate) fast: bool,
    pub(crate) check: fn(&Shell, &TestArgs) -> anyhow::Result<Done>,
}

/// All checks, in order.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "setup", about: "what the checks need is installed", fast: true, check: set_up },
    Step { name: "format", about: "rustfmt has nothing to change", fast: true, check: format },
    Step { name: "scripts", about: "shellcheck finds nothing in the shell scripts", fast: true, check: scripts },
    Step { name: "clippy", about: "clippy, all targets and features, warnings denied", fast: true, check: clippy },
    Step { name: "features", about: "each feature builds without the others", fast: false, check: features },
    Step { name: "purity", about: "the core builds bare and depends on no I/O", fast: true, check: pure_core },
    Step { name: "docs", about: "rustdoc, warnings denied", fast: false, check: docs },
    Step { name: "tests", about: "all tests, by nextest", fast: true, check: tests },
    Step { name: "browser", about: "the dashboard in Chromium, with simulated machines", fast: false, check: browser },
    Step { name: "doctests", about: "the examples in the documentation", fast: false, check: doctests },
    Step { name: "examples", about: "each program in examples/ runs to its end", fast: false, check: examples },
    Step {
        name: "book",
        about: "the book's commands do what it says, and it can be built",
        fast: false,
        check: the_book,
    },
    Step { name: "lab", about: "a BIOS and a UEFI machine netboot and become ready", fast: false, check: in_lab },
    Step { name: "api", about: "schemathesis finds the API as its document says", fast: false, check: api },
    Step { name: "docker", about: "the image is built, run, restarted and upgraded", fast: false, check: image },
    Step {
        name: "package",
        about: "the Debian package is installed, upgraded and purged",
        fast: false,
        check: package,
    },
    Step { name: "deny", about: "licences, sources and banned crates, by cargo-deny", fast: false, check: deny },
    Step { name: "advisories", about: "known holes in crates, by cargo-deny", fast: false, check: advisories },
    Step {
        name: "unit",
        about: "what the systemd units leave open, and whether they are in order",
        fast: false,
        check: unit,
    },
    Step {
        name: "alerts",
        about: "Prometheus takes the alerts, and each fires when it is to",
        fast: false,
        check: alerts,
    },
];

fn set_up(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    setup::run(shell)?;
    Ok(Done::Passed)
}

fn format(shell: &Shell, args: &TestArgs) -> anyhow::Result<Done> {
    if args.fix {
        shell.cargo(&["fmt", "--all"])?;
    }
    shell.cargo(&["fmt", "--all", "--check"])?;
    Ok(Done::Passed)
}

fn clippy(shell: &Shell, args: &TestArgs) -> anyhow::Result<Done> {
    let what = ["--workspace", "--all-targets", "--all-features", "--locked"];
    if args.fix {
        shell.cargo(&[&["clippy", "--fix", "--allow-dirty", "--allow-staged"], &what[..]].concat())?;
        shell.cargo(&["fmt", "--all"])?;
    }
    shell.cargo(&[&["clippy"], &what[..], &["--", "-D", "warnings"]].concat())?;
    Ok(Done::Passed)
}

fn scripts(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    let mut found = vec![shell.root().join(".ci/run")];
    collect_scripts(shell.root(), &mut found)?;
    let names: Vec<&str> = found
        .iter()
        .map(|file| file.to_str().context("a script's path is not UTF-8"))
        .collect::<anyhow::Result<_>>()?;
    shell.run("shellcheck", &names, &[])?;
    Ok(Done::Passed)
}

/// Adds the `*.sh` files below `folder`; what is built or hidden is left out.
fn collect_scripts(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in entries(folder)? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if entry.is_dir() {
            if !(name.starts_with('.') || name == "target" || name == "node_modules") {
                collect_scripts(&entry, found)?;
            }
        } else if entry.extension().is_some_and(|ext| ext == "sh") {
            found.push(entry);
        }
    }
    Ok(())
}

fn features(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    let adapters = "provisioning-adapters";
    let manifest = shell.root().join(adapters).join("Cargo.toml");
    let manifest = fs::read_to_string(&manifest).with_context(|| format!("{} is unreadable", manifest.display()))?;
    let bare = ["--no-default-features", "--locked"];
    for feature in feature_names(&manifest) {
        shell.cargo(&[&["check", "-p", adapters, "--features", feature], &bare[..]].concat())?;
    }
    // The server can be built without its demo, and then without the simulator.
    shell.cargo(&[&["check", "-p", "provisioning-server"], &bare[..]].concat())?;
    Ok(Done::Passed)
}

/// The keys of a manifest's `[features]` table, without `default`.
fn feature_names(manifest: &str) -> Vec<&str> {
    let table = manifest.lines().skip_while(|line| line.trim() != "[features]").skip(1);
    let keys = table
        .take_while(|line| !line.starts_with('['))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphanumeric()))
        .filter_map(|line| line.split_once('=').map(|(key, _)| key.trim()));
    keys.filter(|key| *key != "default").collect()
}

fn pure_core(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    purity::check(shell)?;
    Ok(Done::Passed)
}

fn docs(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    let args = ["doc", "--workspace", "--no-deps", "--all-features", "--locked"];
    shell.cargo_with(&args, &[("RUSTDOCFLAGS", "-D warnings")])?;
    Ok(Done::Passed)
}

fn tests(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    shell.cargo(&["nextest", "run", "--workspace", "--all-features", "--locked", "--profile", "ci"])?;
    Ok(Done::Passed)
}

fn browser(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    browser::run(shell)?;
    Ok(Done::Passed)
}

fn doctests(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    shell.cargo(&["test", "--doc", "--workspace", "--all-features", "--locked"])?;
    Ok(Done::Passed)
}

fn examples(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    let programs = entries(&shell.root().join("examples"))?;
    let programs = programs.iter().filter(|file| file.extension().is_some_and(|ext| ext == "rs"));
    for name in programs.filter_map(|file| file.file_stem()?.to_str()) {
        shell.cargo(&["run", "--locked", "--quiet", "-p", "examples", "--example", name])?;
    }
    Ok(Done::Passed)
}

fn the_book(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    match book::run(shell, &book::BookArgs::default())? {
        None => Ok(Done::Passed),
        Some(why) if is_ci(std::env::var("CI").ok().as_deref()) => {
            bail!("the machine that checks changes must be able to run the book's commands: {why}")
        }
        Some(why) => Ok(Done::LeftOut(why)),
    }
}

fn in_lab(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    if let Some(why) = impossible(lab::why_impossible())? {
        return Ok(Done::LeftOut(why));
    }
    lab::run(shell, &lab::LabArgs::default())?;
    Ok(Done::Passed)
}

/// Passes on why a step cannot run here, where that may be.
fn impossible(why: Option<String>) -> anyhow::Result<Option<String>> {
    match why {
        Some(why) if is_ci(std::env::var("CI").ok().as_deref()) => {
            bail!("the machine that checks changes must be able to run this step: {why}")
        }
        why => Ok(why),
    }
}

/// Whether the variable `CI` says that this is the machine that checks each change.
fn is_ci(variable: Option<&str>) -> bool {
    variable.is_some_and(|value| !["", "0", "false"].contains(&value))
}

fn api(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    api_fuzz::check(shell)?;
    Ok(Done::Passed)
}

fn image(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    if let Some(why) = impossible(docker::why_impossible())? {
        return Ok(Done::LeftOut(why));
    }
    docker::run(shell, &docker::DockerArgs::default())?;
    Ok(Done::Passed)
}

fn package(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    if let Some(why) = impossible(docker::why_impossible())? {
        return Ok(Done::LeftOut(why));
    }
    deb::run(shell, &deb::DebArgs::default())?;
    Ok(Done::Passed)
}

fn deny(shell: &Shell, args: &TestArgs) -> anyhow::Result<Done> {
    if !shell.has_cargo_subcommand("deny") {
        if !args.deny {
            let why = "cargo-deny is not installed; `cargo xtask test --deny` installs it first (some 8 minutes)";
            return Ok(Done::LeftOut(why.to_owned()));
        }
        shell.cargo(&["install", "cargo-deny", "--locked"])?;
    }
    // Offline, cargo-deny still reads the manifests of crates that only other systems build.
    shell.cargo(&["fetch", "--locked"])?;
    shell.cargo(&["deny", "--offline", "--locked", "check", "bans", "licenses", "sources"])?;
    Ok(Done::Passed)
}

/// Needs a network, which not every machine has: where the database cannot be fetched, that is said and not skipped over.
fn advisories(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    if !shell.has_cargo_subcommand("deny") {
        let why = "KNOWN HOLES WERE NOT LOOKED FOR: cargo-deny is not installed; `cargo xtask test --deny` does that";
        return Ok(Done::LeftOut(why.to_owned()));
    }
    if let Err(error) = shell.cargo(&["deny", "--locked", "fetch", "db"]) {
        let why = format!("KNOWN HOLES WERE NOT LOOKED FOR: the database of advisories cannot be fetched ({error})");
        return Ok(Done::LeftOut(why));
    }
    shell.cargo(&["deny", "--locked", "check", "--disable-fetch", "advisories"])?;
    Ok(Done::Passed)
}

/// The most that `systemd-analyze security` may find open, from 0 (nothing) to 10.
const EXPOSURE_MAX: &str = "30";

/// What stands in `deploy/` for systemd.
const UNITS: [&str; 2] = ["provisioning.service", "provisioning.socket"];

fn unit(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    if find_program("systemd-analyze").is_none() {
        return Ok(Done::LeftOut("systemd-analyze is not on this machine".to_owned()));
    }
    // The threshold is given in tenths.
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let unit = "deploy/provisioning.service";
    shell.run("systemd-analyze", &["security", "--offline=true", "--no-pager", &threshold, unit], &[])?;
    let folder = shell.root().join("target/units");
    fs::create_dir_all(&folder)?;
    for name in UNITS {
        let text = fs::read_to_string(shell.root().join("deploy").join(name))?;
        // Only units whose programs are there are in order, and ours need not be installed.
        fs::write(folder.join(name), text.replace("/usr/bin/provisioning ", "/bin/true "))?;
    }
    for name in UNITS {
        let copy = format!("target/units/{name}");
        shell.run("systemd-analyze", &["verify", "--man=no", &copy], &[])?;
    }
    Ok(Done::Passed)
}

/// Names and labels are checked by the server's own tests; what the rules make of figures, by Prometheus alone.
fn alerts(shell: &Shell, _: &TestArgs) -> anyhow::Result<Done> {
    if find_program("promtool").is_none() {
        let why =
            "THE ALERTS WERE NOT TRIED: promtool is not on this machine (Debian has it in the package prometheus)";
        return Ok(Done::LeftOut(why.to_owned()));
    }
    shell.run("promtool", &["check", "rules", "deploy/prometheus-alerts.yaml"], &[])?;
    shell.run("promtool", &["test", "rules", "deploy/prometheus-alerts.test.yaml"], &[])?;
    Ok(Done::Passed)
}

/// A folder's entries, sorted, so that each run does the same in the same order.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = fs::read_dir(folder).with_context(|| format!("{} is unreadable", folder.display()))?;
    let mut entries: Vec<PathBuf> = read.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    entries.sort();
    if entries.is_empty() {
        bail!("{} is empty", folder.display());
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_names_are_unique() {
        let mut names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }

    #[test]
    fn the_variable_ci_counts_unless_it_says_no() {
        assert!(is_ci(Some("true")) && is_ci(Some("1")));
        assert!(!is_ci(None) && !is_ci(Some("false")) && !is_ci(Some("")));
    }

    #[test]
    fn features_are_read_from_their_table_only() {
        let manifest = "[package]\nname = \"x\"\n[features]\ndefault = []\n# why\nsqlite = [\"dep:a\"]\nssh = [\n    \"dep:b\",\n]\n\n[dependencies]\nserde = \"1\"\n";
        assert_eq!(feature_names(manifest), ["sqlite", "ssh"]);
    }

    #[test]
    fn the_adapters_have_features_to_build_alone() {
        let manifest = include_str!("../../provisioning-adapters/Cargo.toml");
        assert!(feature_names(manifest).contains(&"sqlite"));
    }

    #[test]
    fn the_rules_of_each_tool_are_in_the_root() {
        for file in ["clippy.toml", "deny.toml", "rustfmt.toml", ".config/nextest.toml", ".ci/run"] {
            assert!(Shell::at_workspace_root().root().join(file).is_file(), "{file} is missing");
        }
    }
}
