//! Who writes to an upload: one call at a time, on whatever node.

use super::{Uploads, written};
use crate::StorageError;
use sync_protocol::{
    clock::UnixMillis,
    id::{Tenant, UploadId},
};
use uuid::Uuid;

impl Uploads<'_> {
    /// Takes the lease of an open upload for `owner`, if nobody holds it now; says whether it did.
    pub async fn take(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        owner: Uuid,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<bool, StorageError> {
        const SQL: &str = "
            update upload set lease_owner = $3, lease_until = $5, lease_asked = null
             where tenant = $1 and id = $2 and state = 'open'
               and (lease_owner is null or lease_until <= $4)";
        Ok(written!(self, SQL, tenant, id, owner, now.0, until.0) == 1)
    }

    /// Asks whoever else holds the lease to stop.
    pub async fn ask(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        asker: Uuid,
    ) -> Result<(), StorageError> {
        const SQL: &str = "
            update upload set lease_asked = $3
             where tenant = $1 and id = $2 and lease_owner is not null and lease_owner <> $3";
        written!(self, SQL, tenant, id, asker);
        Ok(())
    }

    /// Holds the own lease longer, and the upload takes bytes until `expires_at`; false if it is no longer the own one.
    pub async fn renew(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        owner: Uuid,
        until: UnixMillis,
        expires_at: UnixMillis,
    ) -> Result<bool, StorageError> {
        const SQL: &str = "
            update upload set lease_until = $4, expires_at = $5
             where tenant = $1 and id = $2 and lease_owner = $3 and state = 'open'";
        Ok(written!(self, SQL, tenant, id, owner, until.0, expires_at.0) == 1)
    }

    /// Gives the own lease back; what is no longer the own one is left alone.
    pub async fn release(
        &mut self,
        tenant: &Tenant,
        id: UploadId,
        owner: Uuid,
    ) -> Result<(), StorageError> {
        const SQL: &str = "
            update upload set lease_owner = null, lease_until = null, lease_asked = null
             where tenant = $1 and id = $2 and lease_owner = $3";
        written!(self, SQL, tenant, id, owner);
        Ok(())
    }
}
