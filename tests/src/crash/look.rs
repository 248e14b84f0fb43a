//! The database as it is, read in one snapshot beside the server and its code.

use anyhow::{Result, bail};
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use std::str::FromStr as _;
use uuid::Uuid;

/// A row of the journal.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ChangeRow {
    /// Its seq.
    pub seq: i64,
    /// Its id.
    pub id: Uuid,
    /// The hash of its bytes.
    pub hash: Vec<u8>,
    /// Its record.
    pub rec: Uuid,
    /// The bytes.
    pub body: Vec<u8>,
    /// Its effective time.
    pub t_eff: i64,
    /// Why it is late.
    pub late: Option<String>,
}

/// A row of the quarantine.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct QuarantineRow {
    /// The seq of its receipt.
    pub seq: i64,
    /// Its id.
    pub id: Option<Uuid>,
    /// The hash of its bytes.
    pub hash: Vec<u8>,
    /// Why it is there.
    pub code: String,
    /// Where it stands.
    pub state: String,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RecordRow {
    /// Its id.
    pub rec: Uuid,
    /// Its kind.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// The seq of its last change.
    pub rv: i64,
    /// The state.
    pub state: Vec<u8>,
    /// What lists show.
    pub title: Option<String>,
    /// Its flags.
    pub flags: String,
}

/// A pointer.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PointerRow {
    /// The bucket.
    pub bucket: String,
    /// The record.
    pub rec: Uuid,
    /// The seq of the last change or of the leaving.
    pub seq: i64,
    /// The seq of the entering.
    pub since: i64,
    /// Whether the record lies there.
    pub live: bool,
}

/// A received number of a replica.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ReceivedRow {
    /// The replica.
    pub replica: Uuid,
    /// The number.
    pub n: i64,
    /// The change.
    pub id: Uuid,
    /// The seq of its first receipt.
    pub seq: i64,
}

/// Everything that the invariants speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The head.
    pub head: i64,
    /// The journal, by seq.
    pub changes: Vec<ChangeRow>,
    /// The quarantine, by seq.
    pub quarantine: Vec<QuarantineRow>,
    /// The records, by id.
    pub records: Vec<RecordRow>,
    /// The pointers, by bucket and record.
    pub pointers: Vec<PointerRow>,
    /// What replicas have pushed, by replica and number.
    pub received: Vec<ReceivedRow>,
}

const HEAD: &str = "select seq from tenant_head";
const CHANGES: &str = "select seq, id, hash, rec, body, t_eff, late from change order by seq";
const QUARANTINE: &str = "select seq, id, hash, code, state from quarantine order by seq";
const RECORDS: &str =
    "select rec, type, rv, state, title, flags from record where rv > 0 order by rec";
const POINTERS: &str = "select bucket, rec, seq, since, live from pointer order by bucket, rec";
const RECEIVED: &str = "select replica, n, id, seq from received order by replica, n";

macro_rules! look {
    ($conn:expr) => {{
        let conn = $conn;
        Look {
            head: sqlx::query_scalar(HEAD).fetch_one(&mut *conn).await?,
            changes: sqlx::query_as(CHANGES).fetch_all(&mut *conn).await?,
            quarantine: sqlx::query_as(QUARANTINE).fetch_all(&mut *conn).await?,
            records: sqlx::query_as(RECORDS).fetch_all(&mut *conn).await?,
            pointers: sqlx::query_as(POINTERS).fetch_all(&mut *conn).await?,
            received: sqlx::query_as(RECEIVED).fetch_all(&mut *conn).await?,
        }
    }};
}

/// A connection that only looks.
#[derive(Debug)]
pub enum Looker {
    /// Into a file.
    Sqlite(SqliteConnection),
    /// Into a server.
    Postgres(PgConnection),
}

impl Looker {
    /// Connects.
    pub async fn connect(url: &str) -> Result<Self> {
        if url.starts_with("sqlite:") {
            let options = sqlx::sqlite::SqliteConnectOptions::from_str(url)?.read_only(true);
            Ok(Self::Sqlite(SqliteConnection::connect_with(&options).await?))
        } else if url.starts_with("postgres:") {
            Ok(Self::Postgres(PgConnection::connect(url).await?))
        } else {
            bail!("neither SQLite nor PostgreSQL: {url}")
        }
    }

    /// Reads a database that holds one bureau, in one snapshot.
    pub async fn look(&mut self) -> Result<Look> {
        match self {
            Self::Sqlite(conn) => {
                sqlx::query("begin").execute(&mut *conn).await?;
                let found = look!(&mut *conn);
                sqlx::query("commit").execute(&mut *conn).await?;
                Ok(found)
            }
            Self::Postgres(conn) => {
                let begin = "begin isolation level repeatable read, read only";
                sqlx::query(begin).execute(&mut *conn).await?;
                let found = look!(&mut *conn);
                sqlx::query("commit").execute(&mut *conn).await?;
                Ok(found)
            }
        }
    }

    /// Ends the connection.
    pub async fn close(self) -> Result<()> {
        match self {
            Self::Sqlite(conn) => conn.close().await?,
            Self::Postgres(conn) => conn.close().await?,
        }
        Ok(())
    }
}

/// Looks once.
pub async fn look(url: &str) -> Result<Look> {
    let mut looker = Looker::connect(url).await?;
    let found = looker.look().await?;
    looker.close().await?;
    Ok(found)
}
