//! Pointers: one row per bucket and record, overwritten in place; what a pull reads.

use crate::fault::planted;
use crate::sql::{Ids, from_row, on_conn, parsed, sql, with_rows};
use crate::{StorageError, Tx};
use sqlx::QueryBuilder;
use std::collections::BTreeMap;
use sync_protocol::id::{Bucket, RecordId, Seq, Tenant};
use uuid::Uuid;

/// Where a record stands in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The bucket.
    pub bucket: Bucket,
    /// The record.
    pub rec: RecordId,
    /// The seq of the last change, or of the leaving.
    pub seq: Seq,
    /// The seq at which the record last entered.
    pub since: Seq,
    /// Whether the record lies there now.
    pub live: bool,
}

/// One pointer to overwrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointerTouch {
    /// The bucket.
    pub bucket: Bucket,
    /// The record.
    pub rec: RecordId,
    /// The new seq.
    pub seq: Seq,
    /// The seq of the entering; `None` keeps what is stored.
    pub since: Option<Seq>,
    /// Whether the record lies there now.
    pub live: bool,
}

from_row!(Pointer, |row| Self {
    bucket: parsed("bucket", row.try_get("bucket")?)?,
    rec: RecordId(row.try_get("rec")?),
    seq: Seq(row.try_get("seq")?),
    since: Seq(row.try_get("since")?),
    live: row.try_get("live")?,
});

impl Tx {
    /// Pointers: one row per bucket and record, overwritten in place; what a pull reads.
    pub fn pointers(&mut self) -> Pointers<'_> {
        Pointers(self)
    }
}

/// Pointers: one row per bucket and record, overwritten in place; what a pull reads.
#[derive(Debug)]
pub struct Pointers<'tx>(&'tx mut Tx);

/// Buckets in one statement of [`Pointers::after`]: SQLite joins at most 500 selects.
const BUCKETS_PER_SELECT: usize = 200;

const AFTER_ONE: &str =
    "select * from (select bucket, rec, seq, since, live from pointer where tenant = ";

/// Writes the select of [`Pointers::after`]: of each bucket, by its index, as many rows as the page holds.
macro_rules! push_after {
    ($query:ident, $tenant:expr, $buckets:expr, $at:expr, $limit:expr) => {{
        let limit = i64::from($limit);
        let enough = limit.saturating_add(i64::try_from($buckets.len()).unwrap_or(i64::MAX));
        $query.push("select bucket, rec, seq, since, live from (");
        for (i, bucket) in $buckets.iter().enumerate() {
            $query.push(if i == 0 { "" } else { " union all " }).push(AFTER_ONE);
            $query.push_bind($tenant.as_str()).push(" and bucket = ").push_bind(bucket.as_str());
            $query.push(" and seq > ").push_bind($at.0).push(" order by seq limit ");
            $query.push_bind(limit).push(format_args!(") as in_{i}"));
        }
        $query.push(") as found order by seq, bucket limit ").push_bind(enough);
    }};
}

