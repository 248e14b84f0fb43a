//! Replicas: incarnations of tablets' databases, their leases and what is known of them.

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
    /// Finds these replicas and keeps other writers off them until commit, in the order of their ids; unknown ones are absent. A row's `device` may be another than the caller's: look.
    pub async fn lock(
        &mut self,
        tenant: &Tenant,
        replicas: &[ReplicaId],
    ) -> Result<Vec<Replica>, StorageError> {
        _ = (tenant, replicas);
        todo!()
    }

    /// Stores a new replica; [`StorageError::AlreadyStored`] if its id is taken.
    pub async fn insert(&mut self, tenant: &Tenant, replica: &Replica) -> Result<(), StorageError> {
        _ = (tenant, replica);
        todo!()
    }

    /// Writes leases and known of these replicas, each of which is stored.
    pub async fn save(
        &mut self,
        tenant: &Tenant,
        replicas: &[Replica],
    ) -> Result<(), StorageError> {
        _ = (tenant, replicas);
        todo!()
    }

    /// Lists the replicas of a device, oldest first.
    pub async fn of_device(
        &mut self,
        tenant: &Tenant,
        device: DeviceId,
    ) -> Result<Vec<Replica>, StorageError> {
        _ = (tenant, device);
        todo!()
    }

    /// Voids all leases, after a restore; gives how many.
    pub async fn void_all(&mut self, tenant: &Tenant) -> Result<u64, StorageError> {
        _ = (tenant,);
        todo!()
    }
}
