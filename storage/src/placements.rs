//! Placements: where records lie and have lain.

use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{Bucket, RecordId, Tenant},
};

/// One stay of a record in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The record.
    pub rec: RecordId,
    /// The bucket.
    pub bucket: Bucket,
    /// Since when.
    pub from_at: UnixMillis,
    /// Until when; `None` while it lies there.
    pub to_at: Option<UnixMillis>,
}

impl Tx {
    /// Placements: where records lie and have lain.
    pub fn placements(&mut self) -> Placements<'_> {
        Placements(self)
    }
}

/// Placements: where records lie and have lain.
#[derive(Debug)]
pub struct Placements<'tx>(&'tx mut Tx);

impl Placements<'_> {
    /// Lists all stays of these records, ended ones too, by record and time.
    pub async fn of_records(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<Vec<Placement>, StorageError> {
        _ = (tenant, recs);
        todo!()
    }

    /// Begins stays.
    pub async fn open(
        &mut self,
        tenant: &Tenant,
        stays: &[(RecordId, Bucket)],
        at: UnixMillis,
    ) -> Result<(), StorageError> {
        _ = (tenant, stays, at);
        todo!()
    }

    /// Ends the open stays among these.
    pub async fn close(
        &mut self,
        tenant: &Tenant,
        stays: &[(RecordId, Bucket)],
        at: UnixMillis,
    ) -> Result<(), StorageError> {
        _ = (tenant, stays, at);
        todo!()
    }
}
