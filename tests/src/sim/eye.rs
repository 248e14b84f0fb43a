//! The eye of a world: looks at the server's database without asking the server.

use super::house::tenant;
use anyhow::{Context as _, Result, ensure};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Bucket, ChangeId, RecordId, Seq, UserId};
use sync_protocol::value::{Hash, hash_of};
use uuid::Uuid;

/// What the server's disk is known to hold.
#[derive(Debug)]
pub(super) struct Eye {
    conn: Option<SqliteConnection>,
    /// The last seq that was looked at.
    pub(super) head: i64,
    /// Every change on the server's disk, in journal or quarantine, by id, with the hashes of its texts.
    pub(super) has: BTreeMap<ChangeId, BTreeSet<Hash>>,
    /// Those in the journal.
    pub(super) applied: BTreeSet<ChangeId>,
}

/// A record as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Its id.
    pub(super) rec: RecordId,
    /// Its kind.
    pub(super) kind: String,
    /// The seq of its last change.
    pub(super) rv: Seq,
    /// Its body.
    pub(super) state: Vec<u8>,
    /// Its meta.
    pub(super) meta: Vec<u8>,
    /// Its subject.
    pub(super) about: Option<RecordId>,
}

fn id(bytes: &[u8]) -> Result<Uuid> {
    Ok(Uuid::from_slice(bytes)?)
}

impl Eye {
    /// Opens the eye on a database and looks at all of it.
    pub(super) async fn open(file: &Path) -> Result<Self> {
        let mut eye = Self { conn: None, head: 0, has: BTreeMap::new(), applied: BTreeSet::new() };
        eye.wake(file).await?;
        eye.look().await?;
        Ok(eye)
    }

    /// Opens the file again; what was seen before still stands.
    pub(super) async fn wake(&mut self, file: &Path) -> Result<()> {
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        self.conn = Some(options.connect().await?);
        Ok(())
    }

    /// Lets go of the file.
    pub(super) async fn shut(&mut self) -> Result<()> {
        match self.conn.take() {
            Some(conn) => Ok(conn.close().await?),
            None => Ok(()),
        }
    }

    fn conn(&mut self) -> Result<&mut SqliteConnection> {
        self.conn.as_mut().context("the eye is shut")
    }

    /// Looks at what is new: seqs have no gaps, texts are what their hash says.
    pub(super) async fn look(&mut self) -> Result<()> {
        const SQL: &str = "
            select seq, id, hash, body, 1 as applied from change where tenant = $1 and seq > $2
            union all
            select seq, id, hash, body, 0 as applied from quarantine where tenant = $1 and seq > $2
            order by seq";
        let rows = sqlx::query(SQL)
            .bind(tenant().as_str())
            .bind(self.head)
            .fetch_all(self.conn()?)
            .await?;
        for row in rows {
            let seq: i64 = row.try_get("seq")?;
            ensure!(seq == self.head + 1, "seq {seq} comes after {}", self.head);
            self.head = seq;
            let change = ChangeId(id(row.try_get("id")?)?);
            let hash: Vec<u8> = row.try_get("hash")?;
            let body: Vec<u8> = row.try_get("body")?;
            let hash: Hash = hash.try_into().ok().context("32 bytes")?;
            ensure!(hash_of(&body) == hash, "the text of {change} is not what its hash says");
            self.has.entry(change).or_default().insert(hash);
            if row.try_get::<i64, _>("applied")? == 1 {
                ensure!(self.applied.insert(change), "the change {change} was applied twice");
            }
        }
        let head: i64 = sqlx::query_scalar("select seq from tenant_head where tenant = $1")
            .bind(tenant().as_str())
            .fetch_one(self.conn()?)
            .await?;
        ensure!(head == self.head, "the head is {head}, the last row {}", self.head);
        Ok(())
    }

    /// The buckets that a user's tablets may hold at an instant.
    pub(super) async fn held(&mut self, user: UserId, now: i64) -> Result<BTreeSet<Bucket>> {
        const SQL: &str = "
            select bucket from grant_ where tenant = $1 and user_id = $2 and hold = 1
               and from_at <= $3 and (to_at is null or to_at > $3)";
        let rows: Vec<String> = sqlx::query_scalar(SQL)
            .bind(tenant().as_str())
            .bind(user.0.as_bytes().as_slice())
            .bind(now)
            .fetch_all(self.conn()?)
            .await?;
        let mut held = BTreeSet::from([Bucket::everyone()]);
        for bucket in rows {
            held.insert(bucket.parse()?);
        }
        Ok(held)
    }

    /// Whether a grant begins or ends in a stretch of time.
    pub(super) async fn grants_change_within(&mut self, from: i64, to: i64) -> Result<bool> {
        const SQL: &str = "
            select count(*) from grant_ where from_at between $1 and $2 or to_at between $1 and $2";
        let count: i64 =
            sqlx::query_scalar(SQL).bind(from).bind(to).fetch_one(self.conn()?).await?;
        Ok(count > 0)
    }

