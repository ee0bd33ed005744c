//! The wall clock of the world: tokio's paused time plus the leaps that somebody made it do.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use provisioning_core::model::Timestamp;
use provisioning_core::ports::Clock;
use tokio::time::Instant;

/// When every world begins: 2026-01-01 00:00 UTC.
const BEGIN_MILLIS: i64 = 1_767_225_600_000;

/// A clock that tests can move. Clones are the same clock.
#[derive(Clone, Debug)]
pub(crate) struct WorldClock {
    start: Instant,
    leapt_millis: Arc<AtomicI64>,
}

impl WorldClock {
    /// A clock that begins now; make it inside a runtime whose time is paused.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), leapt_millis: Arc::default() }
    }

    /// Time since the world began, without leaps.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Leaps by so many milliseconds, forward or back.
    pub(crate) fn leap(&self, millis: i64) {
        self.leapt_millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        let leapt = self.leapt_millis.load(Ordering::SeqCst);
        Timestamp::from_millis(BEGIN_MILLIS + leapt) + self.start.elapsed()
    }

    fn steady(&self) -> Option<Duration> {
        Some(self.start.elapsed())
    }
}
