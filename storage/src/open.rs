//! Opening: connections with their bounds, the schema, and a look at what is really in force.

use crate::backend::{Durability, Options, Pools};
use crate::fault::planted;
use crate::{StorageError, migrations};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, PgConnection};
use std::str::FromStr as _;
use std::time::Duration;

/// How long a caller waits for a connection before it is told that the store is busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long SQLite waits for a lock that another process holds.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What SQLite leaves of its log after a checkpoint.
const WAL_BYTES_MAX: &str = "67108864";
/// Pages of 4 KiB in the log from which a commit folds them into the file: 32 MiB, so that a page that many commits
/// touch is written there once.
const WAL_PAGES: &str = "8192";
/// Rows that SQLite reads ahead of whom it reads for.
const ROWS_AHEAD: usize = 256;
/// Prepared statements that the writer keeps.
const WRITER_STATEMENTS: usize = 256;
/// Pages that the writer keeps in memory, as SQLite counts them: 16 MiB.
const WRITER_CACHE: &str = "-16384";
/// When PostgreSQL ends a statement, a wait for a lock, and a transaction that does nothing.
const PG_TIMEOUTS: [(&str, &str); 3] = [
    ("statement_timeout", "10s"),
    ("lock_timeout", "3s"),
    ("idle_in_transaction_session_timeout", "10s"),
];
/// Has PostgreSQL read by an index whatever it knows of a table: the plan of a prepared statement stays, and one made
/// while the table was empty would read all of it for ever.
const PG_PLANS: (&str, &str) = ("enable_seqscan", "off");
/// How long a connection to PostgreSQL lives.
const PG_LIFETIME: Duration = Duration::from_mins(30);
/// The oldest PostgreSQL that is supported, as `server_version_num`.
const PG_VERSION_MIN: i64 = 150_000;

pub(crate) async fn open(options: &Options) -> Result<Pools, StorageError> {
    let url = options.url.as_str();
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        open_postgres(options).await
    } else if url.starts_with("sqlite:") && !url.contains(":memory:") {
        open_sqlite(options).await
    } else {
        Err(StorageError::UnsupportedUrl)
    }
}

async fn open_sqlite(options: &Options) -> Result<Pools, StorageError> {
    let synchronous = match options.durability {
        Durability::Full if planted("synchronous_normal") => SqliteSynchronous::Normal,
        Durability::Full => SqliteSynchronous::Full,
        Durability::VolatileForSimulation => SqliteSynchronous::Off,
    };
    let reading = SqliteConnectOptions::from_str(&options.url)?
        .foreign_keys(true)
        .synchronous(synchronous)
        .busy_timeout(SQLITE_BUSY_TIMEOUT)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("trusted_schema", "OFF")
        .pragma("journal_size_limit", WAL_BYTES_MAX);
    if !options.create && !reading.get_filename().exists() {
        return Err(StorageError::NoDatabase(reading.get_filename().display().to_string()));
    }
    let writing = reading
        .clone()
        .create_if_missing(options.create)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("wal_autocheckpoint", WAL_PAGES)
        .pragma("cache_size", WRITER_CACHE)
        .statement_cache_capacity(WRITER_STATEMENTS);
    // A file does not go away as a server does: no connection is tried before it is used.
    let pool = || SqlitePoolOptions::new().test_before_acquire(false);
    let writer = pool()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(writing)
        .await?;
    assert_sqlite(&mut *writer.acquire().await?, options.durability).await?;
    if planted("synchronous_dropped") {
        sqlx::query("pragma synchronous = normal").execute(&writer).await?;
    }
    migrations::sqlite().run(&writer).await?;
    let readers = pool()
        .max_connections(options.read_connections.max(1))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(reading.read_only(true))
        .await?;
    assert_sqlite(&mut *readers.acquire().await?, options.durability).await?;
    Ok(Pools::Sqlite { writer, readers })
}

/// Reads the pragmas back: SQLite ignores what it does not know and what it cannot do.
async fn assert_sqlite(
    conn: &mut SqliteConnection,
    durability: Durability,
) -> Result<(), StorageError> {
    const SQL: &str = "
        select (select journal_mode from pragma_journal_mode),
               (select synchronous from pragma_synchronous),
               (select foreign_keys from pragma_foreign_keys),
               (select trusted_schema from pragma_trusted_schema)";
    let (journal, synchronous, foreign_keys, trusted): (String, i64, i64, i64) =
        sqlx::query_as(SQL).fetch_one(conn).await?;
    let wanted = match durability {
        Durability::Full => 2,
        Durability::VolatileForSimulation => 0,
    };
    demand("journal_mode", journal.as_str(), "wal")?;
    demand("synchronous", &synchronous, &wanted)?;
    demand("foreign_keys", &foreign_keys, &1)?;
    demand("trusted_schema", &trusted, &0)
}

async fn open_postgres(options: &Options) -> Result<Pools, StorageError> {
    let plain = PgConnectOptions::from_str(&options.url)?.application_name("genba");
    migrate_postgres(&plain).await?;
    let commit = match options.durability {
        Durability::Full => "on",
        Durability::VolatileForSimulation => "off",
    };
    let pool = PgPoolOptions::new()
        .max_connections(options.read_connections.saturating_add(1))
        .test_before_acquire(false)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(PG_LIFETIME)
        .connect_with(
            plain.options(PG_TIMEOUTS).options([("synchronous_commit", commit), PG_PLANS]),
        )
        .await?;
    assert_postgres(&mut *pool.acquire().await?, options.durability).await?;
    Ok(Pools::Postgres(pool))
}

/// Migrates on a connection of its own, because a migration may take longer than a statement.
async fn migrate_postgres(options: &PgConnectOptions) -> Result<(), StorageError> {
    let mut conn = PgConnection::connect_with(options).await?;
    migrations::postgres().run_direct(None, &mut conn, false).await?;
    Ok(conn.close().await?)
}

async fn assert_postgres(
    conn: &mut PgConnection,
    durability: Durability,
) -> Result<(), StorageError> {
    let mut set = std::collections::BTreeMap::new();
    for name in ["server_version_num", "server_encoding", "fsync", "full_page_writes"]
        .into_iter()
        .chain(["synchronous_commit"])
        .chain(PG_TIMEOUTS.map(|(name, _)| name))
    {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(name)
            .fetch_one(&mut *conn)
            .await?;
        set.insert(name, value);
    }
    let found = |name: &str| set.get(name).map(String::as_str).unwrap_or_default();
    if found("server_version_num").parse::<i64>().is_ok_and(|version| version < PG_VERSION_MIN) {
        return Err(StorageError::Unsafe("PostgreSQL older than 15".into()));
    }
    demand("server_encoding", found("server_encoding"), "UTF8")?;
    for (name, wanted) in PG_TIMEOUTS {
        demand(name, found(name), wanted)?;
    }
    match durability {
        Durability::Full => ["fsync", "full_page_writes", "synchronous_commit"]
            .into_iter()
            .try_for_each(|name| demand(name, found(name), "on")),
        Durability::VolatileForSimulation => Ok(()),
    }
}

fn demand<T: PartialEq + std::fmt::Display + ?Sized>(
    name: &str,
    found: &T,
    wanted: &T,
) -> Result<(), StorageError> {
    if found == wanted {
        return Ok(());
    }
    Err(StorageError::Unsafe(format!("{name} is {found}, not {wanted}")))
}
