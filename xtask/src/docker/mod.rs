//! `cargo xtask docker`: builds the image, runs it by docker-compose on an engine of its own, and brings simulated hosts to
//! ready on it.

pub(crate) mod base;
mod engine;
mod image;
mod site;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use self::engine::Engine;
use self::image::Program;
use self::site::Site;
use crate::setup::{Package, is_root};
use crate::shell::{Shell, find_program};

pub(crate) use self::engine::{printed, succeed};

/// What is installed for this check and for that of the package.
pub(crate) const PACKAGES: &[Package] = &[
    Package { name: "docker.io", program: "dockerd", reason: "runs the image in an engine of its own" },
    Package { name: "docker-compose", program: "docker-compose", reason: "runs the image as operators do" },
    Package { name: "debootstrap", program: "debootstrap", reason: "makes the base image and the package's test root" },
    Package { name: "binutils", program: "strip", reason: "strips the program of the image" },
];

/// The images' names, and the versions on their labels: of today, and of an upgrade.
const TODAY: (&str, &str) = ("provisioning:check", "0.1.0");
const NEXT: (&str, &str) = ("provisioning:check-next", "0.1.1");
/// How many hosts come to ready.
const HOSTS: &str = "3";

const EXAMPLES: &str = "\
It starts a Docker engine of its own, makes the base image by debootstrap, and takes all of it down again. Images and the
base are kept below target/docker, so that the next run takes less time. It needs root.

Examples:
  cargo xtask docker                      with the program as it is built for tests
  cargo xtask docker --release            with the program as it is released: judges the image's whole size
  cargo xtask docker --program FILE       with a program that was built elsewhere";

/// Which program the image holds.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DockerArgs {
    /// Build the program as it is released; takes minutes
    #[arg(long)]
    release: bool,
    /// Take this `provisioning` program, as it is released, instead of building one
    #[arg(long, value_name = "FILE", conflicts_with = "release")]
    program: Option<PathBuf>,
}

/// Why the check can not run on this machine whatever is installed; `None` when it can.
pub(crate) fn why_impossible() -> Option<String> {
    if !is_root() {
        return Some("a Docker engine of the check's own, and debootstrap, take root".to_owned());
    }
    if find_program("apt-get").is_none() {
        return Some("the image's base is made of Debian packages, and there is no apt-get".to_owned());
    }
    let mut namespace = Command::new("unshare");
    namespace.args(["--mount", "--pid", "--fork", "true"]).stdin(Stdio::null()).stderr(Stdio::null());
    if !namespace.status().is_ok_and(|status| status.success()) {
        return Some("containers take namespaces, and `unshare --mount --pid --fork true` fails here".to_owned());
    }
    None
}

/// Why the check can not run now, and what to do.
pub(crate) fn what_is_missing() -> Option<String> {
    why_impossible().or_else(|| {
        let absent = PACKAGES.iter().find(|package| !package.is_there())?;
        Some(format!("{} is missing ({}): run `cargo xtask setup`", absent.name, absent.reason))
    })
}

/// Builds the image and puts it through an operator's life: install, run, import, provision, restart, upgrade.
///
/// # Errors
/// When the machine lacks something, or the image is not what it must be.
pub(crate) fn run(shell: &Shell, args: &DockerArgs) -> anyhow::Result<()> {
    if let Some(missing) = what_is_missing() {
        bail!("{missing}");
    }
    let (program, simulator) = programs(shell, args)?;
    let engine = Engine::start(shell)?;
    image::import_base(shell, &engine)?;
    for (tag, version) in [TODAY, NEXT] {
        image::build(shell, &engine, &program, tag, version)?;
    }
    image::judge(&engine, TODAY.0, TODAY.1, &program)?;

    let site = Site::install(shell, &engine, TODAY.0)?;
    let lived = live(&site, &simulator);
    // Whatever happened: a container would be started again with the next engine.
    let down = site.down();
    lived?;
    down?;
    if !site.has_data() {
        bail!("docker-compose down took the data with it");
    }
    Ok(())
}

fn live(site: &Site<'_>, simulator: &std::path::Path) -> anyhow::Result<()> {
    site.up()?;
    site.is_confined()?;
    site.import_image(simulator)?;
    site.fleet(simulator, HOSTS)?;
    let before = site.memory()?;
    if before.0.matches("\"ready\"").count() < 3 {
        bail!("not all hosts are ready: {}", before.0);
    }
    site.restart()?;
    if site.memory()? != before {
        bail!("the restart changed hosts or images: {before:?} became {:?}", site.memory()?);
    }
    site.upgrade(NEXT.0)?;
    if site.memory()? != before {
        bail!("the upgrade changed hosts or images: {before:?} became {:?}", site.memory()?);
    }
    println!("hosts and images are the same after a restart and after an upgrade");
    Ok(())
}

/// The program for the image, and the simulator.
fn programs(shell: &Shell, args: &DockerArgs) -> anyhow::Result<(Program, PathBuf)> {
    shell.cargo(&["build", "--workspace", "--all-features", "--locked", "--bins"])?;
    // Beside this very tool, whatever its profile: so that a check builds things once.
    let own = std::env::current_exe().context("this program does not know where it stands")?;
    let (built, is_release) = match &args.program {
        Some(program) => (program.canonicalize().with_context(|| program.display().to_string())?, true),
        None if args.release => {
            shell.cargo(&["build", "--release", "--locked", "-p", "provisioning-server", "--bin", "provisioning"])?;
            (shell.target().join("release/provisioning"), true)
        }
        None => (own.with_file_name("provisioning"), false),
    };
    Ok((Program::stripped(shell, &built, is_release)?, own.with_file_name("provisioning-sim")))
}
