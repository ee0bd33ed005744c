//! Machines ask once: their requests are held while the store is busy.

use std::time::Duration;

use super::Orchestrator;
use super::error::{AnswerRefusal, TokenError};
use crate::ports::{Retry, StoreError};

/// How long a machine's request is held while the store is busy. Installers wait 60 s and ask once
/// (`reference/fetch-answer.md`).
const PATIENCE: Duration = Duration::from_secs(50);

/// How long until a busy store is asked again.
const PAUSE: Duration = Duration::from_millis(250);

impl Orchestrator {
    /// Tries until the store answers or a machine's patience ends.
    pub(super) async fn patiently<T, E, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: PassingError,
    {
        let deadline = self.ports.clock.now() + PATIENCE;
        loop {
            match attempt().await {
                Err(error) if error.passes() && self.ports.clock.now() < deadline => tokio::time::sleep(PAUSE).await,
                outcome => return outcome,
            }
        }
    }
}

/// An error that may go away by waiting.
pub(super) trait PassingError {
    fn passes(&self) -> bool;
}

impl PassingError for StoreError {
    fn passes(&self) -> bool {
        matches!(self, Self::Unavailable { retry: Retry::Later, .. } | Self::Unwritable { .. })
    }
}

impl PassingError for TokenError {
    fn passes(&self) -> bool {
        matches!(self, Self::Store(error) if error.passes())
    }
}

impl PassingError for AnswerRefusal {
    fn passes(&self) -> bool {
        match self {
            Self::Store(error) => error.passes(),
            Self::Token(error) => error.passes(),
            _ => false,
        }
    }
}
