//! Seals: what was approved, as it was approved.

use crate::{Hash, StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{ChangeId, RecordId, Tenant, UserId},
};

/// One approved snapshot; it never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealSnapshot {
    /// The record.
    pub rec: RecordId,
    /// The seal's change.
    pub change: ChangeId,
    /// The SHA-256 of `body`.
    pub view_hash: Hash,
    /// The version of the form that it was read with.
    pub form_version: i64,
    /// The canonical JSON of the view.
    pub body: Vec<u8>,
    /// When it was sealed.
    pub sealed_at: UnixMillis,
    /// Who sealed it.
    pub by: UserId,
}

impl Tx {
    /// Seals: what was approved, as it was approved.
    pub fn seals(&mut self) -> Seals<'_> {
        Seals(self)
    }
}

/// Seals: what was approved, as it was approved.
#[derive(Debug)]
pub struct Seals<'tx>(&'tx mut Tx);

impl Seals<'_> {
    /// Stores an approved snapshot.
    pub async fn insert(
        &mut self,
        tenant: &Tenant,
        seal: &SealSnapshot,
    ) -> Result<(), StorageError> {
        _ = (tenant, seal);
        todo!()
    }

    /// Finds the snapshot of one seal.
    pub async fn find(
        &mut self,
        tenant: &Tenant,
        rec: RecordId,
        change: ChangeId,
    ) -> Result<Option<SealSnapshot>, StorageError> {
        _ = (tenant, rec, change);
        todo!()
    }

    /// Finds the last snapshot of a record.
    pub async fn latest(
        &mut self,
        tenant: &Tenant,
        rec: RecordId,
    ) -> Result<Option<SealSnapshot>, StorageError> {
        _ = (tenant, rec);
        todo!()
    }
}
