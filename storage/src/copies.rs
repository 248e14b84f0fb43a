//! Copies: records as tablets get them, each with the buckets that it lies in.

use crate::sql::{Ids, from_row, on_conn, parsed, sql};
use crate::{StorageError, Tx};
use sync_protocol::id::{Bucket, RecordId, RecordType, Seq, Tenant};
use uuid::Uuid;

/// A record as a tablet gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordCopy {
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
    /// What else is needed to tell a part of it; `None` on pages, whose records are sent whole.
    pub meta: Option<Vec<u8>>,
    /// Where it lies, and since which seq.
    pub lies_in: Vec<(Bucket, Seq)>,
}

from_row!(RecordCopy, |row| Self {
    rec: RecordId(row.try_get("rec")?),
    type_: parsed("type", row.try_get("type")?)?,
    about: row.try_get::<Option<_>, _>("about")?.map(RecordId),
    rv: Seq(row.try_get("rv")?),
    state: row.try_get("state")?,
    meta: row.try_get("meta")?,
    lies_in: stays(row.try_get("lies_in")?)?,
});

/// The live pointers of the record in one text: `area:a 3 station:s 17`.
///
/// SQLite is told the index: it supposes that a tenant has few pointers, and would read them all by their key.
macro_rules! lies_in {
    ($concat:literal, $by:literal) => {
        concat!(
            "(select ",
            $concat,
            "(bucket || ' ' || since, ' ') from pointer",
            $by,
            " where pointer.tenant = $1 and pointer.rec = record.rec and live) as lies_in"
        )
    };
}

fn stays(text: Option<&str>) -> sqlx::Result<Vec<(Bucket, Seq)>> {
    let mut words = text.unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    let mut stays = Vec::new();
    while let Some(bucket) = words.next() {
        let since = words.next().unwrap_or_default();
        stays.push((parsed("bucket", bucket)?, Seq(parsed("since", since)?)));
    }
    stays.sort_unstable();
    Ok(stays)
}

impl Tx {
    /// Copies: records as tablets get them, each with the buckets that it lies in.
    pub fn copies(&mut self) -> Copies<'_> {
        Copies(self)
    }
}

/// Copies: records as tablets get them, each with the buckets that it lies in.
#[derive(Debug)]
pub struct Copies<'tx>(&'tx mut Tx);

impl Copies<'_> {
    /// Reads these records, by id; unknown and reserved ones are absent.
    pub async fn of(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<Vec<RecordCopy>, StorageError> {
        let sql = self.sql_of();
        let ids = Ids::of(recs.iter().map(|rec| rec.0));
        let tenant = tenant.as_str();
        let found = on_conn!(self.0, |conn| {
            sqlx::query_as(sql).bind(tenant).bind(ids).fetch_all(conn).await?
        });
        Ok(by_id(found))
    }

    fn sql_of(&self) -> &'static str {
        sql!(
            self.0,
            "select record.rec, type, about, rv, state, meta, ",
            (either {lies_in!("group_concat", " indexed by pointer_rec")} {lies_in!("string_agg", "")}),
            " from ", (each_one "record" "rec" "$2"), " and +rv > 0"
        )
    }

    /// Tells how the database reads for [`of`](Self::of).
    #[cfg(feature = "testing")]
    pub async fn explain_of(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<String, StorageError> {
        use sqlx::Row as _;
        let (explain, column) = match self.0.engine() {
            crate::Engine::Sqlite => ("explain query plan ", 3),
            crate::Engine::Postgres => ("explain ", 0),
        };
        let sql = sqlx::AssertSqlSafe(format!("{explain}{}", self.sql_of()));
        let ids = Ids::of(recs.iter().map(|rec| rec.0));
        let lines: Vec<String> = on_conn!(self.0, |conn| {
            let rows = sqlx::query(sql).bind(tenant.as_str()).bind(ids).fetch_all(conn).await?;
            rows.iter().map(|row| row.try_get(column)).collect::<sqlx::Result<_>>()?
        });
        Ok(lines.join("\n"))
    }

    /// Reads up to `limit` records that lie in a bucket, those above `after`, by id.
    pub async fn page(
        &mut self,
        tenant: &Tenant,
        bucket: &Bucket,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<RecordCopy>, StorageError> {
        let sql = sql!(
            self.0,
            "select record.rec, type, about, rv, state, null as meta, ",
            (either {lies_in!("group_concat", " indexed by pointer_rec")} {lies_in!("string_agg", "")}),
            " from (select rec as wanted_id from pointer
                     where tenant = $1 and bucket = $2 and rec > $3 and live
                     order by rec limit $4) as wanted",
            (joined_one "record" "rec")
        );
        let after = after.map_or(Uuid::nil(), |rec| rec.0);
        let tenant = tenant.as_str();
        let found = on_conn!(self.0, |conn| {
            sqlx::query_as(sql)
                .bind(tenant)
                .bind(bucket.as_str())
                .bind(after)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?
        });
        Ok(by_id(found))
    }
}

/// Sorted here: SQLite would copy every state to sort it there.
fn by_id(mut copies: Vec<RecordCopy>) -> Vec<RecordCopy> {
    copies.sort_unstable_by_key(|copy| copy.rec);
    copies
}
