//! How a rule is run and how its breach is told.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::ports::{BoxError, chain};

/// How a rule ends: an error of the adapter where none should be is a breach, and so is a panic.
pub type Checked = Result<(), BoxError>;

/// An adapter that gives no answer within this time gives none.
const PATIENCE: Duration = Duration::from_secs(90);

/// A rule that an adapter breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {how}")]
pub struct Broken {
    /// The rule's name, as it stands in the port's `# Contract`.
    pub rule: &'static str,
    /// What was seen.
    pub how: String,
}

/// Runs a rule in a runtime of its own.
///
/// # Panics
/// When the adapter breaks it, in words that begin with the rule's name.
#[doc(hidden)]
pub fn run(rule: &'static str, checking: impl Future<Output = Checked>) {
    if let Err(broken) = attempt(rule, checking) {
        panic!("{broken}");
    }
}

/// Runs a rule in a runtime of its own.
///
/// # Errors
/// When the adapter breaks it.
#[doc(hidden)]
pub fn attempt(rule: &'static str, checking: impl Future<Output = Checked>) -> Result<(), Broken> {
    let broken = |how| Broken { rule, how };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| broken(format!("no runtime could be made: {error}")))?;
    let limited = async { tokio::time::timeout(PATIENCE, checking).await };
    match catch_unwind(AssertUnwindSafe(|| runtime.block_on(limited))) {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(broken(chain(&*error))),
        Ok(Err(_)) => Err(broken(format!("not checked after {PATIENCE:?}"))),
        Err(panic) => Err(broken(words(&*panic))),
    }
}

/// The error of what must not succeed.
pub(super) fn refusal<T: Debug, E>(outcome: Result<T, E>) -> E {
    outcome.expect_err("it should be refused")
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked without words".to_owned())
}
