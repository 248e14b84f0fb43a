//! Secrets that the server makes for itself.

use crate::sql::on_conn;
use crate::{StorageError, Tx};

impl Tx {
    /// Secrets that the server makes for itself.
    pub fn secrets(&mut self) -> Secrets<'_> {
        Secrets(self)
    }
}

/// Secrets that the server makes for itself.
#[derive(Debug)]
pub struct Secrets<'tx>(&'tx mut Tx);

impl Secrets<'_> {
    /// Gives the secret of this name, and stores `value` as it if there is none.
    pub async fn get_or_insert(
        &mut self,
        name: &str,
        value: &[u8],
    ) -> Result<Vec<u8>, StorageError> {
        const INSERT: &str = "
            insert into server_secret (name, value) values ($1, $2) on conflict (name) do nothing";
        const SELECT: &str = "select value from server_secret where name = $1";
        Ok(on_conn!(self.0, |conn| {
            sqlx::query(INSERT).bind(name).bind(value).execute(&mut *conn).await?;
            sqlx::query_scalar(SELECT).bind(name).fetch_one(conn).await?
        }))
    }
}
