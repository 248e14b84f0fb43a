//! The audit trail: who did what and when. Append only.

use crate::sql::{from_row, on_conn, with_rows};
use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{DeviceId, Tenant, UserId},
};
use uuid::Uuid;

/// One thing that someone did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: UnixMillis,
    /// Who; `None` for the server itself and for strangers.
    pub actor: Option<UserId>,
    /// From which tablet.
    pub device: Option<DeviceId>,
    /// What: `grant.end`.
    pub action: String,
    /// To what.
    pub object: String,
    /// More, without content of records.
    pub detail: String,
}

from_row!(AuditEntry, |row| Self {
    id: row.try_get("id")?,
    at: UnixMillis(row.try_get("at")?),
    actor: row.try_get::<Option<_>, _>("actor")?.map(UserId),
    device: row.try_get::<Option<_>, _>("device")?.map(DeviceId),
    action: row.try_get("action")?,
    object: row.try_get("object")?,
    detail: row.try_get("detail")?,
});

impl Tx {
    /// The audit trail: who did what and when. Append only.
    pub fn audit(&mut self) -> Audit<'_> {
        Audit(self)
    }
}

/// The audit trail: who did what and when. Append only.
#[derive(Debug)]
pub struct Audit<'tx>(&'tx mut Tx);

impl Audit<'_> {
    /// Appends entries.
    pub async fn append(
        &mut self,
        tenant: &Tenant,
        entries: &[AuditEntry],
    ) -> Result<(), StorageError> {
        const INTO: &str =
            "insert into audit (tenant, id, at, actor, device, action, object, detail) ";
        with_rows!(self.0, INTO, entries, |row| [
            text tenant.as_str(),
            uuid row.id,
            bigint row.at.0,
            uuid row.actor.map(|user| user.0),
            uuid row.device.map(|device| device.0),
            text row.action.as_str(),
            text row.object.as_str(),
            text row.detail.as_str(),
        ], "");
        Ok(())
    }

    /// Lists up to `limit` entries before this place, newest first; `None` begins at the newest.
    pub async fn list(
        &mut self,
        tenant: &Tenant,
        before: Option<(UnixMillis, Uuid)>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StorageError> {
        const SQL: &str = "
            select id, at, actor, device, action, object, detail from audit
             where tenant = $1 and (at, id) < ($2, $3) order by at desc, id desc limit $4";
        let (at, id) = before.unwrap_or((UnixMillis(i64::MAX), Uuid::max()));
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL)
                .bind(tenant.as_str())
                .bind(at.0)
                .bind(id)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?
        }))
    }
}
