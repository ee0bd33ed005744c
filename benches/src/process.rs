//! A process under measurement: started, asked for its CPU time and memory, ended.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// How long a process may take until it answers.
const START_MAX: Duration = Duration::from_secs(30);

/// Linux shows CPU time in hundredths of a second on every architecture that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process that ends with this value.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// From its start to the first connection that it took.
    pub started_in: Duration,
}

impl Process {
    /// Starts a command and waits until it takes connections.
    ///
    /// # Errors
    /// When it can not be started, ends, or does not listen in time.
    pub fn start(command: &mut Command, address: SocketAddr, log: &Path) -> anyhow::Result<Self> {
        let out = fs::File::create(log).with_context(|| format!("{} can not be written", log.display()))?;
        let begin = Instant::now();
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| format!("{command:?} can not be started"))?;
        let mut process = Self { child, started_in: Duration::ZERO };
        while std::net::TcpStream::connect(address).is_err() {
            if let Some(status) = process.child.try_wait()? {
                bail!("{command:?} ended with {status}: {}", fs::read_to_string(log).unwrap_or_default());
            }
            if begin.elapsed() > START_MAX {
                bail!("{command:?} does not listen on {address}: {}", fs::read_to_string(log).unwrap_or_default());
            }
            std::thread::park_timeout(Duration::from_micros(500));
        }
        process.started_in = begin.elapsed();
        Ok(process)
    }

    /// Its id, and those of its children.
    fn pids(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = format!("/proc/{own}/task/{own}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        std::iter::once(own).chain(children).collect()
    }

    /// CPU seconds that it and its children have used, in user and kernel.
    pub fn cpu_seconds(&self) -> f64 {
        self.pids().into_iter().map(cpu_seconds).sum()
    }

    /// Resident memory of it and its children, in MiB; pages that they share are counted for each.
    pub fn rss_mib(&self) -> f64 {
        self.pids().into_iter().map(|pid| kib(pid, "VmRSS:")).sum::<f64>() / 1024.0
    }
}

/// Lets this process, and those it starts, open as many files as the system allows.
///
/// # Errors
/// When the limit can not be read or set.
pub fn allow_many_files() -> anyhow::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).ok();
        let begin = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begin.elapsed() > Duration::from_secs(12) {
                self.child.kill().ok();
                self.child.wait().ok();
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// Fields 14 and 15 of `/proc/PID/stat`, in clock ticks, behind a name that may hold anything.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |field: usize| behind_name.split_whitespace().nth(field).and_then(|text| text.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / TICKS_PER_SECOND
}

fn kib(pid: u32, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}
