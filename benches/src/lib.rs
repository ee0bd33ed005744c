//! What the measurements share: processes under measurement, a server with hosts, peers, load, and the report.
//!
//! Machines are noisy, so every figure stands beside a peer's or a limit's from the same run, the two sides take
//! turns, and the median of three rounds counts. CPU time per unit of work moves less than wall time does; where a
//! budget can be stated in it, it is. Nothing here runs in tests but the smoke run (`cargo xtask bench --smoke`).

pub mod load;
pub mod nginx;
pub mod peers;
pub mod process;
pub mod report;
pub mod site;

use std::time::Duration;

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How long each side is measured in each round.
    pub period: Duration,
    /// How many rounds; the median counts.
    pub rounds: usize,
    /// A short run that shows that the measurement works: its figures mean nothing, and no budget is judged.
    pub smoke: bool,
}

impl Effort {
    /// As the environment says: `BENCH_SMOKE=1` is one round of a fraction of a second.
    pub fn from_environment() -> Self {
        let smoke = std::env::var_os("BENCH_SMOKE").is_some();
        if smoke {
            Self { period: Duration::from_millis(300), rounds: 1, smoke }
        } else {
            Self { period: Duration::from_secs(4), rounds: 3, smoke }
        }
    }
}

/// The middle one; of two middle ones the smaller.
///
/// # Panics
/// When there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}
