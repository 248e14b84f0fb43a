//! Tenants: the bureaus of a city.

use crate::sql::{from_row, on_conn, parsed};
use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{EpochId, Tenant},
};

/// One bureau.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRow {
    /// Its id: `fire`.
    pub id: Tenant,
    /// Its name in Japanese.
    pub name_ja: String,
    /// Its name in English.
    pub name_en: String,
    /// The IANA zone in which its days begin.
    pub time_zone: String,
    /// When it was made.
    pub created_at: UnixMillis,
}

from_row!(TenantRow, |row| Self {
    id: parsed("id", row.try_get("id")?)?,
    name_ja: row.try_get("name_ja")?,
    name_en: row.try_get("name_en")?,
    time_zone: row.try_get("time_zone")?,
    created_at: UnixMillis(row.try_get("created_at")?),
});

impl Tx {
    /// Tenants: the bureaus of a city.
    pub fn tenants(&mut self) -> Tenants<'_> {
        Tenants(self)
    }
}

/// Tenants: the bureaus of a city.
#[derive(Debug)]
pub struct Tenants<'tx>(&'tx mut Tx);

impl Tenants<'_> {
    /// Stores a new tenant with its head at seq 0; [`StorageError::AlreadyStored`] if its id is taken.
    pub async fn insert(&mut self, tenant: &TenantRow, epoch: EpochId) -> Result<(), StorageError> {
        const TENANT: &str = "
            insert into tenant (id, name_ja, name_en, time_zone, created_at)
            values ($1, $2, $3, $4, $5)";
        const HEAD: &str = "insert into tenant_head (tenant, seq, epoch) values ($1, 0, $2)";
        on_conn!(self.0, |conn| {
            sqlx::query(TENANT)
                .bind(tenant.id.as_str())
                .bind(&tenant.name_ja)
                .bind(&tenant.name_en)
                .bind(&tenant.time_zone)
                .bind(tenant.created_at.0)
                .execute(&mut *conn)
                .await?;
            sqlx::query(HEAD).bind(tenant.id.as_str()).bind(epoch.0).execute(conn).await?;
        });
        Ok(())
    }

    /// Lists the tenants by id.
    pub async fn list(&mut self) -> Result<Vec<TenantRow>, StorageError> {
        const SQL: &str =
            "select id, name_ja, name_en, time_zone, created_at from tenant order by id";
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL).fetch_all(conn).await?))
    }

    /// Finds one tenant.
    pub async fn find(&mut self, tenant: &Tenant) -> Result<Option<TenantRow>, StorageError> {
        const SQL: &str =
            "select id, name_ja, name_en, time_zone, created_at from tenant where id = $1";
        let id = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL).bind(id).fetch_optional(conn).await?))
    }
}
