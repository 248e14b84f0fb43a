//! Grants: who may see and do what in which bucket, from when to when. Never deleted, only ended.

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
        _ = (tenant, users);
        todo!()
    }

    /// Lists all grants on a bucket, ended and future ones too.
    pub async fn of_bucket(
        &mut self,
        tenant: &Tenant,
        bucket: &Bucket,
    ) -> Result<Vec<Grant>, StorageError> {
        _ = (tenant, bucket);
        todo!()
    }

    /// Finds one grant.
    pub async fn find(&mut self, tenant: &Tenant, id: Uuid) -> Result<Option<Grant>, StorageError> {
        _ = (tenant, id);
        todo!()
    }

    /// Stores a grant.
    pub async fn insert(&mut self, tenant: &Tenant, grant: &Grant) -> Result<(), StorageError> {
        _ = (tenant, grant);
        todo!()
    }

    /// Ends a grant at an instant; [`StorageError::Stale`] if it is unknown or ends earlier.
    pub async fn end(
        &mut self,
        tenant: &Tenant,
        id: Uuid,
        at: UnixMillis,
    ) -> Result<(), StorageError> {
        _ = (tenant, id, at);
        todo!()
    }

    /// Gives the next instant after `after` at which a grant begins or ends.
    pub async fn next_boundary(
        &mut self,
        tenant: &Tenant,
        after: UnixMillis,
    ) -> Result<Option<UnixMillis>, StorageError> {
        _ = (tenant, after);
        todo!()
    }
}
