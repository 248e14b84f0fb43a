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

/// Reads a database that holds one bureau.
pub async fn look(url: &str) -> Result<Look> {
    if url.starts_with("sqlite:") {
        let options = sqlx::sqlite::SqliteConnectOptions::from_str(url)?.read_only(true);
        let mut conn = SqliteConnection::connect_with(&options).await?;
        sqlx::query("begin").execute(&mut conn).await?;
        let found = look!(&mut conn);
        conn.close().await?;
        Ok(found)
    } else if url.starts_with("postgres:") {
        let mut conn = PgConnection::connect(url).await?;
        sqlx::query("begin isolation level repeatable read, read only").execute(&mut conn).await?;
        let found = look!(&mut conn);
        conn.close().await?;
        Ok(found)
    } else {
        bail!("neither SQLite nor PostgreSQL: {url}")
    }
}
