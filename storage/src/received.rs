//! Received: which change came under which n of a replica.

use crate::sql::{Ids, from_row, hash, on_conn, sql, with_rows};
use crate::{Hash, StorageError, Tx};
use std::collections::BTreeMap;
use sync_protocol::id::{ChangeId, ReplicaId, Seq, Tenant};
use uuid::Uuid;

/// One received n of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The replica.
    pub replica: ReplicaId,
    /// Its number, from 1 without gaps.
    pub n: i64,
    /// The change; of one whose id could not be read, its quarantine id.
    pub id: ChangeId,
    /// The SHA-256 of its frozen bytes.
    pub hash: Hash,
    /// The seq of its first receipt, by whatever replica.
    pub seq: Seq,
}

from_row!(Received, |row| Self {
    replica: ReplicaId(row.try_get("replica")?),
    n: row.try_get("n")?,
    id: ChangeId(row.try_get("id")?),
    hash: hash("hash", row.try_get("hash")?)?,
    seq: Seq(row.try_get("seq")?),
});

impl Tx {
    /// Received: which change came under which n of a replica.
    pub fn received(&mut self) -> ReceivedRows<'_> {
        ReceivedRows(self)
    }
}

/// Received: which change came under which n of a replica.
#[derive(Debug)]
pub struct ReceivedRows<'tx>(&'tx mut Tx);

impl ReceivedRows<'_> {
    /// Lists what came under `from_n` to `to_n`, both included, in order.
    pub async fn range(
        &mut self,
        tenant: &Tenant,
        replica: ReplicaId,
        from_n: i64,
        to_n: i64,
    ) -> Result<Vec<Received>, StorageError> {
        const SQL: &str = "
            select replica, n, id, hash, seq from received
             where tenant = $1 and replica = $2 and n between $3 and $4 order by n";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL)
                .bind(tenant)
                .bind(replica.0)
                .bind(from_n)
                .bind(to_n)
                .fetch_all(conn)
                .await?
        }))
    }

    /// Notes what came; [`StorageError::AlreadyStored`] if an n is taken.
    pub async fn append(&mut self, tenant: &Tenant, rows: &[Received]) -> Result<(), StorageError> {
        const INTO: &str = "insert into received (tenant, replica, n, id, hash, seq) ";
        with_rows!(self.0, INTO, rows, |row| [
            text tenant.as_str(),
            uuid row.replica.0,
            bigint row.n,
            uuid row.id.0,
            bytea row.hash.as_slice(),
            bigint row.seq.0,
        ], "");
        Ok(())
    }

    /// Gives of each of these replicas the largest n with 1…n all first received at or before `backup_seq`; 0 for none.
    pub async fn durable(
        &mut self,
        tenant: &Tenant,
        replicas: &[ReplicaId],
        backup_seq: Seq,
    ) -> Result<BTreeMap<ReplicaId, i64>, StorageError> {
        // The ns of a replica have no gaps, so the first that is not covered tells how many are.
        let sql = sql!(
            self.0,
            "select wanted_id, coalesce(
                (select min(n) - 1 from received
                  where tenant = $1 and replica = wanted_id and seq > $3),
                (select max(n) from received where tenant = $1 and replica = wanted_id),
                0) from ", (wanted "$2")
        );
        let ids = Ids::of(replicas.iter().map(|replica| replica.0));
        let tenant = tenant.as_str();
        let rows: Vec<(Uuid, i64)> = on_conn!(self.0, |conn| {
            sqlx::query_as(sql).bind(tenant).bind(ids).bind(backup_seq.0).fetch_all(conn).await?
        });
        Ok(rows.into_iter().map(|(replica, n)| (ReplicaId(replica), n)).collect())
    }
}
