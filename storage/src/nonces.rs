//! Nonces: each good for one answer.

use crate::sql::on_conn;
use crate::{Hash, StorageError, Tx};
use sync_protocol::clock::UnixMillis;

impl Tx {
    /// Nonces: each good for one answer.
    pub fn nonces(&mut self) -> Nonces<'_> {
        Nonces(self)
    }
}

/// Nonces: each good for one answer.
#[derive(Debug)]
pub struct Nonces<'tx>(&'tx mut Tx);

impl Nonces<'_> {
    /// Stores a nonce by its hash.
    pub async fn issue(&mut self, hash: &Hash, expires_at: UnixMillis) -> Result<(), StorageError> {
        const SQL: &str = "insert into nonce (hash, expires_at) values ($1, $2)";
        let hash = hash.as_slice();
        on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(hash).bind(expires_at.0).execute(conn).await?;
        });
        Ok(())
    }

    /// Uses a nonce up; false if it is unknown, used or expired.
    pub async fn take(&mut self, hash: &Hash, now: UnixMillis) -> Result<bool, StorageError> {
        const SQL: &str = "delete from nonce where hash = $1 returning expires_at";
        let hash = hash.as_slice();
        let expires_at: Option<i64> = on_conn!(self.0, |conn| {
            sqlx::query_scalar(SQL).bind(hash).fetch_optional(conn).await?
        });
        Ok(expires_at.is_some_and(|at| at > now.0))
    }

    /// Removes expired ones and gives how many.
    pub async fn expire(&mut self, now: UnixMillis) -> Result<u64, StorageError> {
        const SQL: &str = "delete from nonce where expires_at <= $1";
        Ok(on_conn!(self.0, |conn| sqlx::query(SQL)
            .bind(now.0)
            .execute(conn)
            .await?
            .rows_affected()))
    }
}
