//! The machine we run on: its clock and its source of randomness.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use provisioning_core::model::Timestamp;
use provisioning_core::ports::{Clock, Entropy};

/// The wall clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => millis(since),
            Err(before) => -millis(before.duration()),
        })
    }

    /// Since the machine was switched on. It stands still while the machine sleeps, as we do.
    fn steady(&self) -> Option<Duration> {
        clock_gettime(ClockId::CLOCK_MONOTONIC).ok().map(Duration::from)
    }
}

/// The random bytes of the operating system, good enough for keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// A system without randomness cannot make a key, and nothing here may go on without one: it panics.
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system has random bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning_core::ports::EntropyExt;

    #[test]
    fn the_steady_clock_never_goes_back() {
        let before = SystemClock.steady().unwrap();
        assert!(before > Duration::ZERO && SystemClock.steady().unwrap() >= before);
    }

    #[test]
    fn the_clock_stands_after_the_day_this_was_written() {
        let written: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        assert!(SystemClock.now() > written);
    }

    #[test]
    fn two_draws_differ() {
        let (a, b): ([u8; 32], [u8; 32]) = (SystemEntropy.bytes(), SystemEntropy.bytes());
        assert_ne!(a, b);
        assert_ne!(a, [0; 32]);
    }
}
