//! Trouble that lasts is told once, and once more when it is over: a store that is away for an hour is two lines and not
//! four thousand.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was last complained of.
#[derive(Debug, Default)]
pub(super) struct Outcry(Mutex<Option<String>>);

impl Outcry {
    /// Whether this has not just been said.
    pub(super) fn is_news(&self, problem: &impl Display) -> bool {
        let problem = problem.to_string();
        let mut said = self.said();
        let is_news = said.as_ref() != Some(&problem);
        *said = Some(problem);
        is_news
    }

    /// All is well; whether it was not, and nobody has said so yet.
    pub(super) fn is_over(&self) -> bool {
        self.said().take().is_some()
    }

    fn said(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_news_once_and_its_end_too() {
        let outcry = Outcry::default();
        assert!(!outcry.is_over());
        assert!(outcry.is_news(&"the disk is full"));
        assert!(!outcry.is_news(&"the disk is full"));
        assert!(outcry.is_news(&"the disk is gone"));
        assert!(outcry.is_over());
        assert!(!outcry.is_over());
        assert!(outcry.is_news(&"the disk is gone"), "trouble that comes back is news");
    }
}
