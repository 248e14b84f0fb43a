//! Sessions of the console, known by the hash of their token.

use crate::{Hash, StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{Tenant, UserId},
};

/// One signed-in browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The SHA-256 of the token.
    pub hash: Hash,
    /// The tenant.
    pub tenant: Tenant,
    /// Who signed in.
    pub user: UserId,
    /// When.
    pub created_at: UnixMillis,
    /// Last use.
    pub last_used_at: UnixMillis,
    /// Not good from this instant on.
    pub expires_at: UnixMillis,
}

impl Tx {
    /// Sessions of the console, known by the hash of their token.
    pub fn sessions(&mut self) -> Sessions<'_> {
        Sessions(self)
    }
}

/// Sessions of the console, known by the hash of their token.
#[derive(Debug)]
pub struct Sessions<'tx>(&'tx mut Tx);

impl Sessions<'_> {
    /// Stores a session.
    pub async fn insert(&mut self, session: &Session) -> Result<(), StorageError> {
        _ = (session,);
        todo!()
    }

    /// Finds a session by its hash.
    pub async fn find(&mut self, hash: &Hash) -> Result<Option<Session>, StorageError> {
        _ = (hash,);
        todo!()
    }

    /// Notes a use.
    pub async fn touch(&mut self, hash: &Hash, at: UnixMillis) -> Result<(), StorageError> {
        _ = (hash, at);
        todo!()
    }

    /// Removes a session; false if there is none.
    pub async fn remove(&mut self, hash: &Hash) -> Result<bool, StorageError> {
        _ = (hash,);
        todo!()
    }

    /// Removes all sessions of a user and gives how many.
    pub async fn remove_of_user(
        &mut self,
        tenant: &Tenant,
        user: UserId,
    ) -> Result<u64, StorageError> {
        _ = (tenant, user);
        todo!()
    }

    /// Removes those that expired, or were last used before `idle_before`, and gives how many.
    pub async fn expire(
        &mut self,
        now: UnixMillis,
        idle_before: UnixMillis,
    ) -> Result<u64, StorageError> {
        _ = (now, idle_before);
        todo!()
    }
}
