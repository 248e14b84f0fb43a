//! The audit trail: who did what and when. Append only.

use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{DeviceId, Tenant, UserId},
};
use uuid::Uuid;

/// One thing that someone did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: UnixMillis,
    /// Who; `None` for the server itself and for strangers.
    pub actor: Option<UserId>,
    /// From which tablet.
    pub device: Option<DeviceId>,
    /// What: `grant.end`.
    pub action: String,
    /// To what.
    pub object: String,
    /// More, without content of records.
    pub detail: String,
}

impl Tx {
    /// The audit trail: who did what and when. Append only.
    pub fn audit(&mut self) -> Audit<'_> {
        Audit(self)
    }
}

/// The audit trail: who did what and when. Append only.
#[derive(Debug)]
pub struct Audit<'tx>(&'tx mut Tx);

impl Audit<'_> {
    /// Appends entries.
    pub async fn append(
        &mut self,
        tenant: &Tenant,
        entries: &[AuditEntry],
    ) -> Result<(), StorageError> {
        _ = (tenant, entries);
        todo!()
    }

    /// Lists up to `limit` entries before this place, newest first; `None` begins at the newest.
    pub async fn list(
        &mut self,
        tenant: &Tenant,
        before: Option<(UnixMillis, Uuid)>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StorageError> {
        _ = (tenant, before, limit);
        todo!()
    }
}
