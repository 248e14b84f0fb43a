//! Seals: what was approved, as it was approved.

use crate::sql::{from_row, hash, on_conn};
use crate::{Hash, StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{ChangeId, RecordId, Tenant, UserId},
};

/// One approved snapshot; it never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealSnapshot {
    /// The record.
    pub rec: RecordId,
    /// The seal's change.
    pub change: ChangeId,
    /// The SHA-256 of `body`.
    pub view_hash: Hash,
    /// The version of the form that it was read with.
    pub form_version: i64,
    /// The canonical JSON of the view.
    pub body: Vec<u8>,
    /// When it was sealed.
    pub sealed_at: UnixMillis,
    /// Who sealed it.
    pub by: UserId,
}

macro_rules! columns {
    () => {
        "rec, change, view_hash, form_version, body, sealed_at, sealed_by"
    };
}

from_row!(SealSnapshot, |row| Self {
    rec: RecordId(row.try_get("rec")?),
    change: ChangeId(row.try_get("change")?),
    view_hash: hash("view_hash", row.try_get("view_hash")?)?,
    form_version: row.try_get("form_version")?,
    body: row.try_get("body")?,
    sealed_at: UnixMillis(row.try_get("sealed_at")?),
    by: UserId(row.try_get("sealed_by")?),
});

impl Tx {
    /// Seals: what was approved, as it was approved.
    pub fn seals(&mut self) -> Seals<'_> {
        Seals(self)
    }
}

/// Seals: what was approved, as it was approved.
#[derive(Debug)]
pub struct Seals<'tx>(&'tx mut Tx);

impl Seals<'_> {
    /// Stores an approved snapshot; [`StorageError::AlreadyStored`] if this seal has one.
    pub async fn insert(
        &mut self,
        tenant: &Tenant,
        seal: &SealSnapshot,
    ) -> Result<(), StorageError> {
        const SQL: &str = concat!(
            "insert into seal_snapshot (tenant, ",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8)"
        );
        on_conn!(self.0, |conn| {
            sqlx::query(SQL)
                .bind(tenant.as_str())
                .bind(seal.rec.0)
                .bind(seal.change.0)
                .bind(seal.view_hash.as_slice())
                .bind(seal.form_version)
                .bind(&seal.body)
                .bind(seal.sealed_at.0)
                .bind(seal.by.0)
                .execute(conn)
                .await?;
        });
        Ok(())
    }

    /// Finds the snapshot of one seal.
    pub async fn find(
        &mut self,
        tenant: &Tenant,
        rec: RecordId,
        change: ChangeId,
    ) -> Result<Option<SealSnapshot>, StorageError> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from seal_snapshot where tenant = $1 and rec = $2 and change = $3"
        );
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(rec.0).bind(change.0).fetch_optional(conn).await?
        }))
    }

    /// Finds the last snapshot of a record.
    pub async fn latest(
        &mut self,
        tenant: &Tenant,
        rec: RecordId,
    ) -> Result<Option<SealSnapshot>, StorageError> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from seal_snapshot where tenant = $1 and rec = $2
              order by sealed_at desc, change desc limit 1"
        );
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(rec.0).fetch_optional(conn).await?
        }))
    }
}
