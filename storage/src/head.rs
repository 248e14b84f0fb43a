//! The head row of a tenant: where its journal ends. Its lock is the last one before commit.

use crate::journal::id_at;
use crate::sql::{from_row, on_conn};
use crate::{StorageError, Tx};
use sync_protocol::id::{ChangeId, EpochId, Seq, Tenant};

/// Where a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The seq of the last row.
    pub seq: Seq,
    /// The unbroken history that it belongs to.
    pub epoch: EpochId,
    /// The last seq that a reported backup holds.
    pub backup_seq: Option<Seq>,
}

from_row!(Head, |row| Self {
    seq: Seq(row.try_get("seq")?),
    epoch: EpochId(row.try_get("epoch")?),
    backup_seq: row.try_get::<Option<i64>, _>("backup_seq")?.map(Seq),
});

/// The head as one who was here before finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The head.
    pub head: Head,
    /// The change that took its last seq; `None` while there is none.
    pub last: Option<ChangeId>,
    /// The change that took the seq that was asked about.
    pub asked: Option<ChangeId>,
}

from_row!(Standing, |row| Self {
    head: Head::from_row(row)?,
    last: row.try_get::<Option<_>, _>("last")?.map(ChangeId),
    asked: row.try_get::<Option<_>, _>("asked")?.map(ChangeId),
});

impl Tx {
    /// The head row of a tenant: where its journal ends. Its lock is the last one before commit.
    pub fn head(&mut self) -> HeadRow<'_> {
        HeadRow(self)
    }
}

/// The head row of a tenant: where its journal ends. Its lock is the last one before commit.
#[derive(Debug)]
pub struct HeadRow<'tx>(&'tx mut Tx);

impl HeadRow<'_> {
    /// Reads the head; `None` if there is no such tenant.
    pub async fn find(&mut self, tenant: &Tenant) -> Result<Option<Head>, StorageError> {
        const SQL: &str = "select seq, epoch, backup_seq from tenant_head where tenant = $1";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL).bind(tenant).fetch_optional(conn).await?))
    }

    /// Reads the head of a tenant that exists; [`StorageError::Damaged`] if it has none.
    pub async fn read(&mut self, tenant: &Tenant) -> Result<Head, StorageError> {
        self.find(tenant).await?.ok_or_else(no_head)
    }

    /// Reads the head of a tenant that exists, and which changes took its last seq and the one at `asked`.
    pub async fn stand(&mut self, tenant: &Tenant, asked: Seq) -> Result<Standing, StorageError> {
        const SQL: &str = concat!(
            "select seq, epoch, backup_seq, ",
            id_at!("tenant_head.seq"),
            " as last, ",
            id_at!("$2"),
            " as asked from tenant_head where tenant = $1"
        );
        let tenant = tenant.as_str();
        let found = on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(asked.0).fetch_optional(conn).await?
        });
        found.ok_or_else(no_head)
    }

    /// Takes the next `count` seqs and gives the head after them: they end at its `seq`.
    ///
    /// This is the last lock before commit, so that seqs become visible in their order and without gaps.
    pub async fn advance(&mut self, tenant: &Tenant, count: i64) -> Result<Head, StorageError> {
        const SQL: &str = "
            update tenant_head set seq = seq + $2 where tenant = $1
            returning seq, epoch, backup_seq";
        let tenant = tenant.as_str();
        let head = on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(count).fetch_optional(conn).await?
        });
        head.ok_or_else(no_head)
    }

    /// Begins another history, after a restore or a rollback.
    pub async fn new_epoch(&mut self, tenant: &Tenant, epoch: EpochId) -> Result<(), StorageError> {
        const SQL: &str = "update tenant_head set epoch = $2 where tenant = $1";
        let tenant = tenant.as_str();
        let written = on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(tenant).bind(epoch.0).execute(conn).await?.rows_affected()
        });
        if written == 1 { Ok(()) } else { Err(no_head()) }
    }

    /// Notes that a backup holds everything up to `seq`; one that holds less than the last changes nothing.
    ///
    /// [`StorageError::Stale`] if the journal does not reach to `seq`.
    pub async fn backup_done(&mut self, tenant: &Tenant, seq: Seq) -> Result<(), StorageError> {
        const SQL: &str = "
            update tenant_head
               set backup_seq = case when backup_seq > $2 then backup_seq else $2 end
             where tenant = $1 and seq >= $2";
        let tenant = tenant.as_str();
        let written = on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(tenant).bind(seq.0).execute(conn).await?.rows_affected()
        });
        if written == 1 { Ok(()) } else { Err(StorageError::Stale) }
    }
}

fn no_head() -> StorageError {
    StorageError::Damaged("tenant_head: no row for this tenant".to_owned())
}
