//! Blobs without their bytes, for tests of what is said of them.

use crate::sql::on_conn;
use crate::{StorageError, Tx};
use sync_protocol::blob::{BlobHash, BlobRef};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Tenant, UserId};
use uuid::Uuid;

/// Writes what a finished upload leaves behind: the blob is here, and this user has shown it.
pub async fn show_blob(
    tx: &mut Tx,
    tenant: &Tenant,
    user: UserId,
    blob: BlobRef,
    at: UnixMillis,
) -> Result<(), StorageError> {
    const BLOB: &str = "
        insert into blob (tenant, sha256, home, bytes, mime, state, stored_at, render, render_failures)
        values ($1, $2, $3, $4, $5, 'have', $6, 'none', 0) on conflict do nothing";
    const OWNER: &str = "
        insert into blob_owner (tenant, sha256, user_id, shown_at) values ($1, $2, $3, $4)
        on conflict do nothing";
    let (tenant, sha256) = (tenant.as_str(), blob.sha256.0.as_slice());
    on_conn!(tx, |conn| {
        sqlx::query(BLOB)
            .bind(tenant)
            .bind(sha256)
            .bind(Uuid::nil())
            .bind(i64::try_from(blob.bytes).unwrap_or(i64::MAX))
            .bind(blob.kind.mime())
            .bind(at.0)
            .execute(&mut *conn)
            .await?;
        sqlx::query(OWNER)
            .bind(tenant)
            .bind(sha256)
            .bind(user.0)
            .bind(at.0)
            .execute(&mut *conn)
            .await?;
    });
    Ok(())
}

/// Writes what the collection of a blob begins with.
pub async fn begin_deletion(
    tx: &mut Tx,
    tenant: &Tenant,
    sha256: BlobHash,
) -> Result<(), StorageError> {
    const SQL: &str = "update blob set state = 'deleting' where tenant = $1 and sha256 = $2";
    let tenant = tenant.as_str();
    on_conn!(tx, |conn| {
        sqlx::query(SQL).bind(tenant).bind(sha256.0.as_slice()).execute(conn).await?;
    });
    Ok(())
}
