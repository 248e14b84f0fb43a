//! Uploads of photos and video on their way: how far each has come, who writes to it, and its durable parts.

use crate::sql::{Ids, from_row, hash, on_conn, parsed, sql, stored_as, with_rows};
use crate::{Hash, StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{DeviceId, Tenant, UploadId, UserId},
};
use uuid::Uuid;

/// How an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadState {
    /// It takes bytes.
    Open,
    /// All bytes have come and were what had been declared.
    Finished,
    /// The bytes were not what had been declared.
    Failed,
    /// It was given up, or its time was over.
    Ended,
}

stored_as!(UploadState { Open = "open", Finished = "finished", Failed = "failed", Ended = "ended" });

/// Who writes to an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadLease {
    /// The call that writes.
    pub owner: Uuid,
    /// From this instant on another call may take the lease.
    pub until: UnixMillis,
    /// The call that asked the owner to stop.
    pub asked: Option<Uuid>,
}

/// One upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Who sends.
    pub user: UserId,
    /// The tablet that sends, if it is one.
    pub device: Option<DeviceId>,
    /// What the SHA-256 of all bytes was declared to be.
    pub sha256: Hash,
    /// How many bytes there will be.
    pub bytes: i64,
    /// What the type of the bytes was declared to be.
    pub mime: String,
    /// What the client said of it, as it was sent.
    pub metadata: String,
    /// How it stands.
    pub state: UploadState,
    /// How many bytes are durable.
    pub received: i64,
    /// The state of the SHA-256 after these bytes.
    pub hash_state: Option<Vec<u8>>,
    /// When it began.
    pub created_at: UnixMillis,
    /// From when on it takes no more bytes.
    pub expires_at: UnixMillis,
    /// Who writes to it.
    pub lease: Option<UploadLease>,
    /// When it stopped to be open.
    pub closed_at: Option<UnixMillis>,
    /// Whether its objects that nothing names have been removed.
    pub swept: bool,
}

macro_rules! columns {
    () => {
        "id, user_id, device, sha256, bytes, mime, metadata, state, received, hash_state, created_at, \
         expires_at, lease_owner, lease_until, lease_asked, closed_at, swept"
    };
}

from_row!(Upload, |row| Self {
    id: UploadId(row.try_get("id")?),
    user: UserId(row.try_get("user_id")?),
    device: row.try_get::<Option<_>, _>("device")?.map(DeviceId),
    sha256: hash("sha256", row.try_get("sha256")?)?,
    bytes: row.try_get("bytes")?,
    mime: row.try_get("mime")?,
    metadata: row.try_get("metadata")?,
    state: parsed("state", row.try_get("state")?)?,
    received: row.try_get("received")?,
    hash_state: row.try_get("hash_state")?,
    created_at: UnixMillis(row.try_get("created_at")?),
    expires_at: UnixMillis(row.try_get("expires_at")?),
    lease: {
        let asked = row.try_get("lease_asked")?;
        let owner: Option<Uuid> = row.try_get("lease_owner")?;
        let until: Option<i64> = row.try_get("lease_until")?;
        owner.zip(until).map(|(owner, until)| UploadLease {
            owner,
            until: UnixMillis(until),
            asked,
        })
    },
    closed_at: row.try_get::<Option<_>, _>("closed_at")?.map(UnixMillis),
    swept: row.try_get("swept")?,
});

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

/// What a person with one device has under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// Uploads that are open.
    pub open: i64,
    /// Bytes since the asked instant: all of open uploads, what came of others.
    pub bytes: i64,
    /// Uploads since the asked instant.
    pub begun: i64,
    /// The oldest upload since the asked instant.
    pub oldest: Option<UnixMillis>,
}

from_row!(UnderWay, |row| Self {
    open: 0,
    bytes: row.try_get("bytes")?,
    begun: row.try_get("begun")?,
    oldest: row.try_get::<Option<_>, _>("oldest")?.map(UnixMillis),
});

/// Names an upload of any tenant.
pub type UploadName = (Tenant, UploadId);

struct Named(UploadName);

from_row!(Named, |row| Self((
    parsed("tenant", row.try_get("tenant")?)?,
    UploadId(row.try_get("id")?)
)));

impl Tx {
    /// Uploads of photos and video on their way.
    pub fn uploads(&mut self) -> Uploads<'_> {
        Uploads(self)
    }
}

/// Uploads of photos and video on their way.
#[derive(Debug)]
pub struct Uploads<'tx>(&'tx mut Tx);

