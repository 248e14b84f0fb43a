//! Nonces: each good for one answer.

use crate::{Hash, StorageError, Tx};
use sync_protocol::clock::UnixMillis;

impl Tx {
    /// Nonces: each good for one answer.
    pub fn nonces(&mut self) -> Nonces<'_> {
        Nonces(self)
    }
}

/// Nonces: each good for one answer.
#[derive(Debug)]
pub struct Nonces<'tx>(&'tx mut Tx);

impl Nonces<'_> {
    /// Stores a nonce by its hash.
    pub async fn issue(&mut self, hash: &Hash, expires_at: UnixMillis) -> Result<(), StorageError> {
        _ = (hash, expires_at);
        todo!()
    }

    /// Uses a nonce up; false if it is unknown, used or expired.
    pub async fn take(&mut self, hash: &Hash, now: UnixMillis) -> Result<bool, StorageError> {
        _ = (hash, now);
        todo!()
    }

    /// Removes expired ones and gives how many.
    pub async fn expire(&mut self, now: UnixMillis) -> Result<u64, StorageError> {
        _ = (now,);
        todo!()
    }
}
