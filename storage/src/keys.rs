//! Signing keys of the server, by purpose.

use crate::{StorageError, Tx};
use sync_protocol::clock::UnixMillis;

/// One key pair. Its debug form does not show the private half.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name in tokens.
    pub kid: String,
    /// `EdDSA` or `ES256`.
    pub alg: String,
    /// The private half.
    pub pkcs8: Vec<u8>,
    /// The public half as a JWK.
    pub public_jwk: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is not used any more.
    pub retire_at: Option<UnixMillis>,
    /// What it signs: `access_token`.
    pub purpose: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

impl Tx {
    /// Signing keys of the server, by purpose.
    pub fn keys(&mut self) -> Keys<'_> {
        Keys(self)
    }
}

/// Signing keys of the server, by purpose.
#[derive(Debug)]
pub struct Keys<'tx>(&'tx mut Tx);

impl Keys<'_> {
    /// Stores a key.
    pub async fn insert(&mut self, key: &SigningKey) -> Result<(), StorageError> {
        _ = (key,);
        todo!()
    }

    /// Lists the keys of a purpose, newest first, retired ones too.
    pub async fn list(&mut self, purpose: &str) -> Result<Vec<SigningKey>, StorageError> {
        _ = (purpose,);
        todo!()
    }

    /// Sets when a key retires; [`StorageError::Stale`] if it is unknown.
    pub async fn retire(&mut self, kid: &str, at: UnixMillis) -> Result<(), StorageError> {
        _ = (kid, at);
        todo!()
    }

    /// Removes keys that retired before `before` and gives how many.
    pub async fn remove_retired(&mut self, before: UnixMillis) -> Result<u64, StorageError> {
        _ = (before,);
        todo!()
    }
}
