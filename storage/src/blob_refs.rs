//! References to blobs: which received change names which bytes, and whether its author has shown them.
//!
//! A reference holds when the bytes are here and its author has uploaded all of them: knowing a hash gives nothing.

use crate::backend::Conn;
use crate::fault::planted;
use crate::sql::{Hashes, Ids, from_row, hash, on_conn, parsed, sql, with_rows};
use crate::{Render, StorageError, Tx};
use std::collections::BTreeSet;
use sync_protocol::{
    blob::BlobHash,
    id::{ChangeId, RecordId, Tenant, UserId},
    wire::Blobs,
};

/// One blob that a received change names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobReference {
    /// The record of the change.
    pub rec: RecordId,
    /// The blob.
    pub sha256: BlobHash,
    /// The change.
    pub change: ChangeId,
    /// With whose credentials it came.
    pub author: UserId,
    /// How far the server's clock was ahead of the author's when the change arrived, in milliseconds; `None` for
    /// what did not come from a tablet.
    pub clock_offset_ms: Option<i64>,
    /// Whether the change is applied; otherwise it waits in quarantine, or was closed there.
    pub applied: bool,
}

/// A blob that the applied changes of a record name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBlob {
    /// The blob.
    pub sha256: BlobHash,
    /// The author of a reference that holds; of the oldest one while none does.
    pub author: UserId,
    /// The offset of that author's clock, as in [`BlobReference`].
    pub clock_offset_ms: Option<i64>,
    /// What is stored of it; `None` while no reference of the record holds.
    pub held: Option<HeldBlob>,
}

/// What is stored of a blob that a reference holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBlob {
    /// Its length.
    pub bytes: i64,
    /// Its media type, as its first bytes tell.
    pub mime: String,
    /// What was read out of it, as JSON; `None` until it was looked at.
    pub facts: Option<String>,
    /// How far its smaller pictures are.
    pub render: Render,
}

/// References with what holds of them: the owner is joined to the blob, so neither counts without the other.
macro_rules! held {
    () => {
        held!("o.user_id = r.author")
    };
    ($whose:literal) => {
        concat!(
            " from blob_ref as r
               left join blob as b
                 on b.tenant = r.tenant and b.sha256 = r.sha256 and b.state = 'have'
               left join blob_owner as o
                 on o.tenant = b.tenant and o.sha256 = b.sha256 and ",
            $whose,
            " where r.tenant = $1 and r.applied and r.rec "
        )
    };
}

from_row!(RecordBlob, |row| Self {
    sha256: BlobHash(hash("sha256", row.try_get("sha256")?)?),
    author: UserId(row.try_get("author")?),
    clock_offset_ms: row.try_get("clock_offset_ms")?,
    held: if row.try_get("holds")? {
        Some(HeldBlob {
            bytes: row.try_get("bytes")?,
            mime: row.try_get("mime")?,
            facts: row.try_get("facts")?,
            render: parsed("render", row.try_get("render")?)?,
        })
    } else {
        None
    },
});

/// A blob of a record, when a reference holds.
struct Holding {
    rec: RecordId,
    sha256: BlobHash,
}

from_row!(Holding, |row| Self {
    rec: RecordId(row.try_get("rec")?),
    sha256: BlobHash(hash("sha256", row.try_get("sha256")?)?),
});

/// A blob that an author names, and whether that author has shown it.
struct Standing {
    sha256: BlobHash,
    shown: bool,
}

from_row!(Standing, |row| Self {
    sha256: BlobHash(hash("sha256", row.try_get("sha256")?)?),
    shown: row.try_get("shown")?,
});

impl Tx {
    /// References to blobs: which received change names which bytes, and whether its author has shown them.
    pub fn blob_refs(&mut self) -> BlobRefs<'_> {
        BlobRefs(self)
    }
}

/// References to blobs: which received change names which bytes, and whether its author has shown them.
#[derive(Debug)]
pub struct BlobRefs<'tx>(&'tx mut Tx);

