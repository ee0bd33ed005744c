//! A Docker engine of the check's own: it touches no image and no container of the machine's, and ends with the check.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::shell::{Shell, find_program};

/// How long the engine may take to answer, and to end.
const START_TIME_MAX: Duration = Duration::from_secs(30);
const STOP_TIME_MAX: Duration = Duration::from_secs(20);
/// How often it is looked whether something has come to be.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A running engine.
pub(crate) struct Engine {
    daemon: Child,
    /// Its socket, pid file and the state of what runs: short of path, since a socket's path holds 107 characters.
    run_dir: PathBuf,
    host: String,
    docker: PathBuf,
    compose: Vec<PathBuf>,
}

impl Engine {
    /// Starts it. What it builds is kept below `target/docker/engine`, so that the next check builds less.
    pub(crate) fn start(shell: &Shell) -> anyhow::Result<Self> {
        let data = shell.target().join("docker/engine");
        fs::create_dir_all(&data).with_context(|| data.display().to_string())?;
        let run_dir = env::temp_dir().join(format!("provisioning-docker-{}", std::process::id()));
        fs::create_dir_all(&run_dir).with_context(|| run_dir.display().to_string())?;
        let host = format!("unix://{}/engine.sock", run_dir.display());
        let log = run_dir.join("log");
        let mut daemon = Command::new(find_program("dockerd").context("there is no dockerd")?);
        daemon.arg("--host").arg(&host).arg("--data-root").arg(&data);
        daemon.arg("--exec-root").arg(run_dir.join("exec")).arg("--pidfile").arg(run_dir.join("pid"));
        // Containers share the machine's network; no bridge and no firewall rule is made for them.
        daemon.args(["--bridge", "none", "--iptables=false"]).stdin(Stdio::null());
        daemon.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        println!("$ dockerd --host {host} --data-root {} …", data.display());
        let daemon = daemon.spawn().context("dockerd could not be started")?;
        let docker = find_program("docker").context("there is no docker")?;
        let mut engine = Self { daemon, run_dir, host, docker, compose: compose_program()? };
        let begun = Instant::now();
        while engine.output(["version", "--format", "{{.Server.Version}}"]).is_err() {
            if let Some(status) = engine.daemon.try_wait()? {
                bail!("dockerd ended with {status}:\n{}", last_lines(&log));
            }
            if begun.elapsed() > START_TIME_MAX {
                bail!("dockerd does not answer:\n{}", last_lines(&log));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(engine)
    }

    /// Runs `docker ARGS`; its output goes to the terminal.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> anyhow::Result<()> {
        succeed(self.docker(args))
    }

    /// What `docker ARGS` prints.
    pub(crate) fn output<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> anyhow::Result<String> {
        printed(self.docker(args))
    }

    /// Runs `docker-compose ARGS` in a folder; its output goes to the terminal.
    pub(crate) fn compose(&self, folder: &Path, args: &[&str]) -> anyhow::Result<()> {
        succeed(self.compose_command(folder, args))
    }

    /// What `docker-compose ARGS` prints in a folder.
    pub(crate) fn compose_output(&self, folder: &Path, args: &[&str]) -> anyhow::Result<String> {
        printed(self.compose_command(folder, args))
    }

    /// What `docker-compose ARGS` complains of in a folder, where it has to fail.
    pub(crate) fn compose_complaint(&self, folder: &Path, args: &[&str]) -> anyhow::Result<String> {
        let mut command = self.compose_command(folder, args);
        let output = command.output().with_context(|| show(&command))?;
        if output.status.success() {
            bail!("`{}` was to fail, and did not", show(&command));
        }
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn docker<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.docker);
        // The classic builder is part of every engine; BuildKit's client is a package of its own in some.
        command.args(args).env("DOCKER_HOST", &self.host).env("DOCKER_BUILDKIT", "0").stdin(Stdio::null());
        command
    }

    fn compose_command(&self, folder: &Path, args: &[&str]) -> Command {
        let (program, first) = self.compose.split_first().expect("the program's name is its first part");
        let mut command = Command::new(program);
        command.args(first).args(["--project-name", "provisioning-check"]).args(args).current_dir(folder);
        command.env("DOCKER_HOST", &self.host).stdin(Stdio::null());
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SIGTERM, so that it takes its containers and mounts down with it.
        let pid = i32::try_from(self.daemon.id()).map(Pid::from_raw);
        if pid.is_ok_and(|pid| kill(pid, Signal::SIGTERM).is_ok()) {
            let begun = Instant::now();
            while begun.elapsed() < STOP_TIME_MAX && matches!(self.daemon.try_wait(), Ok(None)) {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        self.daemon.kill().ok();
        self.daemon.wait().ok();
        // The engine leaves its handle of the machine's network mounted, and the folder cannot go with it.
        let mut unmount = Command::new("umount");
        unmount.arg(self.run_dir.join("exec/netns/default")).stdin(Stdio::null()).stderr(Stdio::null());
        unmount.status().ok();
        fs::remove_dir_all(&self.run_dir).ok();
    }
}

/// `docker-compose`, or `docker compose` where Compose is a plugin.
fn compose_program() -> anyhow::Result<Vec<PathBuf>> {
    if let Some(program) = find_program("docker-compose") {
        return Ok(vec![program]);
    }
    let docker = find_program("docker").context("there is no docker")?;
    let mut plugin = Command::new(&docker);
    plugin.args(["compose", "version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if !plugin.status().is_ok_and(|status| status.success()) {
        bail!("there is neither docker-compose nor Docker's plugin `compose`");
    }
    Ok(vec![docker, PathBuf::from("compose")])
}

/// Runs a command; its output goes to the terminal.
pub(crate) fn succeed(mut command: Command) -> anyhow::Result<()> {
    println!("$ {}", show(&command));
    let status = command.status().with_context(|| show(&command))?;
    if !status.success() {
        bail!("`{}` ended with {status}", show(&command));
    }
    Ok(())
}

/// What a command prints, without white space around it.
pub(crate) fn printed(mut command: Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| show(&command))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("`{}` ended with {}: {}", show(&command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words: Vec<_> = std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
