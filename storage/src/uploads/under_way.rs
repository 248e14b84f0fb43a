//! What a person with one device has under way.

use super::Uploads;
use crate::StorageError;
use crate::sql::{from_row, on_conn, sql};
use sync_protocol::{
    clock::UnixMillis,
    id::{DeviceId, Tenant, UserId},
};

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

impl Uploads<'_> {
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
}
