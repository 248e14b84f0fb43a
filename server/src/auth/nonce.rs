//! Nonces: ours by their MAC, so that giving one costs the database nothing; good once, noted when used.

use crate::random::Random;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use storage::{Hash, StorageError, Store};
use sync_protocol::clock::UnixMillis;

/// How long a nonce is good: five minutes.
pub const LIFETIME_MS: i64 = 5 * 60 * 1_000;
/// What the secret of the nonces is stored under: all nodes on a database know it.
const SECRET: &str = "nonce";
/// Bytes of chance in a nonce.
const CHANCE_BYTES: usize = 16;
/// Bytes of the instant in a nonce.
const INSTANT_BYTES: usize = 8;

/// Gives nonces and knows them again.
#[derive(Debug)]
pub struct Nonces(hmac::Key);

/// A nonce that is ours and fresh; whether it was used before the database knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// What it is noted by.
    pub hash: Hash,
    /// Until when it must be noted.
    pub expires_at: UnixMillis,
}

impl Nonces {
    /// Reads the secret, or makes it.
    pub async fn open(store: &Store, random: &dyn Random) -> Result<Self, StorageError> {
        let mut tx = store.write().await?;
        let secret = tx.secrets().get_or_insert(SECRET, &random.bytes::<32>()).await?;
        tx.commit().await?;
        Ok(Self::with(&secret))
    }

    fn with(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Gives a nonce and its end.
    pub fn give(&self, random: &dyn Random, now: UnixMillis) -> (String, UnixMillis) {
        let expires_at = now.plus(LIFETIME_MS);
        let mut bytes = random.bytes::<CHANCE_BYTES>().to_vec();
        bytes.extend(expires_at.0.to_be_bytes());
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend(tag.as_ref());
        (URL_SAFE_NO_PAD.encode(bytes), expires_at)
    }

    /// Knows a nonce again, if it is ours and not past its end.
    pub fn fresh(&self, nonce: &str, now: UnixMillis) -> Option<Fresh> {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (told, tag) = bytes.split_at_checked(CHANCE_BYTES + INSTANT_BYTES)?;
        hmac::verify(&self.0, told, tag).ok()?;
        let (_, instant) = told.split_last_chunk::<INSTANT_BYTES>()?;
        let expires_at = UnixMillis(i64::from_be_bytes(*instant));
        let hash = super::secret_hash("nonce", nonce);
        (now < expires_at).then_some(Fresh { hash, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    #[test]
    fn a_nonce_is_known_again_until_its_end() {
        let nonces = Nonces::with(b"secret");
        let (nonce, expires_at) = nonces.give(&SeededRandom::new(1), NOW);
        assert_eq!(expires_at, NOW.plus(LIFETIME_MS));
        assert_eq!(nonces.fresh(&nonce, NOW).map(|fresh| fresh.expires_at), Some(expires_at));
        assert!(nonces.fresh(&nonce, expires_at.plus(-1)).is_some());
        assert_eq!(nonces.fresh(&nonce, expires_at), None);
    }

    #[test]
    fn what_was_not_given_here_is_not_known() {
        let nonces = Nonces::with(b"secret");
        let (nonce, _) = nonces.give(&SeededRandom::new(1), NOW);
        let (foreign, _) = Nonces::with(b"another").give(&SeededRandom::new(1), NOW);
        let mut bytes = URL_SAFE_NO_PAD.decode(&nonce).expect("base64");
        let cut = URL_SAFE_NO_PAD.encode(bytes.get(..40).expect("longer"));
        if let Some(byte) = bytes.get_mut(CHANCE_BYTES) {
            *byte ^= 1;
        }
        let later = URL_SAFE_NO_PAD.encode(&bytes);
        let padded = format!("{nonce}=");
        for other in ["", "AAAA", &foreign, &cut, &later, &padded, &nonce.to_lowercase()] {
            assert_eq!(nonces.fresh(other, NOW), None, "{other}");
        }
        assert_ne!(
            nonces.give(&SeededRandom::new(1), NOW).0,
            nonces.give(&SeededRandom::new(2), NOW).0
        );
    }
}
