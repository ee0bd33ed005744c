//! How many bytes a second all downloads may take together, and how they share them.

use std::fmt;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// What a machine should have at least, in bytes a second: an image in some minutes. More machines at a time would
/// all finish late, where some could be done early.
const PER_MACHINE: u64 = 10_000_000;
/// Time in which the next machine asks again, and for which bytes of the one before it may be left.
const HANDOVER: u64 = 4;
/// The least that can be set, in bits a second.
const BITS_MIN: u64 = 1_000_000;
/// The most that can be set, in bits a second.
const BITS_MAX: u64 = 1_000_000_000_000;
/// A turn is what goes out in this time, within the limits below: enough to be cheap, little enough to be fair.
const TURN_TIME: Duration = Duration::from_millis(20);
const TURN_MIN: u64 = 16 << 10;
const TURN_MAX: u64 = 1 << 20;
/// How much unused time may be made up for: timers are no better than some milliseconds.
const SLACK: Duration = Duration::from_millis(50);

/// Bytes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bandwidth(NonZeroU64);

impl Bandwidth {
    /// Bytes a second.
    pub fn bytes_per_second(self) -> u64 {
        self.0.get()
    }

    /// How many machines may download at a time, so that each has its 10 MB a second; at least one.
    pub fn machines(self) -> usize {
        usize::try_from(self.0.get() / PER_MACHINE).unwrap_or(usize::MAX).max(1)
    }

    /// How many bytes a machine may still have before it, so that the next one may begin: what goes out until that
    /// one has asked again and found its way.
    pub fn handover(self) -> u64 {
        HANDOVER * PER_MACHINE.min(self.0.get())
    }

    fn turn(self) -> u64 {
        let bytes = u128::from(self.0.get()) * TURN_TIME.as_millis() / 1000;
        u64::try_from(bytes).unwrap_or(TURN_MAX).clamp(TURN_MIN, TURN_MAX)
    }

    fn time_of(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.0.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// As it is written: in bits for networks, such as `900Mbit/s`.
impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.get() * 8;
        match bits {
            _ if bits.is_multiple_of(1_000_000_000) => write!(f, "{}Gbit/s", bits / 1_000_000_000),
            _ if bits.is_multiple_of(1_000_000) => write!(f, "{}Mbit/s", bits / 1_000_000),
            _ => write!(f, "{}kbit/s", bits / 1000),
        }
    }
}

/// Why a text is no bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a number and its unit, Mbit/s, Gbit/s or MB/s, such as 900Mbit/s; from 1Mbit/s to 1000Gbit/s")]
pub struct ParseBandwidthError;

impl FromStr for Bandwidth {
    type Err = ParseBandwidthError;

    fn from_str(text: &str) -> Result<Self, ParseBandwidthError> {
        let text = text.trim();
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(ParseBandwidthError)?;
        let (number, unit) = text.split_at(unit_at);
        let bits_per_unit = match unit.trim_start() {
            "kbit/s" => 1_000,
            "Mbit/s" => 1_000_000,
            "Gbit/s" => 1_000_000_000,
            "kB/s" => 8_000,
            "MB/s" => 8_000_000,
            "GB/s" => 8_000_000_000,
            _ => return Err(ParseBandwidthError),
        };
        let bits: u64 =
            number.parse::<u64>().ok().and_then(|n| n.checked_mul(bits_per_unit)).ok_or(ParseBandwidthError)?;
        let bytes = Some(bits).filter(|bits| (BITS_MIN..=BITS_MAX).contains(bits)).map(|bits| bits / 8);
        bytes.and_then(NonZeroU64::new).map(Self).ok_or(ParseBandwidthError)
    }
}

/// Hands out the time on the wire: who asks first goes first, and asks again after each turn, so that all get the
/// same.
#[derive(Debug)]
pub struct Throttle {
    rate: Bandwidth,
    /// When everything that was promised has gone out.
    free_at: Mutex<Instant>,
}

impl Throttle {
    /// A wire that is free.
    pub fn new(rate: Bandwidth) -> Self {
        Self { rate, free_at: Mutex::new(Instant::now()) }
    }

    /// How many bytes to send at a time.
    pub fn turn(&self) -> u64 {
        self.rate.turn()
    }

