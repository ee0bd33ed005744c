//! Everything that a run of the lab makes on this machine, and its removal however the run ends.
//!
//! A run has one folder below the temporary folder, locked while the run lives; its network namespaces carry the
//! folder's name. So a later run knows what a killed one has left, and that it is ours.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// How the folder of a run and its namespaces begin; the run's process id follows.
const PREFIX: &str = "provisioning-lab-";
const LOCK: &str = "lock";

/// The run's folder and namespaces; removed when dropped.
#[derive(Debug)]
pub(crate) struct Footprint {
    name: String,
    folder: PathBuf,
    /// Held as long as this run lives: the kernel lets go of it when the process dies.
    _lock: File,
    removed: bool,
}

impl Footprint {
    /// Makes the folder of this run.
    pub(crate) fn leave() -> anyhow::Result<Self> {
        let name = format!("{PREFIX}{}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        let lock = File::create(folder.join(LOCK))?;
        lock.lock()?;
        Ok(Self { name, folder, _lock: lock, removed: false })
    }

    /// What the names of this run's namespaces begin with.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The run's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends all processes in the run's namespaces, removes these, then the folder.
    pub(crate) fn remove(mut self) -> anyhow::Result<()> {
        self.removed = true;
        remove(&self.name, &self.folder)
    }
}

impl Drop for Footprint {
    fn drop(&mut self) {
        if !self.removed
            && let Err(error) = remove(&self.name, &self.folder)
        {
            eprintln!("the lab could not clean up: {error:#}");
        }
    }
}

/// Removes what runs that were killed have left.
pub(crate) fn remove_stale() -> anyhow::Result<()> {
    let own = fs::metadata("/proc/self")?.uid();
    for entry in fs::read_dir(std::env::temp_dir())? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_ours = is_name_of_a_run(&name)
            && fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir() && found.uid() == own);
        if !is_ours {
            continue;
        }
        let lock = File::open(folder.join(LOCK));
        let dead = match &lock {
            Ok(lock) => match lock.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(error)) => return Err(error.into()),
            },
            // Killed between two steps.
            Err(_) => true,
        };
        if dead {
            println!("removing what a killed run has left: {name}");
            remove(&name, &folder)?;
        }
    }
    Ok(())
}

/// The prefix and a process id, nothing else.
fn is_name_of_a_run(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a namespace is one of a run: the run's name, a dash, and its role.
fn is_namespace_of(namespace: &str, run: &str) -> bool {
    namespace.strip_prefix(run).is_some_and(|role| role.starts_with('-'))
}

fn remove(run: &str, folder: &Path) -> anyhow::Result<()> {
    for namespace in namespaces()?.iter().filter(|namespace| is_namespace_of(namespace, run)) {
        for _ in 0..50 {
            let processes = ip(&["netns", "pids", namespace])?;
            let processes: Vec<&str> = processes.split_whitespace().collect();
            if processes.is_empty() {
                break;
            }
            // One that ended by itself in the meantime is no failure.
            Command::new("kill").arg("-KILL").args(&processes).stderr(Stdio::null()).status()?;
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        ip(&["netns", "delete", namespace])?;
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| folder.display().to_string())
        }
        _ => Ok(()),
    }
}

fn namespaces() -> anyhow::Result<Vec<String>> {
    let list = ip(&["netns", "list"])?;
    Ok(list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// What `ip ARGS` prints.
pub(crate) fn ip(args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("ip").args(args).stdin(Stdio::null()).output().context("ip could not be started")?;
    if !output.status.success() {
        bail!("`ip {}`: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_run_gives_are_taken_for_one() {
        assert!(is_name_of_a_run("provisioning-lab-4711"));
        for other in ["provisioning-lab-", "provisioning-lab-47x", "provisioning-lab", "other-4711"] {
            assert!(!is_name_of_a_run(other), "{other}");
        }
    }

    #[test]
    fn a_namespace_belongs_to_the_run_whose_whole_name_it_carries() {
        assert!(is_namespace_of("provisioning-lab-47-lan", "provisioning-lab-47"));
        assert!(!is_namespace_of("provisioning-lab-471-lan", "provisioning-lab-47"));
        assert!(!is_namespace_of("provisioning-lab-47", "provisioning-lab-47"));
    }
}
