//! Forms: how records of a type are read, each version immutable.

use crate::sql::{from_row, hash, on_conn, parsed};
use crate::{Hash, StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{RecordType, Tenant},
};

/// One version of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormRow {
    /// The type of record.
    pub type_: RecordType,
    /// The version.
    pub version: i64,
    /// The form as JSON.
    pub body: Vec<u8>,
    /// The SHA-256 of `body`.
    pub hash: Hash,
    /// When it was published.
    pub published_at: UnixMillis,
}

from_row!(FormRow, |row| Self {
    type_: parsed("type", row.try_get("type")?)?,
    version: row.try_get("version")?,
    body: row.try_get("body")?,
    hash: hash("hash", row.try_get("hash")?)?,
    published_at: UnixMillis(row.try_get("published_at")?),
});

impl Tx {
    /// Forms: how records of a type are read, each version immutable.
    pub fn forms(&mut self) -> Forms<'_> {
        Forms(self)
    }
}

/// Forms: how records of a type are read, each version immutable.
#[derive(Debug)]
pub struct Forms<'tx>(&'tx mut Tx);

impl Forms<'_> {
    /// Publishes a version; [`StorageError::AlreadyStored`] if it exists.
    pub async fn publish(&mut self, tenant: &Tenant, form: &FormRow) -> Result<(), StorageError> {
        const SQL: &str = "
            insert into form (tenant, type, version, body, hash, published_at)
            values ($1, $2, $3, $4, $5, $6)";
        on_conn!(self.0, |conn| {
            sqlx::query(SQL)
                .bind(tenant.as_str())
                .bind(form.type_.as_str())
                .bind(form.version)
                .bind(&form.body)
                .bind(form.hash.as_slice())
                .bind(form.published_at.0)
                .execute(conn)
                .await?;
        });
        Ok(())
    }

    /// Lists the newest version of each type, by type.
    pub async fn current(&mut self, tenant: &Tenant) -> Result<Vec<FormRow>, StorageError> {
        const SQL: &str = "
            select type, version, body, hash, published_at from form
             where tenant = $1
               and version = (select max(other.version) from form as other
                               where other.tenant = form.tenant and other.type = form.type)
             order by type";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL).bind(tenant).fetch_all(conn).await?))
    }

    /// Finds one version.
    pub async fn find(
        &mut self,
        tenant: &Tenant,
        type_: &RecordType,
        version: i64,
    ) -> Result<Option<FormRow>, StorageError> {
        const SQL: &str = "
            select type, version, body, hash, published_at from form
             where tenant = $1 and type = $2 and version = $3";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL)
                .bind(tenant)
                .bind(type_.as_str())
                .bind(version)
                .fetch_optional(conn)
                .await?
        }))
    }

    /// Lists all versions, by type and version.
    pub async fn list(&mut self, tenant: &Tenant) -> Result<Vec<FormRow>, StorageError> {
        const SQL: &str = "
            select type, version, body, hash, published_at from form
             where tenant = $1 order by type, version";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL).bind(tenant).fetch_all(conn).await?))
    }
}
