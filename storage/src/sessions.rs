//! Sessions of the console, known by the hash of their token.

use crate::sql::{from_row, hash, on_conn, parsed};
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

from_row!(Session, |row| Self {
    hash: hash("hash", row.try_get("hash")?)?,
    tenant: parsed("tenant", row.try_get("tenant")?)?,
    user: UserId(row.try_get("user_id")?),
    created_at: UnixMillis(row.try_get("created_at")?),
    last_used_at: UnixMillis(row.try_get("last_used_at")?),
    expires_at: UnixMillis(row.try_get("expires_at")?),
});

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
        const SQL: &str = "
            insert into session (hash, tenant, user_id, created_at, last_used_at, expires_at)
            values ($1, $2, $3, $4, $5, $6)";
        on_conn!(self.0, |conn| {
            sqlx::query(SQL)
                .bind(session.hash.as_slice())
                .bind(session.tenant.as_str())
                .bind(session.user.0)
                .bind(session.created_at.0)
                .bind(session.last_used_at.0)
                .bind(session.expires_at.0)
                .execute(conn)
                .await?;
        });
        Ok(())
    }

    /// Finds a session by its hash.
    pub async fn find(&mut self, hash: &Hash) -> Result<Option<Session>, StorageError> {
        const SQL: &str = "
            select hash, tenant, user_id, created_at, last_used_at, expires_at
              from session where hash = $1";
        let hash = hash.as_slice();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL).bind(hash).fetch_optional(conn).await?))
    }

    /// Notes a use; one that is older than the last changes nothing.
    pub async fn touch(&mut self, hash: &Hash, at: UnixMillis) -> Result<(), StorageError> {
        const SQL: &str =
            "update session set last_used_at = $2 where hash = $1 and last_used_at < $2";
        let hash = hash.as_slice();
        on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(hash).bind(at.0).execute(conn).await?;
        });
        Ok(())
    }

    /// Removes a session; false if there is none.
    pub async fn remove(&mut self, hash: &Hash) -> Result<bool, StorageError> {
        const SQL: &str = "delete from session where hash = $1";
        let hash = hash.as_slice();
        let removed = on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(hash).execute(conn).await?.rows_affected()
        });
        Ok(removed == 1)
    }

    /// Removes all sessions of a user and gives how many.
    pub async fn remove_of_user(
        &mut self,
        tenant: &Tenant,
        user: UserId,
    ) -> Result<u64, StorageError> {
        const SQL: &str = "delete from session where tenant = $1 and user_id = $2";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(tenant).bind(user.0).execute(conn).await?.rows_affected()
        }))
    }

    /// Removes those that expired, or were last used before `idle_before`, and gives how many.
    pub async fn expire(
        &mut self,
        now: UnixMillis,
        idle_before: UnixMillis,
    ) -> Result<u64, StorageError> {
        const SQL: &str = "delete from session where expires_at <= $1 or last_used_at < $2";
        Ok(on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(now.0).bind(idle_before.0).execute(conn).await?.rows_affected()
        }))
    }
}
