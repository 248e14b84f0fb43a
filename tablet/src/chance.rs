//! Random bits from the operating system.

use sync_protocol::replica::Chance;

/// Draws from the operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsChance;

impl Chance for OsChance {
    fn bits(&mut self) -> u128 {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system has a random generator");
        u128::from_be_bytes(bytes)
    }
}
