//! The two databases behind one door: [`Store`] opens, [`Tx`] reads and writes.

use crate::error::is_lost;
use crate::fault::planted;
use crate::{StorageError, open};
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use std::future::Future;

/// Which database a store stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// One file, one writer.
    Sqlite,
    /// A PostgreSQL server, 15 or later.
    Postgres,
}

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A power cut.
    #[default]
    Full,
    /// Nothing: for simulated worlds, which lose power only in thought.
    VolatileForSimulation,
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// `sqlite:/path/genba.db` or `postgres://…`.
    pub url: String,
    /// Connections that read: SQLite's readers; on PostgreSQL the whole pool but one.
    pub read_connections: u32,
    /// What a commit survives.
    pub durability: Durability,
    /// Whether the file of SQLite is made when there is none; a database of PostgreSQL is never made here.
    pub create: bool,
}

impl Options {
    /// Durable, with eight readers; made when it is not there.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), read_connections: 8, durability: Durability::Full, create: true }
    }
}

/// An open store; clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pools: Pools,
}

#[derive(Clone, Debug)]
pub(crate) enum Pools {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// A transaction; dropped without [`commit`](Tx::commit), it leaves no trace.
///
/// After an error, drop it: PostgreSQL has spent it.
#[derive(Debug)]
pub struct Tx {
    pub(crate) conn: Conn,
}

#[derive(Debug)]
pub(crate) enum Conn {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

// Each begins and takes its snapshot or its lock in one round trip.
const SQLITE_READ: &str = "begin; select 1 from tenant_head limit 1";
const SQLITE_WRITE: &str = "begin immediate";
const POSTGRES_READ: &str = "begin isolation level repeatable read, read only; select 1";
const POSTGRES_WRITE: &str = "begin isolation level read committed, read write";

impl Store {
    /// Opens the database, migrates it and asserts the settings that durability rests on.
    pub async fn open(options: &Options) -> Result<Self, StorageError> {
        Ok(Self { pools: open::open(options).await? })
    }

    /// Begins a transaction that only reads, on one snapshot taken before this returns.
    pub async fn read(&self) -> Result<Tx, StorageError> {
        let conn = match self.pools.clone() {
            Pools::Sqlite { readers, .. } => begin_sqlite(readers, SQLITE_READ).await?,
            Pools::Postgres(pool) => begin_postgres(pool, POSTGRES_READ).await?,
        };
        Ok(Tx { conn })
    }

    /// Begins a transaction that writes. On SQLite it is the only one.
    pub async fn write(&self) -> Result<Tx, StorageError> {
        let conn = match self.pools.clone() {
            Pools::Sqlite { writer, .. } => begin_sqlite(writer, SQLITE_WRITE).await?,
            Pools::Postgres(pool) => begin_postgres(pool, POSTGRES_WRITE).await?,
        };
        Ok(Tx { conn })
    }

    /// The database that this store stands on.
    pub fn engine(&self) -> Engine {
        match self.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Closes all connections; on SQLite the last one folds the log into the file.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// Makes the writes durable and visible. Whoever stops waiting does not stop the commit.
    pub async fn commit(self) -> Result<(), StorageError> {
        to_the_end(async move {
            match self.conn {
                Conn::Sqlite(tx) => tx.commit().await,
                Conn::Postgres(tx) => tx.commit().await,
            }
        })
        .await
    }

    /// The database that this transaction runs on.
    pub fn engine(&self) -> Engine {
        match self.conn {
            Conn::Sqlite(_) => Engine::Sqlite,
            Conn::Postgres(_) => Engine::Postgres,
        }
    }

    /// The only place where the dialects part.
    pub(crate) fn dialect(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.conn {
            Conn::Sqlite(_) => sqlite,
            Conn::Postgres(_) => postgres,
        }
    }
}

async fn begin_sqlite(pool: SqlitePool, sql: &'static str) -> Result<Conn, StorageError> {
    to_the_end(async move { pool.begin_with(sql).await.map(Conn::Sqlite) }).await
}

/// Begins on a connection that may have died since it was used: then the others are tried.
async fn begin_postgres(pool: PgPool, sql: &'static str) -> Result<Conn, StorageError> {
    to_the_end(async move {
        let mut others = pool.size();
        loop {
            match pool.begin_with(sql).await {
                Err(error) if others > 0 && is_lost(&error) => others -= 1,
                begun => return begun.map(Conn::Postgres),
            }
        }
    })
    .await
}

/// Runs a step in a task of its own, so that a caller who is dropped while it waits cannot cut it in half.
///
/// A `begin` of sqlx 0.9 that is cut leaves an open transaction in the pool. Here it ends, nobody takes
/// the transaction, and so it is rolled back.
async fn to_the_end<T: Send + 'static>(
    step: impl Future<Output = sqlx::Result<T>> + Send + 'static,
) -> Result<T, StorageError> {
    if planted("begin_in_the_caller") {
        return Ok(step.await?);
    }
    match tokio::spawn(step).await {
        Ok(done) => Ok(done?),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StorageError::Database(sqlx::Error::WorkerCrashed)),
        },
    }
}
