//! The suite of [`Power`].

use std::future::Future;

use super::rule::{Broken, Checked};
use super::sample::host;
use crate::ports::Power;

/// Makes the adapter that is checked, and starts the machine it asks. Each rule has a fixture of its own.
pub trait PowerFixture {
    /// The adapter.
    type Power: Power;
    /// The adapter; asked for once.
    fn fresh(&self) -> impl Future<Output = Self::Power>;
    /// The machine starts once, whoever brings that about; gives whether it tried the network first. Left alone, it
    /// starts from its disk.
    fn starts_from_network(&self) -> impl Future<Output = bool>;
}

/// Makes each rule of [`Power`](crate::ports::Power) a test; takes an expression that makes a
/// [`PowerFixture`](crate::conformance::PowerFixture).
#[macro_export]
macro_rules! power_conformance {
    ($fixture:expr) => {
        $crate::__power_rules! { __rule_tests ($fixture) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __power_rules {
    ($with:ident $arguments:tt) => {
        $crate::$with! { power [asking_is_harmless_for_the_disk] $arguments }
    };
}

/// The rules' names.
pub const RULES: &[&str] = crate::__power_rules! { __rule_names () };

/// Tries all rules, each on what `make` makes, and gives those that the adapter breaks. Call it outside of a runtime.
pub fn broken_rules<F: PowerFixture>(make: impl AsyncFn() -> F) -> Vec<Broken> {
    crate::__power_rules! { __rules_broken (make().await) }
}

/// Asking, once or twice, changes the next start at most.
pub async fn asking_is_harmless_for_the_disk(fixture: &impl PowerFixture) -> Checked {
    let power = fixture.fresh().await;
    let host = host(1)?;
    for times in [1, 2] {
        for _ in 0..times {
            power.netboot(&host).await;
        }
        // From the network or, where a person has to see to it, not.
        fixture.starts_from_network().await;
        for _ in 0..2 {
            assert!(!fixture.starts_from_network().await, "a later start is from the disk");
        }
    }
    Ok(())
}
