//! Devices: enrolments of tablets, each bound to one user.

use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{DeviceId, Seq, Tenant, UserId},
};

/// Whether a device may sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// It may.
    Active,
    /// It may only deposit what it still holds.
    Revoked,
    /// It is refused.
    Stolen,
}

/// One enrolment of a tablet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its user.
    pub user: UserId,
    /// What its user calls it.
    pub name: String,
    /// Its public key as a JWK.
    pub public_key: String,
    /// The thumbprint of the key.
    pub thumbprint: String,
    /// When it was enrolled.
    pub enrolled_at: UnixMillis,
    /// Whether it may sync.
    pub state: DeviceState,
    /// Since when.
    pub state_at: UnixMillis,
    /// When it last called.
    pub last_seen_at: Option<UnixMillis>,
    /// The head that it last was told.
    pub last_seq: Option<Seq>,
}

impl Tx {
    /// Devices: enrolments of tablets, each bound to one user.
    pub fn devices(&mut self) -> Devices<'_> {
        Devices(self)
    }
}

/// Devices: enrolments of tablets, each bound to one user.
#[derive(Debug)]
pub struct Devices<'tx>(&'tx mut Tx);

impl Devices<'_> {
    /// Stores a new device.
    pub async fn insert(&mut self, tenant: &Tenant, device: &Device) -> Result<(), StorageError> {
        _ = (tenant, device);
        todo!()
    }

    /// Finds a device.
    pub async fn find(
        &mut self,
        tenant: &Tenant,
        id: DeviceId,
    ) -> Result<Option<Device>, StorageError> {
        _ = (tenant, id);
        todo!()
    }

    /// Finds these devices, by id.
    pub async fn find_all(
        &mut self,
        tenant: &Tenant,
        ids: &[DeviceId],
    ) -> Result<Vec<Device>, StorageError> {
        _ = (tenant, ids);
        todo!()
    }

    /// Lists the devices, of one user or of all, oldest first.
    pub async fn list(
        &mut self,
        tenant: &Tenant,
        user: Option<UserId>,
    ) -> Result<Vec<Device>, StorageError> {
        _ = (tenant, user);
        todo!()
    }

    /// Sets whether a device may sync; [`StorageError::Stale`] if it is unknown.
    pub async fn set_state(
        &mut self,
        tenant: &Tenant,
        id: DeviceId,
        state: DeviceState,
        at: UnixMillis,
    ) -> Result<(), StorageError> {
        _ = (tenant, id, state, at);
        todo!()
    }

    /// Notes that devices called, and the head that they were told.
    pub async fn seen(
        &mut self,
        tenant: &Tenant,
        calls: &[(DeviceId, UnixMillis, Seq)],
    ) -> Result<(), StorageError> {
        _ = (tenant, calls);
        todo!()
    }
}