impl Uploads<'_> {
    /// Stores a new upload.
    pub async fn insert(&mut self, tenant: &Tenant, upload: &Upload) -> Result<(), StorageError> {
        const SQL: &str = concat!(
            "insert into upload (tenant, ",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, \
             $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
        );
        let Upload { lease, .. } = upload;
        on_conn!(self.0, |conn| {
            sqlx::query(SQL)
                .bind(tenant.as_str())
                .bind(upload.id.0)
                .bind(upload.user.0)
                .bind(upload.device.map(|id| id.0))
                .bind(upload.sha256.as_slice())
                .bind(upload.bytes)
                .bind(&upload.mime)
                .bind(&upload.metadata)
                .bind(upload.state.as_str())
                .bind(upload.received)
                .bind(upload.hash_state.as_deref())
                .bind(upload.created_at.0)
                .bind(upload.expires_at.0)
                .bind(lease.map(|lease| lease.owner))
                .bind(lease.map(|lease| lease.until.0))
                .bind(lease.and_then(|lease| lease.asked))
                .bind(upload.closed_at.map(|at| at.0))
                .bind(upload.swept)
                .execute(conn)
                .await?;
        });
        Ok(())
    }

    /// Finds one upload.
    pub async fn find(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
    ) -> Result<Option<Upload>, StorageError> {
        const SQL: &str =
            concat!("select ", columns!(), " from upload where tenant = $1 and id = $2");
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL)
            .bind(tenant)
            .bind(id.0)
            .fetch_optional(conn)
            .await?))
    }

    /// Reads what a person has under way with a device (at the console, where it is `None`), and keeps other
    /// transactions that ask the same of that person waiting until commit.
    pub async fn under_way(
        &mut self,
        tenant: &Tenant,
        user: UserId,
        device: Option<DeviceId>,
        since: UnixMillis,
    ) -> Result<UnderWay, StorageError> {
        const SUMS: &str = "
            select cast(coalesce(sum(case when state = 'open' then bytes else received end), 0)
                        as bigint) as bytes,
                   count(*) as begun, min(created_at) as oldest
              from upload
             where tenant = $1 and user_id = $2 and created_at > $4
               and device is not distinct from $3";
        const OPEN: &str = "
            select count(*) from upload
             where tenant = $1 and user_id = $2 and state = 'open'
               and device is not distinct from $3";
        let lock = sql!(self.0, "select id from user_ where tenant = $1 and id = $2", (for_update));
        let tenant = tenant.as_str();
        let device = device.map(|id| id.0);
        let (sums, open): (UnderWay, i64) = on_conn!(self.0, |conn| {
            sqlx::query(lock).bind(tenant).bind(user.0).execute(&mut *conn).await?;
            let sums = sqlx::query_as(SUMS).bind(tenant).bind(user.0).bind(device).bind(since.0);
            let sums = sums.fetch_one(&mut *conn).await?;
            let open = sqlx::query_scalar(OPEN).bind(tenant).bind(user.0).bind(device);
            (sums, open.fetch_one(conn).await?)
        });
        Ok(UnderWay { open, ..sums })
    }

    /// Takes the lease of an open upload for `owner`, if nobody holds it now; says whether it did.
    pub async fn take(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        owner: Uuid,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<bool, StorageError> {
        const SQL: &str = "
            update upload set lease_owner = $3, lease_until = $5, lease_asked = null
             where tenant = $1 and id = $2 and state = 'open'
               and (lease_owner is null or lease_until <= $4)";
        let tenant = tenant.as_str();
        let written = on_conn!(self.0, |conn| {
            let query = sqlx::query(SQL).bind(tenant).bind(id.0).bind(owner);
            query.bind(now.0).bind(until.0).execute(conn).await?.rows_affected()
        });
        Ok(written == 1)
    }

    /// Asks whoever else holds the lease to stop.
    pub async fn ask(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        asker: Uuid,
    ) -> Result<(), StorageError> {
        const SQL: &str = "
            update upload set lease_asked = $3
             where tenant = $1 and id = $2 and lease_owner is not null and lease_owner <> $3";
        let tenant = tenant.as_str();
        on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(tenant).bind(id.0).bind(asker).execute(conn).await?;
        });
        Ok(())
    }

    /// Holds the own lease longer; false if it is no longer the own one.
    pub async fn renew(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        owner: Uuid,
        until: UnixMillis,
    ) -> Result<bool, StorageError> {
        const SQL: &str = "
            update upload set lease_until = $4
             where tenant = $1 and id = $2 and lease_owner = $3 and state = 'open'";
        let tenant = tenant.as_str();
        let written = on_conn!(self.0, |conn| {
            let query = sqlx::query(SQL).bind(tenant).bind(id.0).bind(owner).bind(until.0);
            query.execute(conn).await?.rows_affected()
        });
        Ok(written == 1)
    }

    /// Gives the own lease back; what is no longer the own one is left alone.
    pub async fn release(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        owner: Uuid,
    ) -> Result<(), StorageError> {
        const SQL: &str = "
            update upload set lease_owner = null, lease_until = null, lease_asked = null
             where tenant = $1 and id = $2 and lease_owner = $3";
        let tenant = tenant.as_str();
        on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(tenant).bind(id.0).bind(owner).execute(conn).await?;
        });
        Ok(())
    }

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
        let until = claim.lease_until.map(|at| at.0);
        let written = on_conn!(self.0, |conn| {
            let query = sqlx::query(SQL).bind(tenant.as_str()).bind(id.0).bind(claim.owner);
            let query = query.bind(claim.from).bind(claim.to).bind(claim.hash_state);
            let query = query.bind(claim.expires_at.0).bind(until);
            query.execute(conn).await?.rows_affected()
        });
        if written == 0 {
            return Err(StorageError::Stale);
        }
        self.put_parts(tenant, id, claim.parts).await
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

    /// Closes an open upload; false if it is not open. Its lease is over.
    pub async fn close(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        state: UploadState,
        now: UnixMillis,
    ) -> Result<bool, StorageError> {
        const SQL: &str = "
            update upload
               set state = $3, closed_at = $4, lease_owner = null, lease_until = null,
                   lease_asked = null
             where tenant = $1 and id = $2 and state = 'open'";
        let tenant = tenant.as_str();
        let written = on_conn!(self.0, |conn| {
            let query = sqlx::query(SQL).bind(tenant).bind(id.0).bind(state.as_str()).bind(now.0);
            query.execute(conn).await?.rows_affected()
        });
        Ok(written == 1)
    }

    /// Takes the address of a closed upload away: from now on it is gone for its owner.
    pub async fn forget(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        now: UnixMillis,
    ) -> Result<(), StorageError> {
        const SQL: &str = "
            update upload set expires_at = $3
             where tenant = $1 and id = $2 and state <> 'open' and expires_at > $3";
        let tenant = tenant.as_str();
        on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(tenant).bind(id.0).bind(now.0).execute(conn).await?;
        });
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
        let tenant = tenant.as_str();
        on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(tenant).bind(id.0).execute(conn).await?;
        });
        Ok(())
    }

    /// Lists up to `limit` open uploads whose time is over, of all tenants, the oldest first.
    pub async fn expired(
        &mut self,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<UploadName>, StorageError> {
        const SQL: &str = "
            select tenant, id from upload where state = 'open' and expires_at <= $1
             order by expires_at limit $2";
        self.names(SQL, now, limit).await
    }

    /// Lists up to `limit` uploads of all tenants that were closed until `before` and are not swept, the oldest first;
    /// not those whose blob waits for its derivatives.
    pub async fn unswept(
        &mut self,
        before: UnixMillis,
        limit: u32,
    ) -> Result<Vec<UploadName>, StorageError> {
        const SQL: &str = "
            select u.tenant, u.id from upload as u
              left join blob as b on b.tenant = u.tenant and b.sha256 = u.sha256 and b.home = u.id
             where u.state <> 'open' and not u.swept and u.closed_at <= $1
               and (b.render is null or b.render <> 'pending' and b.state = 'have')
             order by u.closed_at limit $2";
        self.names(SQL, before, limit).await
    }

    async fn names(
        &mut self,
        sql: &'static str,
        at: UnixMillis,
        limit: u32,
    ) -> Result<Vec<UploadName>, StorageError> {
        let found: Vec<Named> = on_conn!(self.0, |conn| {
            sqlx::query_as(sql).bind(at.0).bind(i64::from(limit)).fetch_all(conn).await?
        });
        Ok(found.into_iter().map(|Named(name)| name).collect())
    }

    /// Says that the objects of an upload that was closed at this instant and that nothing names have been removed.
    pub async fn swept(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        closed_at: UnixMillis,
    ) -> Result<(), StorageError> {
        const SQL: &str = "
            update upload set swept = true
             where tenant = $1 and id = $2 and state <> 'open' and closed_at = $3";
        let tenant = tenant.as_str();
        on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(tenant).bind(id.0).bind(closed_at.0).execute(conn).await?;
        });
        Ok(())
    }

    /// Has a closed upload swept once more, as if it had been closed `now`.
    pub async fn sweep_again(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        now: UnixMillis,
    ) -> Result<(), StorageError> {
        const SQL: &str = "
            update upload set swept = false, closed_at = $3
             where tenant = $1 and id = $2 and state <> 'open'";
        let tenant = tenant.as_str();
        on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(tenant).bind(id.0).bind(now.0).execute(conn).await?;
        });
        Ok(())
    }

    /// Those of these ids that an upload has.
    pub async fn known(
        &mut self,
        tenant: &Tenant,
        ids: &[UploadId],
    ) -> Result<Vec<UploadId>, StorageError> {
        let sql = sql!(self.0, "select id from upload where tenant = $1 and id ", (ids "$2"));
        let ids = Ids::of(ids.iter().map(|id| id.0));
        let tenant = tenant.as_str();
        let found: Vec<Uuid> = on_conn!(self.0, |conn| {
            sqlx::query_scalar(sql).bind(tenant).bind(ids).fetch_all(conn).await?
        });
        Ok(found.into_iter().map(UploadId).collect())
    }

    /// Removes up to `limit` swept uploads whose time is over and that have no parts, and gives how many.
    pub async fn remove_spent(&mut self, now: UnixMillis, limit: u32) -> Result<u64, StorageError> {
        const SQL: &str = "
            delete from upload where (tenant, id) in (
                select u.tenant, u.id from upload as u
                 where u.swept and u.expires_at <= $1 and not exists (
                       select 1 from upload_part as p
                        where p.tenant = u.tenant and p.upload = u.id)
                 order by u.expires_at limit $2)";
        Ok(on_conn!(self.0, |conn| {
            let query = sqlx::query(SQL).bind(now.0).bind(i64::from(limit));
            query.execute(conn).await?.rows_affected()
        }))
    }
}
