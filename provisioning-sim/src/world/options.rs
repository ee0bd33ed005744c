//! What a run is made of: with these and nothing else it can be repeated.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Level};

/// A run's options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Decides hosts, faults and delays.
    pub seed: u64,
    /// How many hosts.
    pub hosts: u16,
    /// How many hours things go wrong before they heal.
    pub hours: u32,
    /// How much goes wrong.
    pub faults: Level,
    /// Faults that happen for certain, each at its first occasion: host by number, or 0 for the site.
    #[serde(default)]
    pub scheduled: Vec<(u16, Fault)>,
    /// The process dies when it passes this point.
    #[serde(default)]
    pub crash_at: Option<u64>,
}

impl Options {
    /// Eight hosts, ten hours, much trouble.
    pub fn new(seed: u64) -> Self {
        Self { seed, hosts: 8, hours: 10, faults: Level::Heavy, scheduled: vec![], crash_at: None }
    }

    /// One host, and nothing goes wrong but what is scheduled.
    pub fn calm(seed: u64) -> Self {
        Self { hosts: 1, hours: 0, faults: Level::None, ..Self::new(seed) }
    }

    /// The same, and this happens to the host of that number, counted from 1; 0 is the site.
    #[must_use]
    pub fn with(mut self, host: u16, fault: Fault) -> Self {
        self.scheduled.push((host, fault));
        self
    }
}

impl fmt::Display for Options {
    /// As arguments of the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.faults {
            Level::None => "none",
            Level::Light => "light",
            Level::Heavy => "heavy",
        };
        write!(f, "--seed {} --hosts {} --hours {} --faults {level}", self.seed, self.hosts, self.hours)?;
        self.crash_at.map_or(Ok(()), |point| write!(f, " --crash-at {point}"))
    }
}
