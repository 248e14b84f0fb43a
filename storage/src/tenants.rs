//! Tenants: the bureaus of a city.

use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{EpochId, Tenant},
};

/// One bureau.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRow {
    /// Its id: `fire`.
    pub id: Tenant,
    /// Its name in Japanese.
    pub name_ja: String,
    /// Its name in English.
    pub name_en: String,
    /// The IANA zone in which its days begin.
    pub time_zone: String,
    /// When it was made.
    pub created_at: UnixMillis,
}

impl Tx {
    /// Tenants: the bureaus of a city.
    pub fn tenants(&mut self) -> Tenants<'_> {
        Tenants(self)
    }
}

/// Tenants: the bureaus of a city.
#[derive(Debug)]
pub struct Tenants<'tx>(&'tx mut Tx);

impl Tenants<'_> {
    /// Stores a new tenant with its head at seq 0.
    pub async fn insert(&mut self, tenant: &TenantRow, epoch: EpochId) -> Result<(), StorageError> {
        _ = (tenant, epoch);
        todo!()
    }

    /// Lists the tenants by id.
    pub async fn list(&mut self) -> Result<Vec<TenantRow>, StorageError> {
        todo!()
    }

    /// Finds one tenant.
    pub async fn find(&mut self, tenant: &Tenant) -> Result<Option<TenantRow>, StorageError> {
        _ = (tenant,);
        todo!()
    }
}
