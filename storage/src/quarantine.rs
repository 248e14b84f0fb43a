//! Quarantine: changes that were received and not applied, kept until a person looks.

use crate::sql::{
    Ids, Texts, from_row, hash, on_conn, parsed, parsed_option, sql, stored_as, with_rows,
};
use crate::{Hash, StorageError, Tx, Via};
use sync_protocol::{
    clock::UnixMillis,
    id::{Bucket, ChangeId, DeviceId, QuarantineId, RecordId, RecordType, Seq, Tenant, UserId},
};

/// Where a quarantined change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineState {
    /// Waits for a person.
    Open,
    /// Was applied after all.
    Released,
    /// Was looked at and not taken.
    Closed,
}

/// One quarantined change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its id in quarantine.
    pub q: QuarantineId,
    /// The seq of its receipt.
    pub seq: Seq,
    /// Its own id, if it could be read.
    pub id: Option<ChangeId>,
    /// The SHA-256 of `body`.
    pub hash: Hash,
    /// The bytes as they came.
    pub body: Vec<u8>,
    /// The record that it names.
    pub rec: Option<RecordId>,
    /// The subject that its `new` names.
    pub about: Option<RecordId>,
    /// The kind that it names.
    pub type_: Option<RecordType>,
    /// The bucket that its `new` claims.
    pub claims: Option<Bucket>,
    /// How it came.
    pub via: Via,
    /// Its author.
    pub by: UserId,
    /// The device that it came from.
    pub device: Option<DeviceId>,
    /// When it was received.
    pub t_recv: UnixMillis,
    /// Its effective time.
    pub t_eff: UnixMillis,
    /// Why it is here.
    pub code: String,
    /// Where it stands.
    pub state: QuarantineState,
    /// Who settled it.
    pub closed_by: Option<UserId>,
    /// When it was settled.
    pub closed_at: Option<UnixMillis>,
    /// What the person who settled it wrote.
    pub why: Option<String>,
}

/// What a list of the quarantine shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineFilter {
    /// Only what a supervisor of one of these buckets looks after: the record's buckets, else the claimed one, else `inbox:unplaced`. `None` shows all.
    pub buckets: Option<Vec<Bucket>>,
    /// In this state.
    pub state: Option<QuarantineState>,
    /// Received before this seq: the last of the page before.
    pub before: Option<Seq>,
    /// At most so many.
    pub limit: u32,
}

stored_as!(QuarantineState { Open = "open", Released = "released", Closed = "closed" });

macro_rules! columns {
    () => {
        "q, seq, id, hash, body, rec, about, type, claims, via, author, device, t_recv, t_eff, \
         code, state, closed_by, closed_at, why"
    };
}

/// The live pointers of the record that a quarantined change names in this column.
macro_rules! placed {
    ($rec:literal) => {
        concat!(
            "from pointer where pointer.tenant = quarantine.tenant and pointer.live and pointer.rec = ",
            $rec
        )
    };
}

/// Those of them whose bucket is … in the set that follows.
macro_rules! within {
    ($rec:literal) => {
        concat!(placed!($rec), " and pointer.bucket ")
    };
}

from_row!(Quarantined, |row| Self {
    q: QuarantineId(row.try_get("q")?),
    seq: Seq(row.try_get("seq")?),
    id: row.try_get::<Option<_>, _>("id")?.map(ChangeId),
    hash: hash("hash", row.try_get("hash")?)?,
    body: row.try_get("body")?,
    rec: row.try_get::<Option<_>, _>("rec")?.map(RecordId),
    about: row.try_get::<Option<_>, _>("about")?.map(RecordId),
    type_: parsed_option("type", row.try_get("type")?)?,
    claims: parsed_option("claims", row.try_get("claims")?)?,
    via: parsed("via", row.try_get("via")?)?,
    by: UserId(row.try_get("author")?),
    device: row.try_get::<Option<_>, _>("device")?.map(DeviceId),
    t_recv: UnixMillis(row.try_get("t_recv")?),
    t_eff: UnixMillis(row.try_get("t_eff")?),
    code: row.try_get("code")?,
    state: parsed("state", row.try_get("state")?)?,
    closed_by: row.try_get::<Option<_>, _>("closed_by")?.map(UserId),
    closed_at: row.try_get::<Option<_>, _>("closed_at")?.map(UnixMillis),
    why: row.try_get("why")?,
});

impl Tx {
    /// Quarantine: changes that were received and not applied, kept until a person looks.
    pub fn quarantine(&mut self) -> Quarantine<'_> {
        Quarantine(self)
    }
}

/// Quarantine: changes that were received and not applied, kept until a person looks.
#[derive(Debug)]
pub struct Quarantine<'tx>(&'tx mut Tx);

