//! The benchmark: every figure beside the raw limit of the machine, measured in the same run.
//!
//! The server is the real binary as a child process on loopback, the clients are in this process, and both share the
//! machine's cores. Databases, folders and ports are thrown away.

pub mod author;
pub mod bombs;
pub mod broadcast;
pub mod bytes;
pub mod client;
pub mod first_sync;
pub mod idle;
pub mod load;
pub mod process;
pub mod pull;
pub mod push;
pub mod replay;
pub mod scene;
pub mod seed;
pub mod sockets;
pub mod stage;
pub mod table;
pub mod thumbs;
pub mod uploads;
pub mod watch;

use anyhow::Result;
use push::Engine;
use table::Line;

/// One part of the benchmark, by the name that runs it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Push over HTTP, on SQLite.
    PushSqlite,
    /// Push over HTTP, on PostgreSQL.
    PushPostgres,
    /// First sync of everything that a tablet may hold.
    FirstSync,
    /// Pull of one change.
    Pull,
    /// Bytes on the wire for one changed field.
    Bytes,
    /// Idle live sockets and a poke to all of them.
    Sockets,
    /// An idle server, its stop and its kill.
    Idle,
    /// One large upload.
    UploadLarge,
    /// Many photos from many tablets.
    UploadPhotos,
    /// An upload over a link that drops.
    UploadLink,
    /// The two pictures of a photo.
    Thumbs,
    /// Files and bodies that were made to hurt.
    Bombs,
}

impl Part {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 12] = [
        Self::PushSqlite,
        Self::PushPostgres,
        Self::FirstSync,
        Self::Pull,
        Self::Bytes,
        Self::Sockets,
        Self::Idle,
        Self::UploadLarge,
        Self::UploadPhotos,
        Self::UploadLink,
        Self::Thumbs,
        Self::Bombs,
    ];

    /// Measures; `quick` takes smaller amounts.
    pub async fn run(self, quick: bool) -> Result<Vec<Line>> {
        match self {
            Self::PushSqlite => push::run(Engine::Sqlite, quick).await,
            Self::PushPostgres => push::run(Engine::Postgres, quick).await,
            Self::FirstSync => first_sync::run(quick).await,
            Self::Pull => pull::run(quick).await,
            Self::Bytes => bytes::run().await,
            Self::Sockets => sockets::run(quick).await,
            Self::Idle => idle::run(quick).await,
            Self::UploadLarge => uploads::large(quick).await,
            Self::UploadPhotos => uploads::photos(quick).await,
            Self::UploadLink => uploads::link(quick).await,
            Self::Thumbs => thumbs::run(quick).await,
            Self::Bombs => bombs::run(quick).await,
        }
    }
}
