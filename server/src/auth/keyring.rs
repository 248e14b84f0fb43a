//! Our own signing keys: made at the first start, rotated with overlap, found by `kid`.

use crate::random::Random;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use storage::{SigningKey, StorageError, Store};
use sync_protocol::clock::UnixMillis;
use tokio::time::Instant;

/// What the keys of access tokens are stored under.
pub const PURPOSE: &str = "access_token";
/// The algorithm of the keys that we make.
pub const ALGORITHM: &str = "EdDSA";
/// How long a key that was replaced still verifies: 24 hours.
pub const OVERLAP_MS: i64 = 24 * 60 * 60 * 1_000;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The database failed.
    #[error("the signing keys cannot be read")]
    Storage(#[from] StorageError),
    /// A key that cannot be read, or none.
    #[error("the stored signing keys are unusable: {0}")]
    Unusable(&'static str),
}

/// The keys at one instant.
#[derive(Clone)]
pub struct KeySet {
    signer_id: String,
    signer: EncodingKey,
    verifiers: BTreeMap<String, (DecodingKey, Value)>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("KeySet").field("signer", &self.signer_id).finish_non_exhaustive()
    }
}

impl KeySet {
    /// The set of the stored keys that hold at `now`: the newest signs, all verify.
    pub fn of(stored: &[SigningKey], now: UnixMillis) -> Result<Self, KeyError> {
        let held = |key: &&SigningKey| key.retire_at.is_none_or(|retire_at| now < retire_at);
        let mut verifiers = BTreeMap::new();
        for key in stored.iter().filter(held) {
            let (decoding, jwk) = verifier(key)?;
            verifiers.insert(key.kid.clone(), (decoding, jwk));
        }
        let newest = stored
            .iter()
            .filter(held)
            .filter(|key| key.retire_at.is_none())
            .max_by_key(|key| (key.created_at, key.kid.clone()))
            .ok_or(KeyError::Unusable("there is none"))?;
        let signer = EncodingKey::from_ed_der(&newest.pkcs8);
        Ok(Self { signer_id: newest.kid.clone(), signer, verifiers })
    }

    /// The id of the key that signs.
    pub fn signer_id(&self) -> &str {
        &self.signer_id
    }

    /// The key that signs.
    pub const fn signer(&self) -> &EncodingKey {
        &self.signer
    }

    /// The key with this id, if it is ours.
    pub fn verifier(&self, kid: &str) -> Option<&DecodingKey> {
        self.verifiers.get(kid).map(|(key, _)| key)
    }

    /// The public keys as a JWK set.
    pub fn jwks(&self) -> Value {
        let keys: Vec<&Value> = self.verifiers.values().map(|(_, jwk)| jwk).collect();
        json!({ "keys": keys })
    }
}

fn verifier(key: &SigningKey) -> Result<(DecodingKey, Value), KeyError> {
    let unusable = |_| KeyError::Unusable("a public key is unreadable");
    let jwk: Value = serde_json::from_str(&key.public_jwk)
        .map_err(|_| KeyError::Unusable("a public key is not JSON"))?;
    let x = jwk.get("x").and_then(Value::as_str).unwrap_or_default();
    Ok((DecodingKey::from_ed_components(x).map_err(unusable)?, jwk))
}

/// Makes a new key.
pub fn make(random: &dyn Random, now: UnixMillis) -> Result<SigningKey, KeyError> {
    let failed = |what| KeyError::Unusable(what);
    let pair = Ed25519KeyPair::from_seed_unchecked(&random.bytes::<32>())
        .map_err(|_| failed("a key cannot be made"))?;
    let pkcs8 = pair.to_pkcs8().map_err(|_| failed("a key cannot be written"))?;
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(&canonical));
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig", "alg": ALGORITHM,
    });
    Ok(SigningKey {
        kid,
        alg: ALGORITHM.to_owned(),
        pkcs8: pkcs8.as_ref().to_vec(),
        public_jwk: jwk.to_string(),
        created_at: now,
        retire_at: None,
        purpose: PURPOSE.to_owned(),
    })
}

/// The keys of a running server.
#[derive(Debug)]
pub struct Keyring {
    keys: RwLock<Arc<KeySet>>,
    asked_at: Mutex<Option<Instant>>,
}

/// How often the database is asked for a key that nobody here knows.
const ASK_AGAIN: Duration = Duration::from_secs(5);

impl Keyring {
    /// Reads the keys, making the first one where there is none.
    pub async fn open(
        store: &Store,
        random: &dyn Random,
        now: UnixMillis,
    ) -> Result<Self, KeyError> {
        let mut tx = store.write().await?;
        let mut stored = tx.keys().list(PURPOSE).await?;
        if !stored.iter().any(|key| key.retire_at.is_none()) {
            let key = make(random, now)?;
            tx.keys().insert(&key).await?;
            stored.push(key);
        }
        tx.commit().await?;
        let keys = RwLock::new(Arc::new(KeySet::of(&stored, now)?));
        Ok(Self { keys, asked_at: Mutex::new(None) })
    }

    /// The keys now.
    pub fn now(&self) -> Arc<KeySet> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the keys again, for those that another process made.
    pub async fn refresh(&self, store: &Store, now: UnixMillis) -> Result<(), KeyError> {
        let stored = store.read().await?.keys().list(PURPOSE).await?;
        let next = Arc::new(KeySet::of(&stored, now)?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// Reads the keys again because a token names one that is unknown here: another node may have made it. True if
    /// they were read; not again within [`ASK_AGAIN`].
    pub async fn ask_for_unknown(&self, store: &Store, now: UnixMillis) -> Result<bool, KeyError> {
        {
            let mut asked_at = self.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
            if asked_at.is_some_and(|at| at.elapsed() < ASK_AGAIN) {
                return Ok(false);
            }
            *asked_at = Some(Instant::now());
        }
        self.refresh(store, now).await?;
        Ok(true)
    }
}

/// Makes a new signing key; the ones before it verify for [`OVERLAP_MS`] more.
pub async fn rotate(
    store: &Store,
    random: &dyn Random,
    now: UnixMillis,
) -> Result<String, KeyError> {
    replace(store, random, now, OVERLAP_MS).await
}

/// Makes a new signing key; the ones before it verify for `overlap_ms` more: 0 when one has leaked.
pub async fn replace(
    store: &Store,
    random: &dyn Random,
    now: UnixMillis,
    overlap_ms: i64,
) -> Result<String, KeyError> {
    let mut tx = store.write().await?;
    let end = now.plus(overlap_ms);
    for key in tx.keys().list(PURPOSE).await? {
        if key.retire_at.is_none_or(|retire_at| retire_at > end) {
            tx.keys().retire(&key.kid, end).await?;
        }
    }
    let key = make(random, now)?;
    tx.keys().insert(&key).await?;
    tx.commit().await?;
    Ok(key.kid)
}
