//! The benchmark: every figure beside the raw limit of the machine, measured in the same run.
//!
//! The server is the real binary as a child process on loopback, the clients are in this process, and both share the
//! machine's cores. Databases, folders and ports are thrown away.

pub mod author;
pub mod client;
pub mod process;
pub mod push;
pub mod replay;
pub mod scene;
pub mod table;

use anyhow::Result;
use table::Line;

/// One part of the benchmark, by the name that runs it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Push over HTTP, on SQLite.
    PushSqlite,
    /// Push over HTTP, on PostgreSQL.
    PushPostgres,
}

impl Part {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 2] = [Self::PushSqlite, Self::PushPostgres];

    /// Measures.
    pub async fn run(self, quick: bool) -> Result<Vec<Line>> {
        match self {
            Self::PushSqlite => push::run(push::Engine::Sqlite, quick).await,
            Self::PushPostgres => push::run(push::Engine::Postgres, quick).await,
        }
    }
}
