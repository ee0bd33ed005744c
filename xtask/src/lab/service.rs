//! A program that runs beside the machines, its output in a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::console::Console;

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(20);

/// A running program; killed when dropped.
#[derive(Debug)]
pub(crate) struct Service {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `command`, which is called `name` from now on; what it prints goes to `FOLDER/NAME.log`.
    pub(crate) fn start(mut command: Command, name: &str, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("{name} could not be started"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// What it printed.
    pub(crate) fn log(&self) -> Console {
        Console::of(&self.log)
    }

    /// # Errors
    /// With the last lines of its log, when it ended.
    pub(crate) fn check_running(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended with {status}; it said last:\n{}", self.name, self.log().last_lines(8)?);
        }
        Ok(())
    }

    /// SIGTERM, and SIGKILL when that does not end it in time.
    ///
    /// # Errors
    /// When it had to be killed.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.child.id() else { return Ok(()) };
        kill(Pid::from_raw(id.try_into()?), Signal::SIGTERM)?;
        if timeout(GRACE, self.child.wait()).await.is_err() {
            self.child.kill().await?;
            bail!("{} did not end within {} s of SIGTERM", self.name, GRACE.as_secs());
        }
        Ok(())
    }

    /// As if its power were cut.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("{} could not be killed", self.name))
    }
}
