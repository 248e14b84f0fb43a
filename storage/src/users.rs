//! Users: the people who sign in or carry a tablet.

use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{Tenant, UserId},
};

/// One person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// What the person signs in with; unique in the tenant.
    pub login: String,
    /// The name that others see.
    pub name: String,
    /// The argon2id hash; `None` for those who never sign in to the console.
    pub password_hash: Option<String>,
    /// Whether the person administers the tenant.
    pub admin: bool,
    /// Whether the person works here.
    pub active: bool,
    /// Sessions and tokens issued before are void.
    pub not_before: UnixMillis,
    /// Failed sign-ins since the last good one.
    pub failed_count: i64,
    /// No sign-in before this instant.
    pub locked_until: Option<UnixMillis>,
}

impl Tx {
    /// Users: the people who sign in or carry a tablet.
    pub fn users(&mut self) -> Users<'_> {
        Users(self)
    }
}

/// Users: the people who sign in or carry a tablet.
#[derive(Debug)]
pub struct Users<'tx>(&'tx mut Tx);

impl Users<'_> {
    /// Stores a new user; [`StorageError::AlreadyStored`] if the id or the login is taken.
    pub async fn insert(&mut self, tenant: &Tenant, user: &User) -> Result<(), StorageError> {
        _ = (tenant, user);
        todo!()
    }

    /// Finds a user.
    pub async fn find(
        &mut self,
        tenant: &Tenant,
        id: UserId,
    ) -> Result<Option<User>, StorageError> {
        _ = (tenant, id);
        todo!()
    }

    /// Finds a user by login.
    pub async fn find_by_login(
        &mut self,
        tenant: &Tenant,
        login: &str,
    ) -> Result<Option<User>, StorageError> {
        _ = (tenant, login);
        todo!()
    }

    /// Lists the users by login.
    pub async fn list(&mut self, tenant: &Tenant) -> Result<Vec<User>, StorageError> {
        _ = (tenant,);
        todo!()
    }

    /// Writes a known user; [`StorageError::Stale`] if there is none.
    pub async fn save(&mut self, tenant: &Tenant, user: &User) -> Result<(), StorageError> {
        _ = (tenant, user);
        todo!()
    }
}
