//! `provisioning-sim world`: many seeds on all cores, a summary, and for a broken rule the way to see it again.

#![expect(clippy::print_stdout, reason = "a command line speaks on its standard output")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use anyhow::Context as _;

use super::fault::Level;
use super::options::Options;
use super::plant::Plant;
use super::report::{Outcome, Statistics};
use super::run::run as run_world;

/// Examples for the help text.
pub const EXAMPLES: &str = "\
Examples:
  provisioning-sim world --seed 7 --events          one run, a line for each event
  provisioning-sim world --runs 1000                seeds 1 to 1000 on all cores
  provisioning-sim world --runs 1000 --save bad.json
  provisioning-sim world --replay bad.json --events

The exit status is 0 only when no rule was broken.";

/// Options of the command.
#[derive(Clone, Debug, clap::Args)]
pub struct WorldArgs {
    /// The first seed: it decides everything
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds to run
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// How many hosts
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=500))]
    hosts: u16,
    /// Hours of trouble before everything heals
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    hours: u32,
    /// How much goes wrong
    #[arg(long, value_enum, default_value_t = Level::Heavy)]
    faults: Level,
    /// The process dies when it passes this point, counted from 1
    #[arg(long, value_name = "POINT")]
    crash_at: Option<u64>,
    /// Run what a file says that --save wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "runs", "hosts", "hours", "faults", "crash_at"])]
    replay: Option<PathBuf>,
    /// Write the options of the first run that breaks a rule into a file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print one line per event
    #[arg(long)]
    events: bool,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or written.
pub fn run(args: &WorldArgs) -> anyhow::Result<ExitCode> {
    let first = match &args.replay {
        Some(file) => read(file)?,
        None => Options {
            seed: args.seed,
            hosts: args.hosts,
            hours: args.hours,
            faults: args.faults,
            scheduled: vec![],
            crash_at: args.crash_at,
        },
    };
    let runs = if args.replay.is_some() { 1 } else { args.runs };
    println!("world {first} --runs {runs}");
    let begun = Instant::now();
    let (done, total, broken) = run_all(&first, runs, args.events);
    summary(done, &total, begun.elapsed().as_secs_f64());
    let Some(broken) = broken else { return Ok(ExitCode::SUCCESS) };
    println!("{broken}");
    if let Some(file) = &args.save {
        write(file, &broken.options)?;
        println!("   or: cargo run --release -p provisioning-sim -- world --replay {} --events", file.display());
    }
    Ok(ExitCode::FAILURE)
}

/// Runs seeds on all cores until one breaks a rule; of several that do, the lowest counts.
fn run_all(first: &Options, runs: u64, events: bool) -> (u64, Statistics, Option<Outcome>) {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (tell, told) = mpsc::channel::<Outcome>();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (tell, next, stop) = (tell.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    if index >= runs {
                        return;
                    }
                    let options = Options { seed: first.seed.wrapping_add(index), ..first.clone() };
                    let outcome = run_world(options, Plant::default());
                    stop.fetch_or(outcome.broken.is_some(), Ordering::SeqCst);
                    // The receiver lives as long as this scope.
                    tell.send(outcome).ok();
                }
            });
        }
        drop(tell);
        let (mut done, mut total, mut broken) = (0, Statistics::default(), None::<Outcome>);
        for outcome in told {
            done += 1;
            total.add(&outcome.statistics);
            if events {
                outcome.events().iter().for_each(|line| println!("{line}"));
            }
            if outcome.broken.is_some() && broken.as_ref().is_none_or(|b| outcome.options.seed < b.options.seed) {
                broken = Some(outcome);
            }
        }
        (done, total, broken)
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn summary(done: u64, total: &Statistics, seconds: f64) {
    let Statistics { operations, lives, failures, joins, commits, points, faults } = total;
    println!("runs        {done} in {seconds:.1} s, {:.1} seeds/s", done as f64 / seconds);
    println!("operations  {operations}: {lives} became ready, {failures} failed and were explained");
    println!("joins       {joins}");
    println!("commits     {commits}, {points} calls of ports begun or ended");
    println!("faults      {}", faults.values().sum::<u64>());
    for (kind, count) in faults {
        println!("  {count:>8}  {kind}");
    }
}

fn read(file: &Path) -> anyhow::Result<Options> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} does not hold the options of a run", file.display()))
}

fn write(file: &Path, options: &Options) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(options).context("options are always JSON")?;
    std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}