    /// The live pointers: which records lie in which buckets.
    pub(super) async fn pointers(&mut self) -> Result<BTreeMap<Bucket, BTreeMap<RecordId, Seq>>> {
        const SQL: &str = "select bucket, rec, seq from pointer where tenant = $1 and live = 1";
        let rows = sqlx::query(SQL).bind(tenant().as_str()).fetch_all(self.conn()?).await?;
        let mut pointers: BTreeMap<Bucket, BTreeMap<RecordId, Seq>> = BTreeMap::new();
        for row in rows {
            let bucket: String = row.try_get("bucket")?;
            let rec = RecordId(id(row.try_get("rec")?)?);
            pointers.entry(bucket.parse()?).or_default().insert(rec, Seq(row.try_get("seq")?));
        }
        Ok(pointers)
    }

    /// Every record.
    pub(super) async fn records(&mut self) -> Result<Vec<Stored>> {
        const SQL: &str = "select rec, type, rv, state, meta, about from record where tenant = $1 and rv > 0 order by rec";
        let rows = sqlx::query(SQL).bind(tenant().as_str()).fetch_all(self.conn()?).await?;
        rows.into_iter()
            .map(|row| {
                let about: Option<Vec<u8>> = row.try_get("about")?;
                Ok(Stored {
                    rec: RecordId(id(row.try_get("rec")?)?),
                    kind: row.try_get("type")?,
                    rv: Seq(row.try_get("rv")?),
                    state: row.try_get("state")?,
                    meta: row.try_get("meta")?,
                    about: about.as_deref().map(id).transpose()?.map(RecordId),
                })
            })
            .collect()
    }

    /// The open rows of the quarantine: id, code and type.
    pub(super) async fn quarantined(&mut self) -> Result<Vec<(Uuid, String, Option<String>)>> {
        const SQL: &str = "select q, code, type from quarantine where tenant = $1 and state = 'open' order by seq";
        let rows = sqlx::query(SQL).bind(tenant().as_str()).fetch_all(self.conn()?).await?;
        rows.into_iter()
            .map(|row| Ok((id(row.try_get("q")?)?, row.try_get("code")?, row.try_get("type")?)))
            .collect()
    }

    /// The changes that wait in quarantine, with the hashes of their texts.
    pub(super) async fn open_ids(&mut self) -> Result<BTreeSet<(ChangeId, Hash)>> {
        const SQL: &str = "select id, hash from quarantine where tenant = $1 and state = 'open'";
        let rows = sqlx::query(SQL).bind(tenant().as_str()).fetch_all(self.conn()?).await?;
        let mut open = BTreeSet::new();
        for row in rows {
            let bytes: Option<Vec<u8>> = row.try_get("id")?;
            let hash: Vec<u8> = row.try_get("hash")?;
            if let Some(bytes) = bytes {
                open.insert((ChangeId(id(&bytes)?), hash.try_into().ok().context("32 bytes")?));
            }
        }
        Ok(open)
    }

    /// The sealed texts by their seal.
    pub(super) async fn sealed(&mut self) -> Result<BTreeMap<ChangeId, Vec<u8>>> {
        const SQL: &str = "select change, body from seal_snapshot where tenant = $1";
        let rows = sqlx::query(SQL).bind(tenant().as_str()).fetch_all(self.conn()?).await?;
        rows.into_iter()
            .map(|row| Ok((ChangeId(id(row.try_get("change")?)?), row.try_get("body")?)))
            .collect()
    }

    /// The texts of a record's journal with their effective times, in order of receipt.
    pub(super) async fn journal_of(
        &mut self,
        rec: RecordId,
    ) -> Result<Vec<(Seq, String, UnixMillis)>> {
        const SQL: &str =
            "select seq, body, t_eff from change where tenant = $1 and rec = $2 order by seq";
        let rows = sqlx::query(SQL)
            .bind(tenant().as_str())
            .bind(rec.0.as_bytes().as_slice())
            .fetch_all(self.conn()?)
            .await?;
        rows.into_iter()
            .map(|row| {
                let body: Vec<u8> = row.try_get("body")?;
                let text = String::from_utf8(body)?;
                Ok((Seq(row.try_get("seq")?), text, UnixMillis(row.try_get("t_eff")?)))
            })
            .collect()
    }

    /// What the server knows of replicas, changes, records, pointers and grants: everything that a replay must leave.
    pub(super) async fn fingerprint(&mut self) -> Result<Vec<i64>> {
        let mut counts = Vec::new();
        for sql in [
            "select seq from tenant_head",
            "select count(*) from change",
            "select count(*) from quarantine",
            "select count(*) from received",
            "select coalesce(sum(rv), 0) from record",
            "select coalesce(sum(seq * 31 + since * 7 + live), 0) from pointer",
            "select count(*) from replica",
            "select coalesce(sum(known_n), 0) from replica",
        ] {
            counts.push(sqlx::query_scalar(sql).fetch_one(self.conn()?).await?);
        }
        Ok(counts)
    }
}