    /// When so many bytes may go out; they are counted as sent.
    pub fn reserve(&self, bytes: u64) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let from = (*free_at).max(now.checked_sub(SLACK).unwrap_or(now));
        *free_at = from + self.rate.time_of(bytes);
        from
    }

    /// Waits until so many bytes may go out.
    pub async fn pass(&self, bytes: u64) {
        sleep_until(self.reserve(bytes)).await;
    }
}

/// A body whose bytes keep to a throttle.
pub struct Throttled<B> {
    body: B,
    throttle: std::sync::Arc<Throttle>,
    /// What waits for its time.
    held: Option<(Frame<Bytes>, Pin<Box<Sleep>>)>,
}

impl<B> Throttled<B> {
    /// Lets the bytes of `body` out in their time.
    pub fn new(body: B, throttle: std::sync::Arc<Throttle>) -> Self {
        Self { body, throttle, held: None }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Throttled<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        loop {
            if let Some((_, sleep)) = &mut this.held {
                ready!(sleep.as_mut().poll(cx));
                return Poll::Ready(this.held.take().map(|(frame, _)| Ok(frame)));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                    let sleep = Box::pin(sleep_until(this.throttle.reserve(bytes)));
                    this.held = Some((frame, sleep));
                }
                ended => return Poll::Ready(ended),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.as_ref().and_then(|(frame, _)| frame.data_ref()).map_or(0, |data| data.len() as u64);
        self.body.size_hint().exact().map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + held))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::{BodyExt as _, Full};

    use super::*;

    fn rate(text: &str) -> Bandwidth {
        text.parse().unwrap()
    }

    #[test]
    fn a_bandwidth_is_a_number_with_its_unit() {
        assert_eq!(rate("900Mbit/s").bytes_per_second(), 112_500_000);
        assert_eq!(rate("110 MB/s"), rate("880Mbit/s"));
        assert_eq!(rate("10Gbit/s").to_string(), "10Gbit/s");
        assert_eq!(rate("1500kbit/s").to_string(), "1500kbit/s");
        for bad in ["", "900", "900 mbit", "fast", "-1Mbit/s", "1.5Gbit/s", "10kbit/s", "2000Gbit/s", "0Mbit/s"] {
            assert_eq!(bad.parse::<Bandwidth>(), Err(ParseBandwidthError), "{bad}");
        }
    }

    #[test]
    fn as_many_machines_download_as_have_enough() {
        assert_eq!(rate("1Gbit/s").machines(), 12);
        assert_eq!(rate("100Mbit/s").machines(), 1);
        assert_eq!(rate("1Mbit/s").machines(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn all_together_get_the_bandwidth_and_each_its_share() {
        let throttle = Arc::new(Throttle::new(rate("80Mbit/s")));
        let began = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let throttle = Arc::clone(&throttle);
            tasks.spawn(async move {
                let mut left: u64 = 25_000_000;
                while left > 0 {
                    let turn = throttle.turn().min(left);
                    throttle.pass(turn).await;
                    left -= turn;
                }
                Instant::now()
            });
        }
        let ends: Vec<Duration> = tasks.join_all().await.into_iter().map(|end| end - began).collect();
        // 100 MB at 10 MB/s; all end within a few turns of each other.
        assert!(
            ends.iter().all(|end| (Duration::from_secs_f64(9.8)..Duration::from_secs_f64(10.1)).contains(end)),
            "{ends:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_nobody_used_is_not_made_up_for() {
        let throttle = Throttle::new(rate("80Mbit/s"));
        tokio::time::advance(Duration::from_secs(100)).await;
        let began = Instant::now();
        for _ in 0..10 {
            throttle.pass(1_000_000).await;
        }
        assert!(began.elapsed() >= Duration::from_millis(840), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_held_back_and_whole() {
        let throttle = Arc::new(Throttle::new(rate("8Mbit/s")));
        let began = Instant::now();
        throttle.pass(1_000_000).await;
        let body = Throttled::new(Full::new(Bytes::from_static(b"kernel")), throttle);
        assert_eq!(body.size_hint().exact(), Some(6));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "kernel");
        assert!(began.elapsed() >= Duration::from_millis(940), "{:?}", began.elapsed());
    }
}
