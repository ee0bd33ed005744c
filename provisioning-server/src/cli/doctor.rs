//! `provisioning doctor`

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::failure::{Failure, Trouble};
use super::table;
use crate::doctor::{Check, Report, Scope, State, examine};

pub(super) const HELP: &str = "Exit codes:
  0  everything is in order
  1  there are warnings
  2  something is wrong

Examples:
  provisioning doctor
  provisioning doctor --lan --online
  provisioning doctor --quick --json | jq '.checks[] | select(.state != \"ok\")'";

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct DoctorArgs {
    /// The configuration; without it as `serve` finds it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do not read images through to compare their checksums.
    #[arg(long)]
    quick: bool,
    /// Ask on pxe.interface which DHCP servers there are, though pxe.enabled is false.
    #[arg(long)]
    lan: bool,
    /// Ask the cluster's member and the inventory service.
    #[arg(long)]
    online: bool,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: DoctorArgs) -> anyhow::Result<()> {
    let progress = ProgressBar::new(0);
    progress.set_style(ProgressStyle::with_template("reading images {wide_bar} {bytes}/{total_bytes} {eta}")?);
    let scope = Scope { quick: args.quick, lan: args.lan, online: args.online };
    let report = examine(super::load(args.config.as_deref()), scope, &progress).await;
    progress.finish_and_clear();
    if args.json {
        table::print_json(&serde_json::to_value(&report)?)?;
    } else {
        print(&report)?;
    }
    let count = |state, one: &str| match report.count(state) {
        0 => None,
        1 => Some(format!("1 {one}")),
        more => Some(format!("{more} {one}s")),
    };
    let found = [count(State::Failed, "fault"), count(State::Warning, "warning")];
    let found = found.into_iter().flatten().collect::<Vec<_>>().join(" and ");
    match report.state {
        State::Skipped | State::Ok => Ok(()),
        State::Warning => Err(Failure::new(Trouble::Doubtful, found).into()),
        State::Failed => Err(Failure::new(Trouble::Faulty, found).into()),
    }
}

fn print(report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for Check { name, state, found, what_to_do } in &report.checks {
        writeln!(out, "{:<8} {name:<16} {}", state.as_str(), found.replace('\n', "\n                          "))?;
        if let Some(what_to_do) = what_to_do {
            writeln!(out, "                          → {what_to_do}")?;
        }
    }
    Ok(())
}
