//! Signing keys of the server, by purpose.

use crate::sql::{from_row, on_conn};
use crate::{StorageError, Tx};
use sync_protocol::clock::UnixMillis;

/// One key pair. Its debug form does not show the private half.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name in tokens.
    pub kid: String,
    /// `EdDSA` or `ES256`.
    pub alg: String,
    /// The private half.
    pub pkcs8: Vec<u8>,
    /// The public half as a JWK.
    pub public_jwk: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is not used any more.
    pub retire_at: Option<UnixMillis>,
    /// What it signs: `access_token`.
    pub purpose: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

from_row!(SigningKey, |row| Self {
    kid: row.try_get("kid")?,
    alg: row.try_get("alg")?,
    pkcs8: row.try_get("pkcs8")?,
    public_jwk: row.try_get("public_jwk")?,
    created_at: UnixMillis(row.try_get("created_at")?),
    retire_at: row.try_get::<Option<_>, _>("retire_at")?.map(UnixMillis),
    purpose: row.try_get("purpose")?,
});

impl Tx {
    /// Signing keys of the server, by purpose.
    pub fn keys(&mut self) -> Keys<'_> {
        Keys(self)
    }
}

/// Signing keys of the server, by purpose.
#[derive(Debug)]
pub struct Keys<'tx>(&'tx mut Tx);

impl Keys<'_> {
    /// Stores a key.
    pub async fn insert(&mut self, key: &SigningKey) -> Result<(), StorageError> {
        const SQL: &str = "
            insert into signing_key (kid, alg, pkcs8, public_jwk, created_at, retire_at, purpose)
            values ($1, $2, $3, $4, $5, $6, $7)";
        on_conn!(self.0, |conn| {
            sqlx::query(SQL)
                .bind(&key.kid)
                .bind(&key.alg)
                .bind(&key.pkcs8)
                .bind(&key.public_jwk)
                .bind(key.created_at.0)
                .bind(key.retire_at.map(|at| at.0))
                .bind(&key.purpose)
                .execute(conn)
                .await?;
        });
        Ok(())
    }

    /// Lists the keys of a purpose, newest first, retired ones too.
    pub async fn list(&mut self, purpose: &str) -> Result<Vec<SigningKey>, StorageError> {
        const SQL: &str = "
            select kid, alg, pkcs8, public_jwk, created_at, retire_at, purpose
              from signing_key where purpose = $1 order by created_at desc, kid";
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL).bind(purpose).fetch_all(conn).await?))
    }

    /// Sets when a key retires; [`StorageError::Stale`] if it is unknown.
    pub async fn retire(&mut self, kid: &str, at: UnixMillis) -> Result<(), StorageError> {
        const SQL: &str = "update signing_key set retire_at = $2 where kid = $1";
        let written = on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(kid).bind(at.0).execute(conn).await?.rows_affected()
        });
        if written == 1 { Ok(()) } else { Err(StorageError::Stale) }
    }

    /// Removes keys that retired before `before` and gives how many.
    pub async fn remove_retired(&mut self, before: UnixMillis) -> Result<u64, StorageError> {
        const SQL: &str = "delete from signing_key where retire_at < $1";
        Ok(on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(before.0).execute(conn).await?.rows_affected()
        }))
    }
}