impl BlobRefs<'_> {
    /// Keeps whoever collects or stores these blobs off them until commit. The locks are taken in the order of the
    /// hashes, after those of records and before the head row. SQLite locks nothing: its writer is alone.
    pub async fn lock(
        &mut self,
        tenant: &Tenant,
        hashes: &BTreeSet<BlobHash>,
    ) -> Result<(), StorageError> {
        const LOCK: &str = "
            select sha256 from blob where tenant = $1 and sha256 = any($2)
             order by sha256 for update";
        if let Conn::Postgres(tx) = &mut self.0.conn
            && !planted("blobs_unlocked")
        {
            let hashes = Hashes::of(hashes.iter().copied());
            sqlx::query(LOCK).bind(tenant.as_str()).bind(hashes).execute(&mut **tx).await?;
        }
        Ok(())
    }

    /// Notes references. One that is known stays as it is, but that a change which left the quarantine is applied.
    pub async fn append(
        &mut self,
        tenant: &Tenant,
        references: &[BlobReference],
    ) -> Result<(), StorageError> {
        const INTO: &str = "
            insert into blob_ref (tenant, rec, sha256, change, author, clock_offset_ms, applied) ";
        const APPLIED: &str = "
            on conflict (tenant, rec, sha256, change, author) do update set applied = true
             where excluded.applied and not blob_ref.applied";
        with_rows!(self.0, INTO, references, |row| [
            text tenant.as_str(),
            uuid row.rec.0,
            bytea row.sha256.0.as_slice(),
            uuid row.change.0,
            uuid row.author.0,
            bigint row.clock_offset_ms,
            boolean row.applied,
        ], APPLIED);
        Ok(())
    }

    /// Of these blobs, those that received changes of this user name, applied or not: which the user must upload,
    /// and which the user has uploaded. Both are sorted.
    pub async fn standing(
        &mut self,
        tenant: &Tenant,
        user: UserId,
        hashes: &[BlobHash],
    ) -> Result<Blobs, StorageError> {
        let sql = sql!(
            self.0,
            "select r.sha256, o.user_id is not null as shown
               from (select distinct tenant, sha256, author from blob_ref
                      where tenant = $1 and author = $2 and sha256 ", (ids "$3"), ") as r
               left join blob as b
                 on b.tenant = r.tenant and b.sha256 = r.sha256 and b.state = 'have'
               left join blob_owner as o
                 on o.tenant = b.tenant and o.sha256 = b.sha256 and o.user_id = r.author
              order by r.sha256"
        );
        let hashes = Hashes::of(hashes.iter().copied());
        let tenant = tenant.as_str();
        let named: Vec<Standing> = on_conn!(self.0, |conn| {
            sqlx::query_as(sql).bind(tenant).bind(user.0).bind(hashes).fetch_all(conn).await?
        });
        let mut blobs = Blobs::default();
        for Standing { sha256, shown } in named {
            if shown { blobs.have.push(sha256) } else { blobs.need.push(sha256) }
        }
        Ok(blobs)
    }

    /// Lists the blobs that applied changes of a record name, each once, by hash.
    pub async fn of_record(
        &mut self,
        tenant: &Tenant,
        rec: RecordId,
    ) -> Result<Vec<RecordBlob>, StorageError> {
        const SQL: &str = concat!(
            "select r.sha256, r.author, r.clock_offset_ms, o.user_id is not null as holds,
                    b.bytes, b.mime, b.facts, b.render",
            held!(),
            "= $2 order by r.sha256, holds desc, r.change"
        );
        let tenant = tenant.as_str();
        let mut found: Vec<RecordBlob> = on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(rec.0).fetch_all(conn).await?
        });
        found.dedup_by_key(|blob| blob.sha256);
        Ok(found)
    }

    /// Tells which blobs of these records hold: the rest of what they show is missing.
    pub async fn holding(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<BTreeSet<(RecordId, BlobHash)>, StorageError> {
        let sql = if planted("hash_is_enough") {
            sql!(
                self.0,
                "select distinct r.rec, r.sha256 ", {held!("true")}, (ids "$2"),
                " and o.user_id is not null"
            )
        } else {
            sql!(
                self.0,
                "select distinct r.rec, r.sha256 ", {held!()}, (ids "$2"),
                " and o.user_id is not null"
            )
        };
        let ids = Ids::of(recs.iter().map(|rec| rec.0));
        let tenant = tenant.as_str();
        let found: Vec<Holding> = on_conn!(self.0, |conn| {
            sqlx::query_as(sql).bind(tenant).bind(ids).fetch_all(conn).await?
        });
        Ok(found.into_iter().map(|Holding { rec, sha256 }| (rec, sha256)).collect())
    }
}
