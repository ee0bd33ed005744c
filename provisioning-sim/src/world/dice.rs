//! Chance that a seed decides: every draw of a run comes from here, so that a run can be repeated.

use std::time::Duration;

/// A stream of numbers (SplitMix64): good enough to roll faults and delays, never for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9E37_79B9_7F4A_7C15)
    }

    /// Another stream for a purpose of its own: what one part of the world draws moves no other part's dice.
    #[must_use]
    pub fn of(&self, purpose: u64) -> Self {
        let mut other = Self(self.0 ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        other.draw();
        other
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 when that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw().checked_rem(limit).unwrap_or(0)
    }

    /// Whether something happens that happens so many times in 10,000.
    pub fn strikes(&mut self, in_10_000: u32) -> bool {
        in_10_000 > 0 && self.below(10_000) < u64::from(in_10_000)
    }

    /// A time between two, in milliseconds.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let span = millis(to).saturating_sub(millis(from));
        from + Duration::from_millis(self.below(span + 1))
    }

    /// A time between two, in seconds.
    pub fn seconds(&mut self, from: u64, to: u64) -> Duration {
        self.between(Duration::from_secs(from), Duration::from_secs(to))
    }

    /// Fills a buffer.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let bytes = self.draw().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_stream_and_another_purpose_another() {
        let (mut one, mut same) = (Dice::new(7), Dice::new(7));
        assert_eq!((0..50).map(|_| one.draw()).collect::<Vec<_>>(), (0..50).map(|_| same.draw()).collect::<Vec<_>>());
        assert_ne!(Dice::new(7).of(1).draw(), Dice::new(7).of(2).draw());
        assert_ne!(Dice::new(7).draw(), Dice::new(8).draw());
    }

    #[test]
    fn chance_is_near_what_it_says() {
        let mut dice = Dice::new(1);
        let hits = (0..100_000).filter(|_| dice.strikes(500)).count();
        assert!((4_500..5_500).contains(&hits), "{hits} of 100,000 at 5 %");
        assert!((0..1_000).all(|_| !dice.strikes(0)));
        let time = dice.seconds(3, 5);
        assert!(time >= Duration::from_secs(3) && time <= Duration::from_secs(5));
    }
}
