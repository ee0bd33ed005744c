//! How the child process fares, for health checks and metrics.

use std::time::{Duration, SystemTime};

/// How dnsmasq fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsmasqStatus {
    /// What it does now.
    pub state: DnsmasqState,
    /// How often it was started again since our own start.
    pub restarts: u64,
    /// What went wrong last, even if it goes well since.
    pub last_error: Option<String>,
    /// Sightings that nobody took in time and that were dropped.
    pub sightings_dropped: u64,
}

/// What dnsmasq does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsmasqState {
    /// It was started and has not read its files yet.
    Starting,
    /// It answers machines.
    Running {
        /// Its process.
        pid: u32,
        /// Since when.
        since: SystemTime,
    },
    /// It ended, and is started again after a while.
    Restarting {
        /// The while, from when it ended.
        after: Duration,
    },
    /// It was stopped together with us.
    Stopped,
}

impl DnsmasqState {
    /// Whether machines are answered.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running { .. })
    }
}
