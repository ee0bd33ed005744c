//! Randomness of one machine: all of it from one number.

use std::time::Duration;

/// A splitmix64 generator: small, good enough for jitter, the same everywhere.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn one_in(&mut self, sides: u64) -> bool {
        self.roll().is_multiple_of(sides)
    }

    pub(super) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.roll().to_le_bytes());
        }
        bytes
    }

    /// A time from 70 % to 130 % of this one.
    pub(super) fn around(&mut self, time: Duration) -> Duration {
        let percent = u32::try_from(70 + self.roll() % 61).unwrap_or(100);
        time * percent / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_roll_alike_and_jitter_stays_within_thirty_percent() {
        let (mut a, mut b) = (Dice::new(7), Dice::new(7));
        for _ in 0..1000 {
            let time = a.around(Duration::from_secs(1));
            assert_eq!(time, b.around(Duration::from_secs(1)));
            assert!((Duration::from_millis(700)..=Duration::from_millis(1300)).contains(&time));
        }
        assert_ne!(Dice::new(1).bytes(), Dice::new(2).bytes());
    }
}
