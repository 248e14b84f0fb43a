//! Enrolment codes: single use, short-lived, known by their hash.

use crate::sql::{from_row, hash, on_conn, parsed};
use crate::{Hash, StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{DeviceId, Tenant, UserId},
};

/// One code that binds a tablet to a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentCode {
    /// The tenant.
    pub tenant: Tenant,
    /// The SHA-256 of the code.
    pub hash: Hash,
    /// For whom.
    pub user: UserId,
    /// Who made it.
    pub created_by: UserId,
    /// When.
    pub created_at: UnixMillis,
    /// Not good from this instant on.
    pub expires_at: UnixMillis,
    /// When it was used.
    pub used_at: Option<UnixMillis>,
    /// The device that used it.
    pub used_by_device: Option<DeviceId>,
    /// Failed attempts.
    pub attempts: i64,
}

macro_rules! columns {
    () => {
        "hash, tenant, user_id, created_by, created_at, expires_at, used_at, used_by_device, attempts"
    };
}

from_row!(EnrolmentCode, |row| Self {
    tenant: parsed("tenant", row.try_get("tenant")?)?,
    hash: hash("hash", row.try_get("hash")?)?,
    user: UserId(row.try_get("user_id")?),
    created_by: UserId(row.try_get("created_by")?),
    created_at: UnixMillis(row.try_get("created_at")?),
    expires_at: UnixMillis(row.try_get("expires_at")?),
    used_at: row.try_get::<Option<_>, _>("used_at")?.map(UnixMillis),
    used_by_device: row.try_get::<Option<_>, _>("used_by_device")?.map(DeviceId),
    attempts: row.try_get("attempts")?,
});

impl Tx {
    /// Enrolment codes: single use, short-lived, known by their hash.
    pub fn codes(&mut self) -> Codes<'_> {
        Codes(self)
    }
}

/// Enrolment codes: single use, short-lived, known by their hash.
#[derive(Debug)]
pub struct Codes<'tx>(&'tx mut Tx);

impl Codes<'_> {
    /// Stores a new code.
    pub async fn insert(&mut self, code: &EnrolmentCode) -> Result<(), StorageError> {
        const SQL: &str = concat!(
            "insert into enrolment_code (",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        );
        on_conn!(self.0, |conn| {
            sqlx::query(SQL)
                .bind(code.hash.as_slice())
                .bind(code.tenant.as_str())
                .bind(code.user.0)
                .bind(code.created_by.0)
                .bind(code.created_at.0)
                .bind(code.expires_at.0)
                .bind(code.used_at.map(|at| at.0))
                .bind(code.used_by_device.map(|id| id.0))
                .bind(code.attempts)
                .execute(conn)
                .await?;
        });
        Ok(())
    }

    /// Finds a code by its hash, in whatever tenant.
    pub async fn find(&mut self, hash: &Hash) -> Result<Option<EnrolmentCode>, StorageError> {
        const SQL: &str = concat!("select ", columns!(), " from enrolment_code where hash = $1");
        let hash = hash.as_slice();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL).bind(hash).fetch_optional(conn).await?))
    }

    /// Lists the codes of a user, newest first.
    pub async fn of_user(
        &mut self,
        tenant: &Tenant,
        user: UserId,
    ) -> Result<Vec<EnrolmentCode>, StorageError> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from enrolment_code where tenant = $1 and user_id = $2
              order by created_at desc, hash"
        );
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(user.0).fetch_all(conn).await?
        }))
    }

    /// Uses a code up; false if it is unknown, used or expired.
    pub async fn take(
        &mut self,
        hash: &Hash,
        device: DeviceId,
        now: UnixMillis,
    ) -> Result<bool, StorageError> {
        const SQL: &str = "
            update enrolment_code set used_at = $3, used_by_device = $2
             where hash = $1 and used_at is null and expires_at > $3";
        let hash = hash.as_slice();
        let written = on_conn!(self.0, |conn| {
            sqlx::query(SQL)
                .bind(hash)
                .bind(device.0)
                .bind(now.0)
                .execute(conn)
                .await?
                .rows_affected()
        });
        Ok(written == 1)
    }

    /// Counts a failed attempt and gives how many there are; `None` if the code is unknown.
    pub async fn failed(&mut self, hash: &Hash) -> Result<Option<i64>, StorageError> {
        const SQL: &str = "
            update enrolment_code set attempts = attempts + 1 where hash = $1 returning attempts";
        let hash = hash.as_slice();
        Ok(on_conn!(self.0, |conn| sqlx::query_scalar(SQL).bind(hash).fetch_optional(conn).await?))
    }
}
