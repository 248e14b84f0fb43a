//! Records: the state that the changes have made, and what lists show of it.

use crate::backend::{Conn, Engine};
use crate::fault::planted;
use crate::sql::{Ids, from_row, on_conn, parsed, sql, with_rows};
use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{Bucket, RecordId, RecordType, Seq, Tenant, UserId},
};
use uuid::Uuid;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRow {
    /// Its id.
    pub rec: RecordId,
    /// Its kind.
    pub type_: RecordType,
    /// Its subject.
    pub about: Option<RecordId>,
    /// The seq of its last change.
    pub rv: Seq,
    /// The merge state, as the protocol writes it.
    pub state: Vec<u8>,
    /// What the server keeps beside the state: seqs per field and the like.
    pub meta: Vec<u8>,
    /// Words with one space between: `conflict sealed`.
    pub flags: String,
    /// Its status, for lists.
    pub status: Option<String>,
    /// Its title, for lists.
    pub title: Option<String>,
    /// When its `new` was received.
    pub created_at: UnixMillis,
    /// When its last change was received.
    pub updated_at: UnixMillis,
    /// The author of its `new`.
    pub created_by: UserId,
}

macro_rules! columns {
    () => {
        "rec, type, about, rv, state, meta, flags, status, title, created_at, updated_at, created_by"
    };
}
pub(crate) use columns;

from_row!(RecordRow, |row| Self {
    rec: RecordId(row.try_get("rec")?),
    type_: parsed("type", row.try_get("type")?)?,
    about: row.try_get::<Option<_>, _>("about")?.map(RecordId),
    rv: Seq(row.try_get("rv")?),
    state: row.try_get("state")?,
    meta: row.try_get("meta")?,
    flags: row.try_get("flags")?,
    status: row.try_get("status")?,
    title: row.try_get("title")?,
    created_at: UnixMillis(row.try_get("created_at")?),
    updated_at: UnixMillis(row.try_get("updated_at")?),
    created_by: UserId(row.try_get("created_by")?),
});

impl Tx {
    /// Records: the state that the changes have made, and what lists show of it.
    pub fn records(&mut self) -> Records<'_> {
        Records(self)
    }
}

/// Records: the state that the changes have made, and what lists show of it.
#[derive(Debug)]
pub struct Records<'tx>(pub(crate) &'tx mut Tx);

impl Records<'_> {
    /// Reserves the ids of records that may be created, so that there is something to lock.
    ///
    /// Reserve before you lock; save or drop what was reserved. Ids of records that exist are left alone. SQLite
    /// reserves nothing: its writer is alone.
    pub async fn reserve(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
        now: UnixMillis,
    ) -> Result<(), StorageError> {
        const INTO: &str = concat!("insert into record (tenant, ", columns!(), ") ");
        if self.0.engine() == Engine::Sqlite {
            return Ok(());
        }
        // Two writers that reserve the same ids must meet them in one order.
        let recs = sorted(recs);
        with_rows!(self.0, INTO, &recs, |rec| [
            text tenant.as_str(),
            uuid rec.0,
            text "",
            uuid None::<Uuid>,
            bigint 0_i64,
            bytea [].as_slice(),
            bytea [].as_slice(),
            text "",
            text None::<&str>,
            text None::<&str>,
            bigint now.0,
            bigint now.0,
            uuid Uuid::nil(),
        ], " on conflict (tenant, rec) do nothing");
        Ok(())
    }

    /// Reads these records, by id, and keeps other writers off them and off reserved ones until commit.
    ///
    /// What is only reserved is absent.
    pub async fn lock(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<Vec<RecordRow>, StorageError> {
        // `order by` before `for update`: the locks are taken in the order of the ids.
        const LOCK: &str = "
            select rec from record where tenant = $1 and rec = any($2) order by rec for update";
        if let Conn::Postgres(tx) = &mut self.0.conn
            && !planted("records_unlocked")
        {
            let ids = Ids::of(recs.iter().map(|rec| rec.0));
            sqlx::query(LOCK).bind(tenant.as_str()).bind(ids).execute(&mut **tx).await?;
        }
        self.load(tenant, recs).await
    }

    /// Reads these records, by id; unknown and reserved ones are absent.
    pub async fn load(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<Vec<RecordRow>, StorageError> {
        // The plus keeps SQLite from reading all that has an rv.
        let sql = sql!(
            self.0,
            "select ", {columns!()}, " from ", (each_one "record" "rec" "$2"),
            " and +rv > 0 order by rec"
        );
        let ids = Ids::of(recs.iter().map(|rec| rec.0));
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(sql)
            .bind(tenant)
            .bind(ids)
            .fetch_all(conn)
            .await?))
    }

    /// Writes records, new or known, each named once.
    pub async fn save(
        &mut self,
        tenant: &Tenant,
        records: &[RecordRow],
    ) -> Result<(), StorageError> {
        const INTO: &str = concat!("insert into record (tenant, ", columns!(), ") ");
        const OVERWRITE: &str = "
            on conflict (tenant, rec) do update set
                type = excluded.type, about = excluded.about, rv = excluded.rv,
                state = excluded.state, meta = excluded.meta, flags = excluded.flags,
                status = excluded.status, title = excluded.title,
                created_at = excluded.created_at, updated_at = excluded.updated_at,
                created_by = excluded.created_by";
        with_rows!(self.0, INTO, records, |row| [
            text tenant.as_str(),
            uuid row.rec.0,
            text row.type_.as_str(),
            uuid row.about.map(|id| id.0),
            bigint row.rv.0,
            bytea row.state.as_slice(),
            bytea row.meta.as_slice(),
            text row.flags.as_str(),
            text row.status.as_deref(),
            text row.title.as_deref(),
            bigint row.created_at.0,
            bigint row.updated_at.0,
            uuid row.created_by.0,
        ], OVERWRITE);
        Ok(())
    }

    /// Gives back reserved ids that no record was created for.
    pub async fn drop_placeholders(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<(), StorageError> {
        if self.0.engine() == Engine::Sqlite {
            return Ok(());
        }
        let sql = sql!(
            self.0,
            "delete from record where tenant = $1 and rv = 0 and rec ", (ids "$2")
        );
        let ids = Ids::of(recs.iter().map(|rec| rec.0));
        let tenant = tenant.as_str();
        on_conn!(self.0, |conn| {
            sqlx::query(sql).bind(tenant).bind(ids).execute(conn).await?;
        });
        Ok(())
    }

    /// Lists up to `limit` records whose subject is one of these, by id.
    pub async fn followers(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
        limit: u32,
    ) -> Result<Vec<RecordId>, StorageError> {
        let sql = sql!(
            self.0,
            "select rec from ", (each "record" "about" "$2"), " and +rv > 0", (sorted "rec"),
            " limit $3"
        );
        let ids = Ids::of(recs.iter().map(|rec| rec.0));
        let tenant = tenant.as_str();
        let found: Vec<Uuid> = on_conn!(self.0, |conn| {
            sqlx::query_scalar(sql)
                .bind(tenant)
                .bind(ids)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?
        });
        Ok(found.into_iter().map(RecordId).collect())
    }

    /// Counts the records that are live in a bucket.
    pub async fn count_in_bucket(
        &mut self,
        tenant: &Tenant,
        bucket: &Bucket,
    ) -> Result<i64, StorageError> {
        self.0.pointers().count_live(tenant, bucket).await
    }
}

fn sorted(recs: &[RecordId]) -> Vec<RecordId> {
    let mut recs = recs.to_vec();
    recs.sort_unstable();
    recs.dedup();
    recs
}
