//! Forms: how records of a type are read, each version immutable.

use crate::{Hash, StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{RecordType, Tenant},
};

/// One version of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormRow {
    /// The type of record.
    pub type_: RecordType,
    /// The version.
    pub version: i64,
    /// The form as JSON.
    pub body: Vec<u8>,
    /// The SHA-256 of `body`.
    pub hash: Hash,
    /// When it was published.
    pub published_at: UnixMillis,
}

impl Tx {
    /// Forms: how records of a type are read, each version immutable.
    pub fn forms(&mut self) -> Forms<'_> {
        Forms(self)
    }
}

/// Forms: how records of a type are read, each version immutable.
#[derive(Debug)]
pub struct Forms<'tx>(&'tx mut Tx);

impl Forms<'_> {
    /// Publishes a version; [`StorageError::AlreadyStored`] if it exists.
    pub async fn publish(&mut self, tenant: &Tenant, form: &FormRow) -> Result<(), StorageError> {
        _ = (tenant, form);
        todo!()
    }

    /// Lists the newest version of each type, by type.
    pub async fn current(&mut self, tenant: &Tenant) -> Result<Vec<FormRow>, StorageError> {
        _ = (tenant,);
        todo!()
    }

    /// Finds one version.
    pub async fn find(
        &mut self,
        tenant: &Tenant,
        type_: &RecordType,
        version: i64,
    ) -> Result<Option<FormRow>, StorageError> {
        _ = (tenant, type_, version);
        todo!()
    }

    /// Lists all versions, by type and version.
    pub async fn list(&mut self, tenant: &Tenant) -> Result<Vec<FormRow>, StorageError> {
        _ = (tenant,);
        todo!()
    }
}
