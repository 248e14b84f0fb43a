//! The two databases behind one door: [`Store`] opens, [`Tx`] reads and writes.

use crate::StorageError;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

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
}

impl Options {
    /// Durable, with eight readers.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), read_connections: 8, durability: Durability::Full }
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
#[derive(Debug)]
pub struct Tx {
    pub(crate) conn: Conn,
}

#[derive(Debug)]
pub(crate) enum Conn {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Store {
    /// Opens the database, migrates it and asserts the settings that durability rests on.
    pub async fn open(options: &Options) -> Result<Self, StorageError> {
        _ = options;
        todo!()
    }

    /// Begins a transaction that only reads, on one snapshot taken before this returns.
    pub async fn read(&self) -> Result<Tx, StorageError> {
        todo!()
    }

    /// Begins a transaction that writes. On SQLite it is the only one.
    pub async fn write(&self) -> Result<Tx, StorageError> {
        todo!()
    }

    /// The database that this store stands on.
    pub fn engine(&self) -> Engine {
        match self.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Closes all connections; on SQLite the log is folded into the file.
    pub async fn close(&self) {
        todo!()
    }
}

impl Tx {
    /// Makes the writes durable and visible.
    pub async fn commit(self) -> Result<(), StorageError> {
        todo!()
    }
}
