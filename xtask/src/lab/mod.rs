//! `cargo xtask lab`: real firmware boots from the real server, in a network of its own on this machine.
//!
//! The doubles that stand in for Proxmox' installer, an installed node and a cluster's member are the scripts below
//! `xtask/lab/`; what they must be like is `reference/netboot.md`, `pxe-boot.md` and `cluster-join.md`.

mod api;
mod cases;
mod console;
mod footprint;
mod images;
mod lan;
mod life;
mod machine;
mod member;
mod requirements;
mod server;
mod service;
mod site;
mod story;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::cases::Case;
use self::footprint::Footprint;
use self::images::Images;
use self::site::{Settings, Site};
use self::story::{Outcome, Story};
use crate::shell::Shell;

pub(crate) use self::requirements::{PACKAGES, what_is_missing, why_impossible};

const EXAMPLES: &str = "\
It needs root, network namespaces and /dev/net/tun, and builds all that its machines boot from Debian packages (once;
kept below target/lab). Nothing of it is left when it ends, however it ends; the consoles of a case that failed are
kept, and their folder is printed.

Examples:
  cargo xtask lab                         one machine with BIOS and one with UEFI, from power-on to ready
  cargo xtask lab all                     all cases
  cargo xtask lab http two-nics           these two
  cargo xtask lab uefi --keep-consoles    look at what the machine printed although all went well";

/// What to try.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LabArgs {
    /// Cases by name, or `all`; `bios uefi` when none is named
    #[arg(value_name = "CASE", value_parser = case_names())]
    cases: Vec<String>,
    /// Print the cases and run none
    #[arg(long)]
    list: bool,
    /// Machines that run at the same time; each takes a core and 1 GiB of memory
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    parallel: u8,
    /// Try this `provisioning` program instead of building one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Run machines by KVM instead of by translation; OVMF does not start on every KVM
    #[arg(long)]
    kvm: bool,
    /// Keep the consoles of cases that passed, too
    #[arg(long)]
    keep_consoles: bool,
}

impl Default for LabArgs {
    fn default() -> Self {
        Self { cases: vec![], list: false, parallel: 2, program: None, kvm: false, keep_consoles: false }
    }
}

fn case_names() -> clap::builder::PossibleValuesParser {
    cases::CASES.iter().map(|case| case.name).chain(["all"]).collect::<Vec<_>>().into()
}

/// Runs the cases that were asked for and ends with a table of how long each took.
///
/// # Errors
/// When the machine lacks something, or a case fails.
pub(crate) fn run(shell: &Shell, args: &LabArgs) -> anyhow::Result<()> {
    let cases = chosen(&args.cases);
    if args.list {
        for case in cases::CASES {
            println!("{:<14}{}", case.name, case.about);
        }
        return Ok(());
    }
    if let Some(missing) = what_is_missing() {
        bail!("{missing}");
    }
    let program = match &args.program {
        Some(program) => program.canonicalize().with_context(|| program.display().to_string())?,
        None => build_server(shell)?,
    };
    let images = Images::ready(shell)?;
    footprint::remove_stale()?;
    let footprint = Footprint::leave()?;
    let bench = Arc::new(Bench {
        program,
        scripts: shell.root().join("xtask/lab"),
        images,
        kvm: args.kvm,
        machines: Semaphore::new(args.parallel.into()),
        begun: Instant::now(),
        kept: shell.root().join("target/lab/consoles"),
        keep_consoles: args.keep_consoles,
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcomes = runtime.block_on(until_signalled(all(&bench, &footprint, &cases)));
    drop(runtime);
    footprint.remove()?;
    let outcomes = outcomes??;
    print!("\n{}", story::table(&outcomes, bench.begun.elapsed()));
    let failed: Vec<&str> = outcomes.iter().filter(|o| o.error.is_some()).map(|o| o.case).collect();
    if !failed.is_empty() {
        bail!("failed: {}; repeat with `cargo xtask lab {0}`", failed.join(" "));
    }
    Ok(())
}

/// What all cases use.
pub(crate) struct Bench {
    /// The `provisioning` program.
    program: PathBuf,
    /// The folder of the doubles.
    scripts: PathBuf,
    images: Images,
    kvm: bool,
    /// A permit for each machine that may run at the same time.
    machines: Semaphore,
    begun: Instant,
    /// Where the consoles of failed cases are kept.
    kept: PathBuf,
    keep_consoles: bool,
}

fn chosen(names: &[String]) -> Vec<&'static Case> {
    let wanted = |case: &&Case| match names {
        [] => ["bios", "uefi"].contains(&case.name),
        names => names.iter().any(|name| name == "all" || name == case.name),
    };
    cases::CASES.iter().filter(wanted).collect()
}

/// The one that was built with this very tool's profile, so that a check builds the server once.
fn build_server(shell: &Shell) -> anyhow::Result<PathBuf> {
    shell.cargo(&["build", "--locked", "-p", "provisioning-server", "--bin", "provisioning"])?;
    let own = std::env::current_exe().context("this program does not know where it stands")?;
    let program = own.with_file_name("provisioning");
    if !program.is_file() {
        bail!("cargo built the server, but there is no {}", program.display());
    }
    Ok(program)
}

/// Sites one after the other, the cases of a site side by side.
async fn all(bench: &Arc<Bench>, footprint: &Footprint, cases: &[&'static Case]) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = vec![];
    for settings in Settings::ALL {
        let here: Vec<&'static Case> = cases.iter().filter(|case| case.settings == settings).copied().collect();
        if here.is_empty() {
            continue;
        }
        let site = Arc::new(Site::start(bench, footprint, settings).await?);
        let mut running = JoinSet::new();
        for case in here {
            running.spawn(play(Arc::clone(bench), Arc::clone(&site), case));
        }
        while let Some(outcome) = running.join_next().await {
            outcomes.push(outcome.context("a case panicked")?);
        }
        site.stop().await?;
    }
    Ok(outcomes)
}

async fn play(bench: Arc<Bench>, site: Arc<Site>, case: &'static Case) -> Outcome {
    let _permit = bench.machines.acquire().await.expect("the semaphore is never closed");
    let story = Story::begin(case.name);
    let done = (case.play)(&site, &story).await;
    match &done {
        Ok(()) => story.tell("passed"),
        Err(error) => story.tell(format!("FAILED: {error:#}")),
    }
    if done.is_err() || bench.keep_consoles {
        match site.keep_consoles(case.name, &bench.kept) {
            Ok(folder) => story.tell(format!("consoles and logs are in {}", folder.display())),
            Err(error) => story.tell(format!("consoles and logs are lost: {error:#}")),
        }
    }
    Outcome::new(case.name, story.elapsed(), done)
}

/// Gives up on SIGINT, SIGTERM and SIGHUP, so that what the lab made is removed.
async fn until_signalled<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        biased;
        _ = interrupt.recv() => bail!("interrupted; what the lab made is removed"),
        _ = terminate.recv() => bail!("told to stop; what the lab made is removed"),
        _ = hang_up.recv() => bail!("the terminal is gone; what the lab made is removed"),
        done = work => Ok(done),
    }
}
