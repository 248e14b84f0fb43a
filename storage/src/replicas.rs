//! Replicas: incarnations of tablets' databases, their leases and what is known of them.

use crate::sql::{Ids, from_row, on_conn, sql, with_rows};
use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{AttemptId, ChangeId, DeviceId, LeaseId, ReplicaId, Tenant},
};

/// One incarnation of a tablet's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its id.
    pub replica: ReplicaId,
    /// The device that it belongs to.
    pub device: DeviceId,
    /// The lease that its next new attempt must show.
    pub lease_cur: LeaseId,
    /// The lease before.
    pub lease_prev: Option<LeaseId>,
    /// The attempt that showed the lease before.
    pub attempt_prev: Option<AttemptId>,
    /// The largest n with 1…n all received; 0 for none.
    pub known_n: i64,
    /// The change at that n.
    pub known_id: Option<ChangeId>,
    /// When it was first seen.
    pub created_at: UnixMillis,
    /// Whether a restore has voided its leases: every attempt is then a fork.
    pub void: bool,
}

macro_rules! columns {
    () => {
        "replica, device, lease_cur, lease_prev, attempt_prev, known_n, known_id, created_at, void"
    };
}

from_row!(Replica, |row| Self {
    replica: ReplicaId(row.try_get("replica")?),
    device: DeviceId(row.try_get("device")?),
    lease_cur: LeaseId(row.try_get("lease_cur")?),
    lease_prev: row.try_get::<Option<_>, _>("lease_prev")?.map(LeaseId),
    attempt_prev: row.try_get::<Option<_>, _>("attempt_prev")?.map(AttemptId),
    known_n: row.try_get("known_n")?,
    known_id: row.try_get::<Option<_>, _>("known_id")?.map(ChangeId),
    created_at: UnixMillis(row.try_get("created_at")?),
    void: row.try_get("void")?,
});

impl Tx {
    /// Replicas: incarnations of tablets' databases, their leases and what is known of them.
    pub fn replicas(&mut self) -> Replicas<'_> {
        Replicas(self)
    }
}

/// Replicas: incarnations of tablets' databases, their leases and what is known of them.
#[derive(Debug)]
pub struct Replicas<'tx>(&'tx mut Tx);

impl Replicas<'_> {
    /// Finds these replicas, by id, and keeps other writers off them until commit; unknown ones are absent.
    ///
    /// A row's `device` may be another than the caller's: look.
    pub async fn lock(
        &mut self,
        tenant: &Tenant,
        replicas: &[ReplicaId],
    ) -> Result<Vec<Replica>, StorageError> {
        let sql = sql!(
            self.0,
            "select ", {columns!()}, " from replica where tenant = $1 and replica ", (ids "$2"),
            " order by replica", (for_update)
        );
        let ids = Ids::of(replicas.iter().map(|id| id.0));
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(sql)
            .bind(tenant)
            .bind(ids)
            .fetch_all(conn)
            .await?))
    }

    /// Stores a new replica; [`StorageError::AlreadyStored`] if its id is taken.
    pub async fn insert(&mut self, tenant: &Tenant, replica: &Replica) -> Result<(), StorageError> {
        self.write(tenant, std::slice::from_ref(replica), "").await
    }

    /// Writes leases and known of these replicas, each of which is stored and named once.
    pub async fn save(
        &mut self,
        tenant: &Tenant,
        replicas: &[Replica],
    ) -> Result<(), StorageError> {
        const OVERWRITE: &str = "
            on conflict (tenant, replica) do update set
                lease_cur = excluded.lease_cur, lease_prev = excluded.lease_prev,
                attempt_prev = excluded.attempt_prev, known_n = excluded.known_n,
                known_id = excluded.known_id, void = excluded.void";
        self.write(tenant, replicas, OVERWRITE).await
    }

    async fn write(
        &mut self,
        tenant: &Tenant,
        replicas: &[Replica],
        on_conflict: &'static str,
    ) -> Result<(), StorageError> {
        const INTO: &str = concat!("insert into replica (tenant, ", columns!(), ") ");
        with_rows!(self.0, INTO, replicas, |row| [
            text tenant.as_str(),
            uuid row.replica.0,
            uuid row.device.0,
            uuid row.lease_cur.0,
            uuid row.lease_prev.map(|id| id.0),
            uuid row.attempt_prev.map(|id| id.0),
            bigint row.known_n,
            uuid row.known_id.map(|id| id.0),
            bigint row.created_at.0,
            boolean row.void,
        ], on_conflict);
        Ok(())
    }

    /// Lists the replicas of a device, oldest first.
    pub async fn of_device(
        &mut self,
        tenant: &Tenant,
        device: DeviceId,
    ) -> Result<Vec<Replica>, StorageError> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from replica where tenant = $1 and device = $2 order by created_at, replica"
        );
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(device.0).fetch_all(conn).await?
        }))
    }

    /// Voids all leases, after a restore, and gives how many.
    pub async fn void_all(&mut self, tenant: &Tenant) -> Result<u64, StorageError> {
        const SQL: &str = "update replica set void = true where tenant = $1 and not void";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(tenant).execute(conn).await?.rows_affected()
        }))
    }
}
