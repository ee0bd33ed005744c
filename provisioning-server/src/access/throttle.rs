//! How often somebody may guess: a bucket of tries for each source, and one for all of them together.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use provisioning_core::model::Timestamp;

/// Sources that are remembered; beyond these the one that has tried least lately is forgotten.
const SOURCES_MAX: usize = 4096;

/// How many tries there are at once, and how soon one comes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Tries at once.
    pub(crate) burst: u32,
    /// The time after which one more may be made.
    pub(crate) every: Duration,
}

/// Counts tries. A source is an IPv4 address or an IPv6 network of 64 bits, as one customer has it.
#[derive(Debug)]
pub(crate) struct Throttle {
    each: Allowance,
    all: Allowance,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sources: BTreeMap<IpAddr, Bucket>,
    all: Bucket,
}

/// Tries that were made and not yet forgiven, as the time at which all of them are.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    clear_at: Option<Timestamp>,
}

impl Throttle {
    pub(crate) fn new(each: Allowance, all: Allowance) -> Self {
        Self { each, all, state: Mutex::default() }
    }

    /// Logins: a person mistypes a few times, a machine that guesses gets ten a minute, and all together one a second.
    pub(crate) fn of_logins() -> Self {
        let each = Allowance { burst: 10, every: Duration::from_secs(6) };
        Self::new(each, Allowance { burst: 60, every: Duration::from_secs(1) })
    }

    /// Requests with a token that is none, and what is noted of them: programs with an old token may go on asking,
    /// but not fill the journal.
    pub(crate) fn of_refusals() -> Self {
        let each = Allowance { burst: 20, every: Duration::from_secs(3) };
        Self::new(each, Allowance { burst: 200, every: Duration::from_millis(300) })
    }

    /// Takes a try.
    ///
    /// # Errors
    /// How long to wait when there is none left; then nothing is taken.
    pub(crate) fn take(&self, source: Option<IpAddr>, now: Timestamp) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let key = source.map(network);
        let mut own = key.and_then(|key| state.sources.get(&key).copied()).unwrap_or_default();
        let mut all = state.all;
        own.take(self.each, now)?;
        all.take(self.all, now)?;
        state.all = all;
        if let Some(key) = key {
            state.sources.insert(key, own);
            if state.sources.len() > SOURCES_MAX {
                forget(&mut state.sources, now);
            }
        }
        Ok(())
    }

    /// Gives a try back: it was no guess.
    pub(crate) fn give_back(&self, source: Option<IpAddr>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.all.give_back(self.all);
        if let Some(bucket) = source.map(network).and_then(|key| state.sources.get_mut(&key)) {
            bucket.give_back(self.each);
        }
    }
}

impl Bucket {
    fn take(&mut self, allowance: Allowance, now: Timestamp) -> Result<(), Duration> {
        let clear_at = self.clear_at.map_or(now, |at| at.max(now)) + allowance.every;
        let room = allowance.every * allowance.burst;
        let taken = clear_at.since(now);
        if taken > room {
            return Err(taken.saturating_sub(room));
        }
        self.clear_at = Some(clear_at);
        Ok(())
    }

    fn give_back(&mut self, allowance: Allowance) {
        self.clear_at = self.clear_at.map(|at| at - allowance.every);
    }
}

/// Drops whoever has nothing against it, or else the one that will have soonest.
fn forget(sources: &mut BTreeMap<IpAddr, Bucket>, now: Timestamp) {
    sources.retain(|_, bucket| bucket.clear_at.is_some_and(|at| at > now));
    if sources.len() > SOURCES_MAX
        && let Some(key) = sources.iter().min_by_key(|(_, bucket)| bucket.clear_at).map(|(key, _)| *key)
    {
        sources.remove(&key);
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(bits.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the throttle takes it")]
    fn ip(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn a_source_that_guesses_waits_and_others_do_not() {
        let throttle = Throttle::of_logins();
        for _ in 0..10 {
            assert_eq!(throttle.take(ip(1), at(0)), Ok(()));
        }
        assert_eq!(throttle.take(ip(1), at(0)), Err(Duration::from_secs(6)));
        assert_eq!(throttle.take(ip(1), at(4)), Err(Duration::from_secs(2)));
        assert_eq!(throttle.take(ip(2), at(0)), Ok(()));
        assert_eq!(throttle.take(ip(1), at(6)), Ok(()));
        assert_eq!(throttle.take(ip(1), at(6)), Err(Duration::from_secs(6)));
    }

    #[test]
    fn a_try_that_was_right_is_given_back() {
        let throttle = Throttle::of_logins();
        for _ in 0..100 {
            assert_eq!(throttle.take(ip(1), at(0)), Ok(()));
            throttle.give_back(ip(1));
        }
    }

    #[test]
    fn all_together_are_limited_as_well() {
        let throttle = Throttle::of_logins();
        let taken = (0..100).filter(|last| throttle.take(ip(*last), at(0)).is_ok()).count();
        assert_eq!(taken, 60);
    }

    #[test]
    fn a_network_of_a_customer_is_one_source() {
        let throttle = Throttle::of_logins();
        let address = |n: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]));
        let taken = (0..50).filter(|n| throttle.take(address(*n), at(0)).is_ok()).count();
        assert_eq!(taken, 10);
    }
}
