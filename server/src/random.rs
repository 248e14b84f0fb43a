//! Where the server gets chance from: ids, nonces, codes and tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use sync_protocol::clock::UnixMillis;
use uuid::Uuid;

/// Bytes in a bearer secret (session, nonce): 256 bit.
pub const SECRET_BYTES: usize = 32;
/// Characters of an enrolment code: 65 bit of chance, five a character.
pub const CODE_CHARS: usize = 13;
/// Digits that nobody confuses when reading aloud (Crockford's base 32).
const CODE_ALPHABET: [char; 32] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'J',
    'K', 'M', 'N', 'P', 'Q', 'R', 'S', 'T', 'V', 'W', 'X', 'Y', 'Z',
];

/// A source of unpredictable bytes.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills `out`.
    fn fill(&self, out: &mut [u8]);
}

impl dyn Random + '_ {
    /// `N` bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A UUIDv7 of the instant `now`.
    pub fn uuid_v7(&self, now: UnixMillis) -> Uuid {
        let millis = u64::try_from(now.0).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// A bearer secret in base64url.
    pub fn secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<SECRET_BYTES>())
    }

    /// An enrolment code, in the spelling that [`normal_code`] makes.
    pub fn code(&self) -> String {
        let bytes = self.bytes::<CODE_CHARS>();
        bytes.iter().filter_map(|b| CODE_ALPHABET.get(usize::from(b & 31))).collect()
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&self, end: u64) -> u64 {
        u64::from_le_bytes(self.bytes()).checked_rem(end).unwrap_or_default()
    }
}

/// Brings a code as typed or scanned into its one spelling: no hyphens or blanks, upper case, no look-alikes.
pub fn normal_code(typed: &str) -> Option<String> {
    const TYPED_CHARS_MAX: usize = 40;
    if typed.len() > TYPED_CHARS_MAX {
        return None;
    }
    let plain: String = typed
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    let whole = plain.len() == CODE_CHARS && plain.chars().all(|c| CODE_ALPHABET.contains(&c));
    whole.then_some(plain)
}

/// A code in groups, as it is shown to people: `XXXX-XXXXX-XXXX`.
pub fn shown_code(code: &str) -> String {
    match (code.get(..4), code.get(4..9), code.get(9..)) {
        (Some(a), Some(b), Some(c)) => format!("{a}-{b}-{c}"),
        _ => code.to_owned(),
    }
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system has a random source");
    }
}

/// A repeatable stream for simulated worlds: SHA-256 of seed and counter. Never for a real server.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    drawn: AtomicU64,
}

impl SeededRandom {
    /// The stream of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let drawn = self.drawn.fetch_add(1, Ordering::SeqCst);
            let block = Sha256::new()
                .chain_update(self.seed.to_le_bytes())
                .chain_update(drawn.to_le_bytes())
                .finalize();
            for (to, from) in chunk.iter_mut().zip(block) {
                *to = from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_however_it_was_typed() {
        let random: &dyn Random = &SeededRandom::new(7);
        let code = random.code();
        assert_eq!(code.len(), CODE_CHARS);
        assert_eq!(normal_code(&shown_code(&code)), Some(code.clone()));
        assert_eq!(normal_code(&code.to_ascii_lowercase()), Some(code));
        assert_eq!(normal_code("OIL0-00000-0000"), Some("0110000000000".to_owned()));
        for wrong in ["", "U000000000000", "00000000000000", &"0".repeat(100)] {
            assert_eq!(normal_code(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn one_seed_gives_one_stream_and_ids_carry_their_instant() {
        let (one, two): (&dyn Random, &dyn Random) = (&SeededRandom::new(1), &SeededRandom::new(1));
        let now = UnixMillis(1_795_357_391_201);
        let id = one.uuid_v7(now);
        assert_eq!(id, two.uuid_v7(now));
        assert_ne!(id, one.uuid_v7(now));
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.as_u128() >> 80, 1_795_357_391_201);
    }
}
