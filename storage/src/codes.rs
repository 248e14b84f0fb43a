//! Enrolment codes: single use, short-lived, known by their hash.

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
        _ = (code,);
        todo!()
    }

    /// Finds a code by its hash, in whatever tenant.
    pub async fn find(&mut self, hash: &Hash) -> Result<Option<EnrolmentCode>, StorageError> {
        _ = (hash,);
        todo!()
    }

    /// Lists the codes of a user, newest first.
    pub async fn of_user(
        &mut self,
        tenant: &Tenant,
        user: UserId,
    ) -> Result<Vec<EnrolmentCode>, StorageError> {
        _ = (tenant, user);
        todo!()
    }

    /// Uses a code up; false if it is unknown, used or expired.
    pub async fn take(
        &mut self,
        hash: &Hash,
        device: DeviceId,
        now: UnixMillis,
    ) -> Result<bool, StorageError> {
        _ = (hash, device, now);
        todo!()
    }

    /// Counts a failed attempt and gives how many there are; `None` if the code is unknown.
    pub async fn failed(&mut self, hash: &Hash) -> Result<Option<i64>, StorageError> {
        _ = (hash,);
        todo!()
    }
}
