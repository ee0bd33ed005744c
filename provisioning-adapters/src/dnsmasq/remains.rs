//! What an earlier process of ours has left behind when it was killed: a dnsmasq that nobody reads from.
//!
//! A death signal from the parent would not do: the kernel forgets it when dnsmasq changes its user. systemd and
//! containers end the whole group; elsewhere the next start does.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, interval};

use super::fault::DnsmasqFault;
use super::holders::arguments;

/// How long it may take to end of its own accord.
const GRACE: Duration = Duration::from_secs(3);
/// How long it may take to end when it is killed.
const KILLED: Duration = Duration::from_secs(2);

/// Ends the dnsmasq that the pid file names, when it is really one of ours.
pub(super) async fn end(pid_file: &Path, config: &Path) -> Result<(), DnsmasqFault> {
    let Some(pid) = left_behind(pid_file, config) else { return Ok(()) };
    tracing::warn!(pid, "ending the dnsmasq that an earlier start has left behind");
    for (signal, limit) in [(Signal::SIGTERM, GRACE), (Signal::SIGKILL, KILLED)] {
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) => {}
            Err(Errno::ESRCH) => return Ok(()),
            Err(errno) => return Err(DnsmasqFault::system(format!("process {pid} cannot be ended"))(errno.into())),
        }
        let (began, mut ticks) = (Instant::now(), interval(Duration::from_millis(20)));
        while began.elapsed() < limit {
            ticks.tick().await;
            if left_behind(pid_file, config).is_none() {
                return Ok(());
            }
        }
    }
    Err(DnsmasqFault::Undead(pid))
}

/// The process in the pid file, if it is a dnsmasq with our configuration: numbers are given anew.
fn left_behind(pid_file: &Path, config: &Path) -> Option<i32> {
    let pid: i32 = fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
    let ours = format!("--conf-file={}", config.display());
    let alive = !fs::read_to_string(format!("/proc/{pid}/stat")).ok()?.contains(") Z ");
    let arguments = arguments(pid);
    let program = arguments.first().is_some_and(|program| Path::new(program).ends_with("dnsmasq"));
    (alive && program && arguments.contains(&ours)).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_none_of_ours_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let pid_file = dir.path().join("dnsmasq.pid");
        let config = dir.path().join("dnsmasq.conf");
        assert_eq!(left_behind(&pid_file, &config), None);
        for text in ["", "x", "0", "999999999", &std::process::id().to_string()] {
            fs::write(&pid_file, text).unwrap();
            assert_eq!(left_behind(&pid_file, &config), None, "{text:?}");
        }
    }
}
