//! Pointers: one row per bucket and record, overwritten in place; what a pull reads.

use crate::{StorageError, Tx};
use sync_protocol::id::{Bucket, RecordId, Seq, Tenant};

/// Where a record stands in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The bucket.
    pub bucket: Bucket,
    /// The record.
    pub rec: RecordId,
    /// The seq of the last change, or of the leaving.
    pub seq: Seq,
    /// The seq at which the record last entered.
    pub since: Seq,
    /// Whether the record lies there now.
    pub live: bool,
}

/// One pointer to overwrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointerTouch {
    /// The bucket.
    pub bucket: Bucket,
    /// The record.
    pub rec: RecordId,
    /// The new seq.
    pub seq: Seq,
    /// The seq of the entering; `None` keeps what is stored.
    pub since: Option<Seq>,
    /// Whether the record lies there now.
    pub live: bool,
}

impl Tx {
    /// Pointers: one row per bucket and record, overwritten in place; what a pull reads.
    pub fn pointers(&mut self) -> Pointers<'_> {
        Pointers(self)
    }
}

/// Pointers: one row per bucket and record, overwritten in place; what a pull reads.
#[derive(Debug)]
pub struct Pointers<'tx>(&'tx mut Tx);

impl Pointers<'_> {
    /// Overwrites pointers, or makes them. Of several touches of one pointer the last `seq` and `live` and the last `since` that is given count.
    pub async fn touch(
        &mut self,
        tenant: &Tenant,
        touches: &[PointerTouch],
    ) -> Result<(), StorageError> {
        _ = (tenant, touches);
        todo!()
    }

    /// Lists pointers of these buckets with a seq above `at`, in seq order: at least `limit` if there are so many, and never only a part of those with one seq. Fewer than `limit` means that there are no more.
    pub async fn after(
        &mut self,
        tenant: &Tenant,
        buckets: &[Bucket],
        at: Seq,
        limit: u32,
    ) -> Result<Vec<Pointer>, StorageError> {
        _ = (tenant, buckets, at, limit);
        todo!()
    }

    /// Lists up to `limit` live pointers of a bucket with a record above `after`, by record.
    pub async fn page(
        &mut self,
        tenant: &Tenant,
        bucket: &Bucket,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<Pointer>, StorageError> {
        _ = (tenant, bucket, after, limit);
        todo!()
    }

    /// Counts the live pointers of a bucket.
    pub async fn count_live(
        &mut self,
        tenant: &Tenant,
        bucket: &Bucket,
    ) -> Result<i64, StorageError> {
        _ = (tenant, bucket);
        todo!()
    }

    /// Lists record and `rv` of the live pointers of a bucket.
    pub async fn sums(
        &mut self,
        tenant: &Tenant,
        bucket: &Bucket,
    ) -> Result<Vec<(RecordId, Seq)>, StorageError> {
        _ = (tenant, bucket);
        todo!()
    }

    /// Lists the pointers of these records, live or not, by record and bucket.
    pub async fn buckets_of(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<Vec<Pointer>, StorageError> {
        _ = (tenant, recs);
        todo!()
    }
}
