//! Who is connected: how many in all and from each address, and who of them is idle.
//!
//! When there is no room left, the connection that has been idle longest gives way. So whoever opens connections and
//! says nothing, or says it slowly, keeps nobody out who speaks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::Notify;

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all.
    pub total: usize,
    /// From one address. The loopback's are not counted: a proxy on this machine speaks for everybody.
    pub per_source: usize,
}

impl ConnectionLimits {
    /// So many in all, and a quarter of them from one address: a rack behind one router fits in.
    pub fn of_total(total: usize) -> Self {
        Self { total, per_source: (total / 4).max(1) }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self::of_total(4096)
    }
}

/// All connections. Cheap to clone: the clones count together.
#[derive(Clone, Debug)]
pub struct Census(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: ConnectionLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    total: usize,
    sources: BTreeMap<IpAddr, usize>,
    /// By the order in which they fell idle.
    idle: BTreeMap<u64, (Option<IpAddr>, Arc<Notify>)>,
}

impl Census {
    /// Nobody yet.
    pub fn new(limits: ConnectionLimits) -> Self {
        Self(Arc::new(Inner { limits, state: Mutex::default() }))
    }

    /// Takes a connection in, idle; `None` when there is no room and nobody idle to make it. Connections without an
    /// address are always taken in.
    pub(super) fn enter(&self, source: Option<IpAddr>) -> Option<Seat> {
        let counted = source.filter(|address| !address.is_loopback());
        let mut state = self.state();
        if let Some(address) = counted
            && state.sources.get(&address).is_some_and(|count| *count >= self.0.limits.per_source)
            && !state.evict(|other| other == Some(address))
        {
            return None;
        }
        if source.is_some() && state.total >= self.0.limits.total && !state.evict(|_| true) {
            return None;
        }
        // Whoever was evicted leaves a moment later and is counted until then: the limits are kept but for that.
        state.total += 1;
        if let Some(address) = counted {
            *state.sources.entry(address).or_default() += 1;
        }
        let bell = Arc::new(Notify::new());
        let place = state.fall_idle(counted, &bell);
        drop(state);
        let seat = Seat { census: self.clone(), source: counted, bell, place: Mutex::new(Some(place)) };
        Some(seat)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fall_idle(&mut self, source: Option<IpAddr>, bell: &Arc<Notify>) -> u64 {
        let place = self.next;
        self.next += 1;
        self.idle.insert(place, (source, Arc::clone(bell)));
        place
    }

    /// Sends away the one of these that has been idle longest; `false` when none is.
    fn evict(&mut self, among: impl Fn(Option<IpAddr>) -> bool) -> bool {
        let Some(place) = self.idle.iter().find(|(_, (source, _))| among(*source)).map(|(place, _)| *place) else {
            return false;
        };
        if let Some((_, bell)) = self.idle.remove(&place) {
            bell.notify_one();
        }
        true
    }
}

/// A connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    census: Census,
    source: Option<IpAddr>,
    bell: Arc<Notify>,
    /// Among the idle, as long as it is.
    place: Mutex<Option<u64>>,
}

impl Seat {
    /// Resolves when somebody else needs the place.
    pub(super) fn evicted(&self) -> impl Future<Output = ()> + Send + use<> {
        let bell = Arc::clone(&self.bell);
        async move { bell.notified().await }
    }

    /// A request is being answered: the connection is not idle until what this gives is dropped.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        if let Some(place) = self.place().take() {
            self.census.state().idle.remove(&place);
        }
        Busy(Arc::clone(self))
    }

    fn place(&self) -> MutexGuard<'_, Option<u64>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let place = self.place().take();
        let mut state = self.census.state();
        state.total = state.total.saturating_sub(1);
        if let Some(place) = place {
            state.idle.remove(&place);
        }
        if let Some(address) = self.source
            && let Some(count) = state.sources.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                state.sources.remove(&address);
            }
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Busy(Arc<Seat>);

impl Busy {
    /// The request is under way until its answer was handed to the connection.
    pub(super) fn until_sent(self, body: Body) -> Sending {
        Sending { body, _busy: self }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let seat = &self.0;
        let place = seat.census.state().fall_idle(seat.source, &seat.bell);
        *seat.place() = Some(place);
    }
}

/// The body of an answer, which keeps its connection busy.
pub(super) struct Sending {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as the census takes it")]
    fn ip(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    fn is_evicted(seat: &Seat) -> bool {
        let mut evicted = std::pin::pin!(seat.evicted());
        evicted.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[test]
    fn the_longest_idle_gives_way_and_the_busy_stay() {
        let census = Census::new(ConnectionLimits { total: 3, per_source: 3 });
        let seats: Vec<Arc<Seat>> = (1..=3).map(|last| Arc::new(census.enter(ip(last)).unwrap())).collect();
        let first = seats[0].busy();
        let fourth = Arc::new(census.enter(ip(4)).unwrap());
        assert!(is_evicted(&seats[1]) && !is_evicted(&seats[2]) && !is_evicted(&seats[0]));
        let busy = (seats[2].busy(), fourth.busy());
        assert!(census.enter(ip(5)).is_none(), "all that is left is busy");
        assert!(census.enter(None).is_some(), "the control socket is always open");
        drop(first);
        assert!(census.enter(ip(5)).is_some());
        drop(busy);
    }

    #[test]
    fn one_address_sends_away_its_own_only() {
        let census = Census::new(ConnectionLimits { total: 100, per_source: 2 });
        let other = Arc::new(census.enter(ip(2)).unwrap());
        let own: Vec<Arc<Seat>> = (0..2).map(|_| Arc::new(census.enter(ip(1)).unwrap())).collect();
        let third = Arc::new(census.enter(ip(1)).unwrap());
        assert!(is_evicted(&own[0]) && !is_evicted(&own[1]) && !is_evicted(&other));
        drop(own);
        let busy: Vec<Busy> = [&third, &Arc::new(census.enter(ip(1)).unwrap())].map(Seat::busy).into();
        assert!(census.enter(ip(1)).is_none());
        assert!(census.enter(ip(2)).is_some());
        drop(busy);
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let census = Census::new(ConnectionLimits { total: 2, per_source: 1 });
        for last in 0..100 {
            let seat = Arc::new(census.enter(ip(last)).unwrap());
            drop(seat.busy());
        }
        let state = census.state();
        assert_eq!((state.total, state.sources.len(), state.idle.len()), (0, 0, 0));
    }

    #[test]
    fn the_loopback_has_no_limit_of_its_own() {
        let census = Census::new(ConnectionLimits { total: 10, per_source: 1 });
        let loopback = Some(IpAddr::from([127, 0, 0, 1]));
        let seats: Vec<Seat> = (0..10).map(|_| census.enter(loopback).unwrap()).collect();
        assert!(!seats.iter().any(is_evicted));
    }
}
