//! Purge receipts: a tablet reported that a bucket is erased from it.

use crate::sql::{from_row, on_conn, parsed, with_rows};
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

from_row!(PurgeReceipt, |row| Self {
    device: DeviceId(row.try_get("device")?),
    bucket: parsed("bucket", row.try_get("bucket")?)?,
    at_seq: Seq(row.try_get("at_seq")?),
    received_at: UnixMillis(row.try_get("received_at")?),
});

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
        const INTO: &str =
            "insert into purge_receipt (tenant, device, bucket, at_seq, received_at) ";
        with_rows!(self.0, INTO, receipts, |row| [
            text tenant.as_str(),
            uuid row.device.0,
            text row.bucket.as_str(),
            bigint row.at_seq.0,
            bigint row.received_at.0,
        ], " on conflict (tenant, device, bucket, at_seq) do nothing");
        Ok(())
    }

    /// Lists the reports of a device, by bucket and seq.
    pub async fn of_device(
        &mut self,
        tenant: &Tenant,
        device: DeviceId,
    ) -> Result<Vec<PurgeReceipt>, StorageError> {
        const SQL: &str = "
            select device, bucket, at_seq, received_at from purge_receipt
             where tenant = $1 and device = $2 order by bucket, at_seq";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(device.0).fetch_all(conn).await?
        }))
    }
}
