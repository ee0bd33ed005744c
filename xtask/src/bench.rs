//! `cargo xtask bench`: measurements beside peers, on the release build; a smoke run shows that they still work.

use std::path::Path;

use anyhow::ensure;

use crate::results;
use crate::shell::Shell;

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Which measurements; all of them when none is named
    names: Vec<String>,
    /// A fraction of a second each, on the unoptimised build: shows that they run, judges nothing
    #[arg(long)]
    smoke: bool,
    /// Measure nothing: write the last results as tables and pictures below docs/performance/
    #[arg(long)]
    publish: bool,
    /// Print the names and stop
    #[arg(long)]
    list: bool,
}

const EXAMPLES: &str = "\
Each prints a table and writes target/bench/NAME.json. A missed budget makes the exit status 1. Let the machine do
nothing else meanwhile; figures of shared machines move by tens of percent, ratios less.

Examples:
  cargo xtask bench                       all: some 15 minutes
  cargo xtask bench stream boot_storm     two of them
  cargo xtask bench --smoke               whether they still run: a minute
  cargo xtask bench --publish             the last results into docs/performance/";

/// Builds the server, and runs the measurements one after the other.
///
/// # Errors
/// When a name is unknown, a build or a measurement fails, or a budget is missed.
pub(crate) fn run(shell: &Shell, args: &BenchArgs) -> anyhow::Result<()> {
    let all = names(include_str!("../../benches/Cargo.toml"));
    if args.list {
        return say(&all);
    }
    if args.publish {
        let root = shell.root();
        return results::publish(&root.join("target/bench"), &root.join("docs/performance"));
    }
    for name in &args.names {
        ensure!(all.contains(&name.as_str()), "there is no measurement {name:?}; there are {}", all.join(", "));
    }
    let chosen: Vec<&str> = if args.names.is_empty() { all } else { args.names.iter().map(String::as_str).collect() };
    let profile = if args.smoke { "dev" } else { "release" };
    shell.cargo(&["build", "--locked", "--profile", profile, "-p", "provisioning-server", "--bin", "provisioning"])?;
    let folder = if args.smoke { "debug" } else { "release" };
    let program = target_folder(shell.root()).join(folder).join("provisioning");
    let program = program.display().to_string();
    let mut env = vec![("BENCH_PROGRAM", program.as_str())];
    env.extend(args.smoke.then_some(("BENCH_SMOKE", "1")));
    let profile = if args.smoke { "dev" } else { "bench" };
    let mut missed = Vec::new();
    for name in chosen {
        let command = ["bench", "--locked", "--profile", profile, "-p", "benches", "--bench", name];
        if shell.cargo_with(&command, &env).is_err() {
            missed.push(name);
        }
    }
    ensure!(missed.is_empty(), "failed, or over a budget: {}", missed.join(", "));
    Ok(())
}

#[expect(clippy::print_stdout, clippy::unnecessary_wraps, reason = "the list is what was asked for")]
fn say(names: &[&str]) -> anyhow::Result<()> {
    println!("{}", names.join("\n"));
    Ok(())
}

/// Where cargo builds to.
fn target_folder(root: &Path) -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), std::path::PathBuf::from)
}

/// The names in the `[[bench]]` tables of a manifest.
fn names(manifest: &str) -> Vec<&str> {
    let tables = manifest.split("[[bench]]").skip(1);
    tables.filter_map(|table| line_value(table, "name")).collect()
}

fn line_value<'a>(table: &'a str, key: &str) -> Option<&'a str> {
    let line = table.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim_start().strip_prefix('=')?.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measurement_is_a_file_and_every_file_a_measurement() {
        let mut named = names(include_str!("../../benches/Cargo.toml"));
        named.sort_unstable();
        let folder = std::fs::read_dir(Shell::at_workspace_root().root().join("benches")).expect("the folder is there");
        let files = folder.map(|entry| entry.expect("an entry is readable").path());
        let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
        let stem = |file: std::path::PathBuf| file.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut files: Vec<String> = files.map(stem).collect();
        files.sort_unstable();
        assert_eq!(named, files);
    }
}
