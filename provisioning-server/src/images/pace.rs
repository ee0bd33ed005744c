//! The pace of all downloads together, so that a boot storm leaves the site's link to others as well.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How far the downloads may get ahead of their pace after a pause, in seconds of the pace.
const BURST: Duration = Duration::from_millis(50);

/// A limit on bytes per second, shared by all downloads, who take turns in the order of their asking.
#[derive(Debug)]
pub struct Pace {
    bytes_per_second: Option<u64>,
    /// When the bytes that were promised so far will have gone out.
    promised: Mutex<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Pace {
    /// So many bytes per second; without a limit nobody waits.
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, promised: Mutex::new(Instant::now()) }
    }

    /// The most bytes to send in one turn, at most `usual`: a slow pace wants small turns, else some would wait for
    /// seconds.
    pub fn turn(&self, usual: u64) -> u64 {
        self.bytes_per_second.map_or(usual, |rate| usual.min((rate / 20).max(16 << 10)))
    }

    /// When this many bytes may go out; `None` is at once.
    pub fn reserve(&self, bytes: u64) -> Option<Instant> {
        let rate = self.bytes_per_second?;
        let now = Instant::now();
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        let start = (*promised).max(now.checked_sub(BURST).unwrap_or(now));
        *promised = start + Duration::from_nanos(nanos(bytes, rate));
        (start > now).then_some(start)
    }

    /// Waits until this many bytes may go out.
    pub async fn wait(&self, bytes: u64) {
        if let Some(start) = self.reserve(bytes) {
            sleep_until(start).await;
        }
    }
}

/// How long `bytes` take at `rate` bytes per second.
fn nanos(bytes: u64, rate: u64) -> u64 {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn downloads_together_keep_the_pace_and_share_it() {
        let pace = Pace::new(Some(100 << 20));
        let begin = Instant::now();
        let download = async {
            for _ in 0..100 {
                pace.wait(1 << 20).await;
            }
            begin.elapsed()
        };
        let again = async {
            for _ in 0..100 {
                pace.wait(1 << 20).await;
            }
            begin.elapsed()
        };
        let (one, other) = tokio::join!(download, again);
        let near = |time: Duration| time > Duration::from_millis(1850) && time < Duration::from_millis(2050);
        assert!(near(one) && near(other), "{one:?} {other:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_saved_up() {
        let pace = Pace::new(Some(1 << 20));
        tokio::time::advance(Duration::from_secs(3600)).await;
        let begin = Instant::now();
        for _ in 0..10 {
            pace.wait(1 << 20).await;
        }
        assert!(begin.elapsed() > Duration::from_millis(8900), "{:?}", begin.elapsed());
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        assert_eq!(Pace::default().reserve(u64::MAX), None);
        assert_eq!(Pace::default().turn(5), 5);
    }
}