impl Quarantine<'_> {
    /// Stores quarantined changes; [`StorageError::AlreadyStored`] if the same bytes are here under the same id.
    pub async fn append(
        &mut self,
        tenant: &Tenant,
        rows: &[Quarantined],
    ) -> Result<(), StorageError> {
        const INTO: &str = concat!("insert into quarantine (tenant, ", columns!(), ") ");
        with_rows!(self.0, INTO, rows, |row| [
            text tenant.as_str(),
            uuid row.q.0,
            bigint row.seq.0,
            uuid row.id.map(|id| id.0),
            bytea row.hash.as_slice(),
            bytea row.body.as_slice(),
            uuid row.rec.map(|id| id.0),
            uuid row.about.map(|id| id.0),
            text row.type_.as_ref().map(RecordType::as_str),
            text row.claims.as_ref().map(Bucket::as_str),
            text row.via.as_str(),
            uuid row.by.0,
            uuid row.device.map(|id| id.0),
            bigint row.t_recv.0,
            bigint row.t_eff.0,
            text row.code.as_str(),
            text row.state.as_str(),
            uuid row.closed_by.map(|id| id.0),
            bigint row.closed_at.map(|at| at.0),
            text row.why.as_deref(),
        ], "");
        Ok(())
    }

    /// Lists the open ones that name one of these records, as record or as subject, in seq order.
    pub async fn open_for(
        &mut self,
        tenant: &Tenant,
        recs: &[RecordId],
    ) -> Result<Vec<Quarantined>, StorageError> {
        let sql = sql!(
            self.0,
            "select ", {columns!()}, " from quarantine where tenant = $1 and q in (
                select q from quarantine where tenant = $1 and state = 'open' and rec ", (ids "$2"),
            " union all
                select q from quarantine where tenant = $1 and state = 'open' and about ", (ids "$2"),
            ")", (sorted "seq")
        );
        let ids = Ids::of(recs.iter().map(|rec| rec.0));
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(sql)
            .bind(tenant)
            .bind(ids)
            .fetch_all(conn)
            .await?))
    }

    /// Finds one.
    pub async fn find(
        &mut self,
        tenant: &Tenant,
        q: QuarantineId,
    ) -> Result<Option<Quarantined>, StorageError> {
        const SQL: &str =
            concat!("select ", columns!(), " from quarantine where tenant = $1 and q = $2");
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(q.0).fetch_optional(conn).await?
        }))
    }

    /// Lists the open ones of an author on a record, in seq order.
    pub async fn of_author_and_record(
        &mut self,
        tenant: &Tenant,
        by: UserId,
        rec: RecordId,
    ) -> Result<Vec<Quarantined>, StorageError> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from quarantine
              where tenant = $1 and rec = $2 and author = $3 and state = 'open' order by seq"
        );
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(rec.0).bind(by.0).fetch_all(conn).await?
        }))
    }

    /// Lists up to `limit` open ones of a type that were received after `after`, in seq order, for the day its form is
    /// published.
    pub async fn open_of_type(
        &mut self,
        tenant: &Tenant,
        type_: &RecordType,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Quarantined>, StorageError> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from quarantine
              where tenant = $1 and type = $2 and state = 'open' and seq > $3 order by seq limit $4"
        );
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL)
                .bind(tenant)
                .bind(type_.as_str())
                .bind(after.0)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?
        }))
    }

    /// Lists quarantined changes, newest first.
    pub async fn list(
        &mut self,
        tenant: &Tenant,
        filter: &QuarantineFilter,
    ) -> Result<Vec<Quarantined>, StorageError> {
        let sql = sql!(
            self.0,
            "select ", {columns!()}, " from quarantine
              where tenant = $1 and ($2 is null or state = $2) and seq < $3
                and ($4 or exists (select 1 ", {within!("quarantine.rec")}, (texts "$5"), ")
                 or not exists (select 1 ", {placed!("quarantine.rec")}, ")
                and (exists (select 1 ", {within!("quarantine.about")}, (texts "$5"), ")
                 or not exists (select 1 ", {placed!("quarantine.about")}, ")
                and coalesce(claims, 'inbox:unplaced') ", (texts "$5"),
            ")) order by seq desc limit $6"
        );
        let buckets = filter.buckets.as_deref().unwrap_or_default();
        let texts = Texts::of(buckets.iter().map(Bucket::as_str));
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(sql)
                .bind(tenant.as_str())
                .bind(filter.state.map(QuarantineState::as_str))
                .bind(filter.before.map_or(i64::MAX, |seq| seq.0))
                .bind(filter.buckets.is_none())
                .bind(texts)
                .bind(i64::from(filter.limit))
                .fetch_all(conn)
                .await?
        }))
    }

    /// Settles an open one; [`StorageError::Stale`] if it is not open.
    pub async fn settle(
        &mut self,
        tenant: &Tenant,
        q: QuarantineId,
        state: QuarantineState,
        by: Option<UserId>,
        at: UnixMillis,
        why: Option<&str>,
    ) -> Result<(), StorageError> {
        const SQL: &str = "
            update quarantine set state = $3, closed_by = $4, closed_at = $5, why = $6
             where tenant = $1 and q = $2 and state = 'open'";
        let written = on_conn!(self.0, |conn| {
            sqlx::query(SQL)
                .bind(tenant.as_str())
                .bind(q.0)
                .bind(state.as_str())
                .bind(by.map(|user| user.0))
                .bind(at.0)
                .bind(why)
                .execute(conn)
                .await?
                .rows_affected()
        });
        if written == 1 { Ok(()) } else { Err(StorageError::Stale) }
    }

    /// Adds up the bytes of the open ones of a device.
    pub async fn bytes_of_device(
        &mut self,
        tenant: &Tenant,
        device: DeviceId,
    ) -> Result<i64, StorageError> {
        const SQL: &str = "
            select cast(coalesce(sum(length(body)), 0) as bigint) from quarantine
             where tenant = $1 and device = $2 and state = 'open'";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_scalar(SQL).bind(tenant).bind(device.0).fetch_one(conn).await?
        }))
    }

    /// Counts the open ones.
    pub async fn count_open(&mut self, tenant: &Tenant) -> Result<i64, StorageError> {
        const SQL: &str = "select count(*) from quarantine where tenant = $1 and state = 'open'";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_scalar(SQL).bind(tenant).fetch_one(conn).await?))
    }
}
