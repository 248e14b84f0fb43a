//! Lists of records: what a person sees of the buckets that are open to them, newest first.

use crate::records::columns;
use crate::sql::{Ids, Texts, from_row, on_conn, parsed, sql};
use crate::{RecordRow, Records, StorageError};
use sqlx::QueryBuilder;
use sync_protocol::id::{Bucket, RecordId, RecordType, Seq, Tenant};

/// What a list of records shows; `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Of this kind.
    pub type_: Option<RecordType>,
    /// Live in at least one of these buckets; none of them shows nothing.
    pub buckets: Vec<Bucket>,
    /// About this subject.
    pub about: Option<RecordId>,
    /// With this status.
    pub status: Option<String>,
    /// With this word among its flags.
    pub flag: Option<String>,
    /// Changed after this seq.
    pub since: Option<Seq>,
    /// Changed before this seq: the last `rv` of the page before.
    pub before_rv: Option<Seq>,
    /// At most so many.
    pub limit: u32,
}

/// What a list shows of a record that another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Titled {
    /// The record.
    pub rec: RecordId,
    /// Its kind.
    pub type_: RecordType,
    /// Its title, as it is stored.
    pub title: Option<String>,
}

from_row!(Titled, |row| Self {
    rec: RecordId(row.try_get("rec")?),
    type_: parsed("type", row.try_get("type")?)?,
    title: row.try_get("title")?,
});

/// Buckets in one statement: SQLite joins at most 500 selects.
const BUCKETS_PER_SELECT: usize = 200;

const LIST: &str = concat!("select ", columns!(), " from record where tenant = ");
const IN_BUCKETS: &str = "
    and exists (select 1 from pointer
                 where pointer.tenant = record.tenant and pointer.rec = record.rec
                   and pointer.live and pointer.bucket in (";
// `cross join` keeps SQLite from beginning with the records.
const NEWEST: &str = concat!(
    "select ",
    columns!(),
    " from (select distinct rec as newest_rec, seq as newest_seq from ("
);
const NEWEST_RECORDS: &str = ") as newest cross join record where record.tenant = ";
const NEWEST_ONE: &str = "select * from (select rec, seq from pointer where live and tenant = ";
// A value and not an `exists`, which PostgreSQL would turn around into a join of all records.
const OF_TYPE: &str = "
    and (select record.type from record
          where record.tenant = pointer.tenant and record.rec = pointer.rec) = ";

impl Records<'_> {
    /// Lists records, newest `rv` first.
    pub async fn list(
        &mut self,
        tenant: &Tenant,
        filter: &ListFilter,
    ) -> Result<Vec<RecordRow>, StorageError> {
        let mut found = Vec::new();
        for buckets in filter.buckets.chunks(BUCKETS_PER_SELECT) {
            found.extend(if has_index(filter) {
                self.list_by_record(tenant, filter, buckets).await?
            } else {
                self.list_by_pointer(tenant, filter, buckets).await?
            });
        }
        found.sort_unstable_by_key(|row: &RecordRow| std::cmp::Reverse(row.rv));
        found.dedup_by_key(|row| row.rec);
        found.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    /// Reads the titles of those of these records that are live in one of the buckets, by id.
    pub async fn titles(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
        buckets: &[Bucket],
    ) -> Result<Vec<Titled>, StorageError> {
        let sql = sql!(
            self.0,
            "select rec, type, title from record where tenant = $1 and rec ", (ids "$2"),
            " and +rv > 0 and exists (select 1 from pointer
                 where pointer.tenant = record.tenant and pointer.rec = record.rec
                   and pointer.live and pointer.bucket ", (texts "$3"), ") order by rec"
        );
        let ids = Ids::of(recs.iter().map(|rec| rec.0));
        let names = Texts::of(buckets.iter().map(Bucket::as_str));
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(sql).bind(tenant).bind(ids).bind(names).fetch_all(conn).await?
        }))
    }

    async fn list_by_record(
        &mut self,
        tenant: &Tenant,
        filter: &ListFilter,
        buckets: &[Bucket],
    ) -> Result<Vec<RecordRow>, StorageError> {
        Ok(on_conn!(self.0, |conn| {
            let mut query = QueryBuilder::new(LIST);
            query.push_bind(tenant.as_str());
            query.push(" and rv > ").push_bind(since(filter));
            query.push(" and rv < ").push_bind(before(filter));
            if let Some(flag) = &filter.flag {
                // Words: a flag is there if taking it out changes the line.
                query.push(" and flags <> '' and replace(' ' || flags || ' ', ");
                query.push_bind(format!(" {flag} ")).push(", '') <> ' ' || flags || ' '");
            }
            if let Some(type_) = &filter.type_ {
                query.push(" and type = ").push_bind(type_.as_str());
            }
            if let Some(about) = filter.about {
                query.push(" and about = ").push_bind(about.0);
            }
            if let Some(status) = &filter.status {
                query.push(" and status = ").push_bind(status.as_str());
            }
            query.push(IN_BUCKETS);
            let mut names = query.separated(", ");
            for bucket in buckets {
                names.push_bind(bucket.as_str());
            }
            query.push(")) order by rv desc limit ").push_bind(i64::from(filter.limit));
            query.build_query_as().fetch_all(conn).await?
        }))
    }

    /// Takes the newest of each bucket by its index: the seq of a live pointer is the `rv` of its record.
    async fn list_by_pointer(
        &mut self,
        tenant: &Tenant,
        filter: &ListFilter,
        buckets: &[Bucket],
    ) -> Result<Vec<RecordRow>, StorageError> {
        let limit = i64::from(filter.limit);
        Ok(on_conn!(self.0, |conn| {
            let mut query = QueryBuilder::new(NEWEST);
            for (i, bucket) in buckets.iter().enumerate() {
                query.push(if i == 0 { "" } else { " union all " }).push(NEWEST_ONE);
                query.push_bind(tenant.as_str()).push(" and bucket = ").push_bind(bucket.as_str());
                query.push(" and seq > ").push_bind(since(filter));
                query.push(" and seq < ").push_bind(before(filter));
                if let Some(type_) = &filter.type_ {
                    query.push(OF_TYPE).push_bind(type_.as_str());
                }
                query.push(" order by seq desc limit ").push_bind(limit);
                query.push(format_args!(") as in_{i}"));
            }
            query.push(") as found order by newest_seq desc limit ").push_bind(limit);
            query.push(NEWEST_RECORDS).push_bind(tenant.as_str());
            query.push(" and record.rec = newest_rec order by newest_seq desc");
            query.build_query_as().fetch_all(conn).await?
        }))
    }
}

/// Whether an index of records names those that are sought; else they are read from the newest on.
fn has_index(filter: &ListFilter) -> bool {
    filter.flag.is_some() || filter.status.is_some() || filter.about.is_some()
}

fn since(filter: &ListFilter) -> i64 {
    filter.since.map_or(0, |seq| seq.0)
}

fn before(filter: &ListFilter) -> i64 {
    filter.before_rv.map_or(i64::MAX, |seq| seq.0)
}
