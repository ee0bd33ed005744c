//! Time, chance and power: what the surroundings give and take.

use std::time::Duration;

use async_trait::async_trait;

use crate::model::{Host, Timestamp};

/// The wall clock.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// The time since some moment of the past, by a clock that nobody sets: what tells a leap of [`now`](Self::now) from time
    /// that has passed. `None` where there is none; deadlines are then not moved along when the clock is set.
    fn steady(&self) -> Option<Duration> {
        None
    }
}

/// The source of ids, tokens and keys.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait Entropy: Send + Sync {
    /// Fills `buffer` with random bytes, good enough for keys.
    fn fill(&self, buffer: &mut [u8]);
}

/// Comfort over [`Entropy`].
pub trait EntropyExt: Entropy {
    /// `N` random bytes.
    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

impl<E: Entropy + ?Sized> EntropyExt for E {}

/// How a machine was asked to start from the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerAnswer {
    /// It is being power-cycled into netboot.
    Cycling,
    /// A person has to do it; the dashboard says so.
    AskAPerson,
}

/// Asks machines to restart into netboot.
///
/// # Contract
/// - `asking_is_harmless_for_the_disk`: it never changes what a machine boots beyond the next start.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Power: Send + Sync {
    /// Asks `host` to restart from the network.
    async fn netboot(&self, host: &Host) -> PowerAnswer;
}

/// For machines that nobody but a person can restart.
#[derive(Clone, Copy, Debug, Default)]
pub struct PersonAtThePowerButton;

#[async_trait]
impl Power for PersonAtThePowerButton {
    async fn netboot(&self, _: &Host) -> PowerAnswer {
        PowerAnswer::AskAPerson
    }
}
