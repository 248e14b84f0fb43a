//! The end of an upload: it is closed, its objects that nothing names are swept, its row goes.

use super::{UploadName, UploadState, Uploads, written};
use crate::StorageError;
use crate::sql::{Ids, from_row, on_conn, parsed, sql};
use sync_protocol::{
    clock::UnixMillis,
    id::{Tenant, UploadId},
};
use uuid::Uuid;

struct Named(UploadName);

from_row!(Named, |row| Self((
    parsed("tenant", row.try_get("tenant")?)?,
    UploadId(row.try_get("id")?)
)));

impl Uploads<'_> {
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
        Ok(written!(self, SQL, tenant, id, state.as_str(), now.0) == 1)
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
        written!(self, SQL, tenant, id, now.0);
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
        written!(self, SQL, tenant, id, closed_at.0);
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
        written!(self, SQL, tenant, id, now.0);
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
