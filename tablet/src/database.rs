//! The local database: the replica's rows, and the forms. What is committed is on disk; what is deleted is gone.

use crate::error::TabletError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use std::path::Path;
use std::time::Duration;
use sync_protocol::replica::{Row, Table, Write};

/// How long a statement waits for a backup that reads the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const SCHEMA: [&str; 3] = [
    "create table if not exists stored (
       tbl text not null, key text not null, value blob not null, primary key (tbl, key)
     ) strict",
    "create table if not exists bundle (hash text primary key, body text not null) strict",
    "create table if not exists upload (
       sha256 text primary key, upload text, offset integer not null, attempts integer not null,
       finished integer not null, next_try integer not null, stopped text
     ) strict",
];

/// The one connection to the file.
#[derive(Debug)]
pub struct Database {
    pub(crate) connection: SqliteConnection,
}

impl Database {
    /// Opens or makes the file, and makes sure that it runs safely.
    pub async fn open(path: &Path) -> Result<Self, TabletError> {
        let connection = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .pragma("trusted_schema", "OFF")
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging()
            .connect()
            .await?;
        let mut database = Self { connection };
        database.assert_safe().await?;
        for statement in SCHEMA {
            sqlx::query(statement).execute(&mut database.connection).await?;
        }
        // A crash may have come between a deletion and the end of what was deleted.
        database.truncate_log().await?;
        Ok(database)
    }

    async fn assert_safe(&mut self) -> Result<(), TabletError> {
        let number = async |query: &'static str, connection: &mut SqliteConnection| {
            sqlx::query_scalar::<_, i64>(query).fetch_one(connection).await
        };
        let synchronous = number("pragma synchronous", &mut self.connection).await?;
        let secure_delete = number("pragma secure_delete", &mut self.connection).await?;
        let journal: String =
            sqlx::query_scalar("pragma journal_mode").fetch_one(&mut self.connection).await?;
        if (synchronous, secure_delete, journal.as_str()) == (2, 1, "wal") {
            return Ok(());
        }
        Err(TabletError::Unsafe(format!(
            "synchronous {synchronous}, secure_delete {secure_delete}, journal {journal}"
        )))
    }

    /// Every row of the replica.
    pub async fn rows(&mut self) -> Result<Vec<Row>, TabletError> {
        const SQL: &str = "select tbl, key, value from stored order by tbl, key";
        let mut rows = Vec::new();
        for row in sqlx::query(SQL).fetch_all(&mut self.connection).await? {
            let name: String = row.try_get(0)?;
            let known = Table::ALL.into_iter().find(|table| table.as_str() == name);
            let table =
                known.ok_or_else(|| TabletError::Unsafe(format!("unknown table {name}")))?;
            rows.push(Row { table, key: row.try_get(1)?, value: row.try_get(2)? });
        }
        Ok(rows)
    }

    /// Commits the writes of one step.
    pub async fn commit(&mut self, writes: &[Write]) -> Result<(), TabletError> {
        const PUT: &str = "insert into stored (tbl, key, value) values ($1, $2, $3)
             on conflict (tbl, key) do update set value = excluded.value";
        const DELETE: &str = "delete from stored where tbl = $1 and key = $2";
        if writes.is_empty() {
            return Ok(());
        }
        let mut tx = self.connection.begin_with("begin immediate").await?;
        for write in writes {
            let (table, key) = (write.table.as_str(), write.key.as_str());
            let query = match &write.value {
                Some(value) => sqlx::query(PUT).bind(table).bind(key).bind(value.as_slice()),
                None => sqlx::query(DELETE).bind(table).bind(key),
            };
            query.execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Makes what was deleted unreadable; `whole` also rewrites the file, so that no free page holds anything.
    pub async fn vacuum(&mut self, whole: bool) -> Result<(), TabletError> {
        if whole {
            sqlx::query("vacuum").execute(&mut self.connection).await?;
        }
        self.truncate_log().await
    }

    async fn truncate_log(&mut self) -> Result<(), TabletError> {
        sqlx::query("pragma wal_checkpoint(truncate)").execute(&mut self.connection).await?;
        Ok(())
    }

    /// Stores the list of current forms in place of the one before.
    pub async fn store_bundle(&mut self, hash: &str, body: &str) -> Result<(), TabletError> {
        let mut tx = self.connection.begin_with("begin immediate").await?;
        sqlx::query("delete from bundle").execute(&mut *tx).await?;
        sqlx::query("insert into bundle (hash, body) values ($1, $2)")
            .bind(hash)
            .bind(body)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// The list of current forms.
    pub async fn bundle(&mut self) -> Result<Option<String>, TabletError> {
        Ok(sqlx::query_scalar("select body from bundle")
            .fetch_optional(&mut self.connection)
            .await?)
    }
}
