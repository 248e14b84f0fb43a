//! Uploads of photos and video on their way: how far each has come, who writes to it, and its durable parts.

mod end;
mod lease;
mod parts;
mod under_way;

pub use parts::{Claim, UploadPart};
pub use under_way::UnderWay;

use crate::sql::{from_row, hash, on_conn, parsed, stored_as};
use crate::{Hash, StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{DeviceId, Tenant, UploadId, UserId},
};
use uuid::Uuid;

/// Runs a statement on one upload, of the tenant `$1` and the id `$2`, and gives how many rows it wrote.
macro_rules! written {
    ($uploads:expr, $sql:expr, $tenant:expr, $id:expr $(, $value:expr)* $(,)?) => {{
        let tenant = $tenant.as_str();
        crate::sql::on_conn!($uploads.0, |conn| {
            let query = sqlx::query($sql).bind(tenant).bind($id.0)$(.bind($value))*;
            query.execute(conn).await?.rows_affected()
        })
    }};
}
use written;

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

/// Names an upload of any tenant.
pub type UploadName = (Tenant, UploadId);

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
}
