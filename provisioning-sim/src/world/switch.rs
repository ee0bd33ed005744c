//! A switch that is thrown once, for all who wait for it: the death of a process, the end of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Clones are the same switch. Waiters wake in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switch(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    thrown: AtomicBool,
    bell: Notify,
}

impl Switch {
    /// Throws it; again is the same.
    pub(crate) fn throw(&self) {
        self.0.thrown.store(true, Ordering::SeqCst);
        self.0.bell.notify_waiters();
    }

    /// Whether it was thrown.
    pub(crate) fn is_thrown(&self) -> bool {
        self.0.thrown.load(Ordering::SeqCst)
    }

    /// Waits until it is thrown.
    pub(crate) async fn thrown(&self) {
        // Made before the look, so that no throw in between is missed.
        let rung = self.0.bell.notified();
        if !self.is_thrown() {
            rung.await;
        }
    }
}
