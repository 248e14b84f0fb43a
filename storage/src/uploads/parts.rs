//! The durable parts of an upload, and the call that claims them.

use super::{Uploads, written};
use crate::StorageError;
use crate::sql::{from_row, on_conn, with_rows};
use sync_protocol::{
    clock::UnixMillis,
    id::{Tenant, UploadId},
};
use uuid::Uuid;

/// A durable part of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPart {
    /// Its place: 0, 1, 2 …
    pub idx: i64,
    /// The key of its object.
    pub key: String,
    /// How many bytes it has.
    pub bytes: i64,
}

from_row!(UploadPart, |row| Self {
    idx: row.try_get("idx")?,
    key: row.try_get("key")?,
    bytes: row.try_get("bytes")?,
});

/// What a call says of bytes that are durable.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The call that writes.
    pub owner: Uuid,
    /// How many bytes the upload had before.
    pub from: i64,
    /// How many it has now.
    pub to: i64,
    /// The new parts; one whose place is taken replaces what is there.
    pub parts: &'a [UploadPart],
    /// The state of the SHA-256 now.
    pub hash_state: Option<&'a [u8]>,
    /// Until when the lease is held now; `None` gives it back.
    pub lease_until: Option<UnixMillis>,
    /// Until when the upload takes bytes now.
    pub expires_at: UnixMillis,
}

impl Uploads<'_> {
    /// Says that bytes are durable; [`StorageError::Stale`] if the upload is not open, has another offset, or
    /// another call holds its lease. The objects of the parts are there before.
    pub async fn claim(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        claim: &Claim<'_>,
    ) -> Result<(), StorageError> {
        const SQL: &str = "
            update upload
               set received = $5, hash_state = $6, expires_at = $7, lease_until = $8,
                   lease_owner = case when $8 is null then null else lease_owner end,
                   lease_asked = case when $8 is null then null else lease_asked end
             where tenant = $1 and id = $2 and lease_owner = $3 and received = $4
               and state = 'open'";
        let Claim { owner, from, to, parts, hash_state, lease_until, expires_at } = *claim;
        let until = lease_until.map(|at| at.0);
        let written =
            written!(self, SQL, tenant, id, owner, from, to, hash_state, expires_at.0, until);
        if written == 0 {
            return Err(StorageError::Stale);
        }
        self.put_parts(tenant, id, parts).await
    }

    /// Stores parts; one whose place is taken replaces what is there.
    pub async fn put_parts(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        parts: &[UploadPart],
    ) -> Result<(), StorageError> {
        const INTO: &str = "insert into upload_part (tenant, upload, idx, key, bytes) ";
        with_rows!(self.0, INTO, parts, |part| [
            text tenant.as_str(),
            uuid id.0,
            bigint part.idx,
            text part.key.as_str(),
            bigint part.bytes,
        ], " on conflict (tenant, upload, idx) do update set key = excluded.key, bytes = excluded.bytes");
        Ok(())
    }

    /// The parts of an upload in their order.
    pub async fn parts(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
    ) -> Result<Vec<UploadPart>, StorageError> {
        const SQL: &str = "
            select idx, key, bytes from upload_part where tenant = $1 and upload = $2 order by idx";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL)
            .bind(tenant)
            .bind(id.0)
            .fetch_all(conn)
            .await?))
    }

    /// The last part of an upload.
    pub async fn last_part(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
    ) -> Result<Option<UploadPart>, StorageError> {
        const SQL: &str = "
            select idx, key, bytes from upload_part
             where tenant = $1 and upload = $2 order by idx desc limit 1";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL)
            .bind(tenant)
            .bind(id.0)
            .fetch_optional(conn)
            .await?))
    }

    /// Removes the parts of an upload; their objects are removed before.
    pub async fn remove_parts(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
    ) -> Result<(), StorageError> {
        const SQL: &str = "delete from upload_part where tenant = $1 and upload = $2";
        written!(self, SQL, tenant, id);
        Ok(())
    }
}
