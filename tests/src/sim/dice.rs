//! Chance: one stream for everything that happens in a world.

use rand::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg64;
use sync_protocol::replica::Chance;
use uuid::Uuid;

/// The one source of chance of a world.
#[derive(Clone, Debug)]
pub struct Dice(Pcg64);

impl Dice {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(Pcg64::seed_from_u64(seed))
    }

    /// A number from 0 to below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let drawn = self.0.next_u64();
        usize::try_from(drawn).unwrap_or(usize::MAX).checked_rem(end).unwrap_or(0)
    }

    /// A number of milliseconds from `low` to below `high`.
    pub fn millis(&mut self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(high.saturating_sub(low)).unwrap_or(0);
        let drawn = self.0.next_u64().checked_rem(width).unwrap_or(0);
        low.saturating_add(i64::try_from(drawn).unwrap_or(0))
    }

    /// True in `per_mille` of a thousand cases.
    pub fn hits(&mut self, per_mille: usize) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of these, if there is one.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let at = self.below(of.len());
        of.get(at)
    }

    /// A random UUID.
    pub fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bits().to_be_bytes()).into_uuid()
    }
}

impl Chance for Dice {
    fn bits(&mut self) -> u128 {
        (u128::from(self.0.next_u64()) << 64) | u128::from(self.0.next_u64())
    }
}
