//! Purge receipts: a tablet reported that a bucket is erased from it.

use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{Bucket, DeviceId, Seq, Tenant},
};

/// One report of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeReceipt {
    /// The tablet.
    pub device: DeviceId,
    /// The bucket.
    pub bucket: Bucket,
    /// The head when the bucket was left.
    pub at_seq: Seq,
    /// When the report came; the first counts.
    pub received_at: UnixMillis,
}

impl Tx {
    /// Purge receipts: a tablet reported that a bucket is erased from it.
    pub fn purges(&mut self) -> Purges<'_> {
        Purges(self)
    }
}

/// Purge receipts: a tablet reported that a bucket is erased from it.
#[derive(Debug)]
pub struct Purges<'tx>(&'tx mut Tx);

impl Purges<'_> {
    /// Stores reports; one that is stored already stays as it is.
    pub async fn insert(
        &mut self,
        tenant: &Tenant,
        receipts: &[PurgeReceipt],
    ) -> Result<(), StorageError> {
        _ = (tenant, receipts);
        todo!()
    }

    /// Lists the reports of a device, by bucket and seq.
    pub async fn of_device(
        &mut self,
        tenant: &Tenant,
        device: DeviceId,
    ) -> Result<Vec<PurgeReceipt>, StorageError> {
        _ = (tenant, device);
        todo!()
    }
}
