//! Grants: who may see and do what in which bucket, from when to when. Never deleted, only ended.

use crate::sql::{Ids, from_row, on_conn, parsed, sql};
use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{Bucket, Tenant, UserId},
};
use uuid::Uuid;

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: Uuid,
    /// Whom.
    pub user: UserId,
    /// Where.
    pub bucket: Bucket,
    /// As what: `inspector`.
    pub role: String,
    /// From this instant.
    pub from_at: UnixMillis,
    /// To this instant, which is outside.
    pub to_at: Option<UnixMillis>,
    /// Whether tablets hold the bucket; otherwise it is read online.
    pub hold: bool,
    /// Who gave it.
    pub granted_by: UserId,
    /// When it was given.
    pub granted_at: UnixMillis,
}

macro_rules! columns {
    () => {
        "id, user_id, bucket, role, from_at, to_at, hold, granted_by, granted_at"
    };
}

from_row!(Grant, |row| Self {
    id: row.try_get("id")?,
    user: UserId(row.try_get("user_id")?),
    bucket: parsed("bucket", row.try_get("bucket")?)?,
    role: row.try_get("role")?,
    from_at: UnixMillis(row.try_get("from_at")?),
    to_at: row.try_get::<Option<_>, _>("to_at")?.map(UnixMillis),
    hold: row.try_get("hold")?,
    granted_by: UserId(row.try_get("granted_by")?),
    granted_at: UnixMillis(row.try_get("granted_at")?),
});

impl Tx {
    /// Grants: who may see and do what in which bucket, from when to when. Never deleted, only ended.
    pub fn grants(&mut self) -> Grants<'_> {
        Grants(self)
    }
}

/// Grants: who may see and do what in which bucket, from when to when. Never deleted, only ended.
#[derive(Debug)]
pub struct Grants<'tx>(&'tx mut Tx);

impl Grants<'_> {
    /// Lists all grants of these users, ended and future ones too, by user and time.
    pub async fn of_users(
        &mut self,
        tenant: &Tenant,
        users: &[UserId],
    ) -> Result<Vec<Grant>, StorageError> {
        let sql = sql!(
            self.0,
            "select ", {columns!()}, " from ", (each "grant_" "user_id" "$2"),
            " order by user_id, from_at, id"
        );
        let ids = Ids::of(users.iter().map(|user| user.0));
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(sql)
            .bind(tenant)
            .bind(ids)
            .fetch_all(conn)
            .await?))
    }

    /// Lists all grants on a bucket, ended and future ones too, by time.
    pub async fn of_bucket(
        &mut self,
        tenant: &Tenant,
        bucket: &Bucket,
    ) -> Result<Vec<Grant>, StorageError> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from grant_ where tenant = $1 and bucket = $2 order by from_at, id"
        );
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(bucket.as_str()).fetch_all(conn).await?
        }))
    }

    /// Finds one grant.
    pub async fn find(&mut self, tenant: &Tenant, id: Uuid) -> Result<Option<Grant>, StorageError> {
        const SQL: &str =
            concat!("select ", columns!(), " from grant_ where tenant = $1 and id = $2");
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(id).fetch_optional(conn).await?
        }))
    }

    /// Stores a grant.
    pub async fn insert(&mut self, tenant: &Tenant, grant: &Grant) -> Result<(), StorageError> {
        const SQL: &str = concat!(
            "insert into grant_ (tenant, ",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        );
        on_conn!(self.0, |conn| {
            sqlx::query(SQL)
                .bind(tenant.as_str())
                .bind(grant.id)
                .bind(grant.user.0)
                .bind(grant.bucket.as_str())
                .bind(&grant.role)
                .bind(grant.from_at.0)
                .bind(grant.to_at.map(|at| at.0))
                .bind(grant.hold)
                .bind(grant.granted_by.0)
                .bind(grant.granted_at.0)
                .execute(conn)
                .await?;
        });
        Ok(())
    }

    /// Ends a grant at an instant; [`StorageError::Stale`] if it is unknown or ends earlier.
    pub async fn end(
        &mut self,
        tenant: &Tenant,
        id: Uuid,
        at: UnixMillis,
    ) -> Result<(), StorageError> {
        const SQL: &str = "
            update grant_ set to_at = $3
             where tenant = $1 and id = $2 and (to_at is null or to_at > $3)";
        let tenant = tenant.as_str();
        let written = on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(tenant).bind(id).bind(at.0).execute(conn).await?.rows_affected()
        });
        if written == 1 { Ok(()) } else { Err(StorageError::Stale) }
    }

    /// Gives the next instant after `after` at which a grant begins or ends.
    pub async fn next_boundary(
        &mut self,
        tenant: &Tenant,
        after: UnixMillis,
    ) -> Result<Option<UnixMillis>, StorageError> {
        const SQL: &str = "
            select min(at) from (
                select min(from_at) as at from grant_ where tenant = $1 and from_at > $2
                union all
                select min(to_at) from grant_ where tenant = $1 and to_at > $2) as boundary";
        let tenant = tenant.as_str();
        let at: Option<i64> = on_conn!(self.0, |conn| {
            sqlx::query_scalar(SQL).bind(tenant).bind(after.0).fetch_one(conn).await?
        });
        Ok(at.map(UnixMillis))
    }
}
