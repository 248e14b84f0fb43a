//! Placements: where records lie and have lain.

use crate::sql::{Ids, from_row, on_conn, parsed, sql, with_rows};
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

from_row!(Placement, |row| Self {
    rec: RecordId(row.try_get("rec")?),
    bucket: parsed("bucket", row.try_get("bucket")?)?,
    from_at: UnixMillis(row.try_get("from_at")?),
    to_at: row.try_get::<Option<_>, _>("to_at")?.map(UnixMillis),
});

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
    /// Lists all stays of these records, ended ones too, by record, time and bucket.
    pub async fn of_records(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<Vec<Placement>, StorageError> {
        let sql = sql!(
            self.0,
            "select rec, bucket, from_at, to_at from ", (each "placement" "rec" "$2"),
            " order by rec, from_at, bucket"
        );
        let ids = Ids::of(recs.iter().map(|rec| rec.0));
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(sql)
            .bind(tenant)
            .bind(ids)
            .fetch_all(conn)
            .await?))
    }

    /// Begins stays, each named once; one that ended at this very instant goes on.
    pub async fn open(
        &mut self,
        tenant: &Tenant,
        stays: &[(RecordId, Bucket)],
        at: UnixMillis,
    ) -> Result<(), StorageError> {
        const INTO: &str = "insert into placement (tenant, rec, bucket, from_at) ";
        with_rows!(self.0, INTO, stays, |row| [
            text tenant.as_str(),
            uuid row.0.0,
            text row.1.as_str(),
            bigint at.0,
        ], " on conflict (tenant, rec, bucket, from_at) do update set to_at = null");
        Ok(())
    }

    /// Ends the open stays among these.
    pub async fn close(
        &mut self,
        tenant: &Tenant,
        stays: &[(RecordId, Bucket)],
        at: UnixMillis,
    ) -> Result<(), StorageError> {
        const WITH: &str = "with ended (tenant, rec, bucket, at) as (";
        const UPDATE: &str = ") update placement set to_at = ended.at from ended
             where placement.tenant = ended.tenant and placement.rec = ended.rec
               and placement.bucket = ended.bucket and placement.to_at is null";
        with_rows!(self.0, WITH, stays, |row| [
            text tenant.as_str(),
            uuid row.0.0,
            text row.1.as_str(),
            bigint at.0,
        ], UPDATE);
        Ok(())
    }
}