impl Pointers<'_> {
    /// Overwrites pointers, or makes them.
    ///
    /// Of several touches of one pointer the last `seq` and `live` count, and the last `since` that is given.
    /// A pointer that is made without a `since` has entered at its `seq`.
    pub async fn touch(
        &mut self,
        tenant: &Tenant,
        touches: &[PointerTouch],
    ) -> Result<(), StorageError> {
        const KEEP: &str = "
            on conflict (tenant, bucket, rec) do update set seq = excluded.seq, live = excluded.live";
        const ENTER: &str = "
            on conflict (tenant, bucket, rec) do update set
                seq = excluded.seq, live = excluded.live, since = excluded.since";
        let (entering, staying): (Vec<_>, Vec<_>) =
            folded(touches).into_values().partition(|touch| touch.since.is_some());
        self.write(tenant, &entering, ENTER).await?;
        self.write(tenant, &staying, KEEP).await
    }

    async fn write(
        &mut self,
        tenant: &Tenant,
        touches: &[PointerTouch],
        on_conflict: &'static str,
    ) -> Result<(), StorageError> {
        const INTO: &str = "insert into pointer (tenant, bucket, rec, seq, since, live) ";
        with_rows!(self.0, INTO, touches, |row| [
            text tenant.as_str(),
            text row.bucket.as_str(),
            uuid row.rec.0,
            bigint row.seq.0,
            bigint row.since.unwrap_or(row.seq).0,
            boolean row.live,
        ], on_conflict);
        Ok(())
    }

    /// Lists pointers of these buckets with a seq above `at`, in seq order.
    ///
    /// At least `limit` if there are so many, and never only a part of those with one seq, so that a page
    /// cuts between seqs. Fewer than `limit` means that there are no more.
    pub async fn after(
        &mut self,
        tenant: &Tenant,
        buckets: &[Bucket],
        at: Seq,
        limit: u32,
    ) -> Result<Vec<Pointer>, StorageError> {
        let mut buckets: Vec<&Bucket> = buckets.iter().collect();
        buckets.sort_unstable();
        buckets.dedup();
        let mut found = Vec::new();
        for some in buckets.chunks(BUCKETS_PER_SELECT) {
            found.extend(self.after_some(tenant, some, at, limit).await?);
        }
        found.sort_unstable_by(|a: &Pointer, b| (a.seq, &a.bucket).cmp(&(b.seq, &b.bucket)));
        let last = usize::try_from(limit).unwrap_or(usize::MAX).checked_sub(1);
        match last.and_then(|last| found.get(last)).map(|pointer| pointer.seq) {
            Some(_) if planted("page_cuts_inside_a_seq") => found.truncate(limit as usize),
            Some(seq) => found.truncate(found.partition_point(|pointer| pointer.seq <= seq)),
            None if limit == 0 => found.clear(),
            None => {}
        }
        Ok(found)
    }

    /// Reads from each bucket by its index up to `limit` rows: in one bucket a seq stands once, so that these
    /// hold every row up to the seq at which the page will cut.
    async fn after_some(
        &mut self,
        tenant: &Tenant,
        buckets: &[&Bucket],
        at: Seq,
        limit: u32,
    ) -> Result<Vec<Pointer>, StorageError> {
        Ok(on_conn!(self.0, |conn| {
            let mut query = QueryBuilder::new("");
            push_after!(query, tenant, buckets, at, limit);
            query.build_query_as().fetch_all(conn).await?
        }))
    }

    /// Tells how the database reads for [`after`](Self::after).
    #[cfg(feature = "testing")]
    pub async fn explain_after(
        &mut self,
        tenant: &Tenant,
        buckets: &[&Bucket],
        at: Seq,
        limit: u32,
    ) -> Result<String, StorageError> {
        use sqlx::Row as _;
        let (explain, column) = match self.0.engine() {
            crate::Engine::Sqlite => ("explain query plan ", 3),
            crate::Engine::Postgres => ("explain ", 0),
        };
        let lines: Vec<String> = on_conn!(self.0, |conn| {
            let mut query = QueryBuilder::new(explain);
            push_after!(query, tenant, buckets, at, limit);
            let rows = query.build().fetch_all(conn).await?;
            rows.iter().map(|row| row.try_get(column)).collect::<sqlx::Result<_>>()?
        });
        Ok(lines.join("\n"))
    }

    /// Lists up to `limit` live pointers of a bucket with a record above `after`, by record.
    pub async fn page(
        &mut self,
        tenant: &Tenant,
        bucket: &Bucket,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<Pointer>, StorageError> {
        const SQL: &str = "
            select bucket, rec, seq, since, live from pointer
             where tenant = $1 and bucket = $2 and rec > $3 and live order by rec limit $4";
        let after = after.map_or(Uuid::nil(), |rec| rec.0);
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL)
                .bind(tenant)
                .bind(bucket.as_str())
                .bind(after)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?
        }))
    }

    /// Counts the live pointers of a bucket.
    pub async fn count_live(
        &mut self,
        tenant: &Tenant,
        bucket: &Bucket,
    ) -> Result<i64, StorageError> {
        const SQL: &str = "select count(*) from pointer where tenant = $1 and bucket = $2 and live";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_scalar(SQL).bind(tenant).bind(bucket.as_str()).fetch_one(conn).await?
        }))
    }

    /// Lists record and `rv` of the live pointers of a bucket, by record.
    pub async fn sums(
        &mut self,
        tenant: &Tenant,
        bucket: &Bucket,
    ) -> Result<Vec<(RecordId, Seq)>, StorageError> {
        const SQL: &str = "
            select pointer.rec, record.rv from pointer
              join record on record.tenant = pointer.tenant and record.rec = pointer.rec
             where pointer.tenant = $1 and pointer.bucket = $2 and pointer.live
             order by pointer.rec";
        let tenant = tenant.as_str();
        let rows: Vec<(Uuid, i64)> = on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(bucket.as_str()).fetch_all(conn).await?
        });
        Ok(rows.into_iter().map(|(rec, rv)| (RecordId(rec), Seq(rv))).collect())
    }

    /// Lists the pointers of these records, live or not, by record and bucket.
    pub async fn buckets_of(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<Vec<Pointer>, StorageError> {
        let sql = sql!(
            self.0,
            "select bucket, rec, seq, since, live from ", (each "pointer" "rec" "$2"),
            " order by rec, bucket"
        );
        let ids = Ids::of(recs.iter().map(|rec| rec.0));
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(sql)
            .bind(tenant)
            .bind(ids)
            .fetch_all(conn)
            .await?))
    }
}

/// One touch for each pointer, in the order of their key: PostgreSQL overwrites a row once a statement.
fn folded(touches: &[PointerTouch]) -> BTreeMap<(&Bucket, RecordId), PointerTouch> {
    let mut folded = BTreeMap::<_, PointerTouch>::new();
    for touch in touches {
        let before = folded.get(&(&touch.bucket, touch.rec)).and_then(|before| before.since);
        let touch_whole = PointerTouch { since: touch.since.or(before), ..touch.clone() };
        folded.insert((&touch.bucket, touch.rec), touch_whole);
    }
    folded
}
