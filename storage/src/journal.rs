//! The journal: every accepted change, its bytes as they were frozen.

use crate::sql::{Ids, from_row, hash, on_conn, parsed, sql, stored_as, with_rows};
use crate::{Hash, StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{ChangeId, DeviceId, QuarantineId, RecordId, Seq, Tenant, UserId},
};
use uuid::Uuid;

/// How a change came to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// From a tablet, in a push.
    Tablet,
    /// From a browser.
    Console,
    /// Made by the server for a command.
    Server,
    /// From a file of the office.
    Import,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In the record.
    Applied,
    /// In the record or beside its seal, marked; the text says why.
    Late(String),
    /// Kept aside until a person looks.
    Quarantined {
        /// Its id in quarantine.
        q: QuarantineId,
        /// Why.
        code: String,
    },
    /// Kept aside, looked at, not taken.
    Closed {
        /// Its id in quarantine.
        q: QuarantineId,
        /// Why it was quarantined.
        code: String,
    },
}

/// A change that the server has received before, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: ChangeId,
    /// The SHA-256 of its frozen bytes.
    pub hash: Hash,
    /// Its seq: in the journal, or of its receipt in quarantine.
    pub seq: Seq,
    /// Its effective time.
    pub t_eff: UnixMillis,
    /// Its record, as far as it could be read.
    pub rec: Option<RecordId>,
    /// Its author.
    pub by: UserId,
    /// What became of it.
    pub outcome: Outcome,
}

/// One accepted change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRow {
    /// Its place in the journal.
    pub seq: Seq,
    /// Its id.
    pub id: ChangeId,
    /// Its record.
    pub rec: RecordId,
    /// The SHA-256 of `body`.
    pub hash: Hash,
    /// The frozen bytes.
    pub body: Vec<u8>,
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
    /// Why it is late; `None` if it is not.
    pub late: Option<String>,
    /// Words with one space between: `clock_suspect`.
    pub flags: String,
}

stored_as!(Via { Tablet = "tablet", Console = "console", Server = "server", Import = "import" });

macro_rules! columns {
    () => {
        "seq, id, rec, hash, body, via, author, device, t_recv, t_eff, late, flags"
    };
}

from_row!(ChangeRow, |row| Self {
    seq: Seq(row.try_get("seq")?),
    id: ChangeId(row.try_get("id")?),
    rec: RecordId(row.try_get("rec")?),
    hash: hash("hash", row.try_get("hash")?)?,
    body: row.try_get("body")?,
    via: parsed("via", row.try_get("via")?)?,
    by: UserId(row.try_get("author")?),
    device: row.try_get::<Option<_>, _>("device")?.map(DeviceId),
    t_recv: UnixMillis(row.try_get("t_recv")?),
    t_eff: UnixMillis(row.try_get("t_eff")?),
    late: row.try_get("late")?,
    flags: row.try_get("flags")?,
});

from_row!(Stored, |row| Self {
    id: ChangeId(row.try_get("id")?),
    hash: hash("hash", row.try_get("hash")?)?,
    seq: Seq(row.try_get("seq")?),
    t_eff: UnixMillis(row.try_get("t_eff")?),
    rec: row.try_get::<Option<_>, _>("rec")?.map(RecordId),
    by: UserId(row.try_get("author")?),
    outcome: match row.try_get::<Option<_>, _>("q")?.map(QuarantineId) {
        Some(q) if row.try_get::<bool, _>("open")? => {
            Outcome::Quarantined { q, code: row.try_get("code")? }
        }
        Some(q) => Outcome::Closed { q, code: row.try_get("code")? },
        None => row.try_get::<Option<_>, _>("late")?.map_or(Outcome::Applied, Outcome::Late),
    },
});

/// The change whose receipt or acceptance took a seq, as a value: one in quarantine without a readable id is named by its
/// quarantine id.
macro_rules! id_at {
    ($seq:literal) => {
        concat!(
            "(select id from change where change.tenant = $1 and change.seq = ",
            $seq,
            " union all
              select coalesce(id, q) from quarantine where quarantine.tenant = $1 and quarantine.seq = ",
            $seq,
            ")"
        )
    };
}

pub(crate) use id_at;

impl Tx {
    /// The journal: every accepted change, its bytes as they were frozen.
    pub fn journal(&mut self) -> Journal<'_> {
        Journal(self)
    }
}

/// The journal: every accepted change, its bytes as they were frozen.
#[derive(Debug)]
pub struct Journal<'tx>(&'tx mut Tx);

impl Journal<'_> {
    /// Tells what became of these changes, by id and seq, in journal and quarantine; a released one is applied.
    ///
    /// An id that was used again with other bytes appears once per hash.
    pub async fn outcomes(
        &mut self,
        tenant: &Tenant,
        ids: &[ChangeId],
    ) -> Result<Vec<Stored>, StorageError> {
        let sql = sql!(
            self.0,
            "select id, hash, seq, t_eff, rec, author, late, null as q, null as code, false as open
               from ", (each_one "change" "id" "$2"),
            " union all
             select id, hash, seq, t_eff, rec, author, null, q, code, state = 'open'
               from ", (each "quarantine" "id" "$2"),
            " and state <> 'released' order by id, seq"
        );
        let ids = Ids::of(ids.iter().map(|id| id.0));
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(sql)
            .bind(tenant)
            .bind(ids)
            .fetch_all(conn)
            .await?))
    }

    /// Appends changes; [`StorageError::AlreadyStored`] if an id or a seq is taken.
    pub async fn append(
        &mut self,
        tenant: &Tenant,
        changes: &[ChangeRow],
    ) -> Result<(), StorageError> {
        const INTO: &str = concat!("insert into change (tenant, ", columns!(), ") ");
        with_rows!(self.0, INTO, changes, |row| [
            text tenant.as_str(),
            bigint row.seq.0,
            uuid row.id.0,
            uuid row.rec.0,
            bytea row.hash.as_slice(),
            bytea row.body.as_slice(),
            text row.via.as_str(),
            uuid row.by.0,
            uuid row.device.map(|id| id.0),
            bigint row.t_recv.0,
            bigint row.t_eff.0,
            text row.late.as_deref(),
            text row.flags.as_str(),
        ], "");
        Ok(())
    }

    /// Lists all changes of a record in seq order.
    pub async fn of_record(
        &mut self,
        tenant: &Tenant,
        rec: RecordId,
    ) -> Result<Vec<ChangeRow>, StorageError> {
        self.page_of_record(tenant, rec, Seq(0), u32::MAX).await
    }

    /// Lists up to `limit` changes of a record with a seq above `after`, in seq order.
    pub async fn page_of_record(
        &mut self,
        tenant: &Tenant,
        rec: RecordId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<ChangeRow>, StorageError> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from change where tenant = $1 and rec = $2 and seq > $3 order by seq limit $4"
        );
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL)
                .bind(tenant)
                .bind(rec.0)
                .bind(after.0)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?
        }))
    }

    /// Reads the frozen bytes of these changes, by id; unknown ones are absent.
    pub async fn bodies(
        &mut self,
        tenant: &Tenant,
        ids: &[ChangeId],
    ) -> Result<Vec<(ChangeId, Vec<u8>)>, StorageError> {
        let sql = sql!(
            self.0,
            "select id, body from ", (each_one "change" "id" "$2"), " order by id"
        );
        let ids = Ids::of(ids.iter().map(|id| id.0));
        let tenant = tenant.as_str();
        let rows: Vec<(Uuid, Vec<u8>)> = on_conn!(self.0, |conn| sqlx::query_as(sql)
            .bind(tenant)
            .bind(ids)
            .fetch_all(conn)
            .await?);
        Ok(rows.into_iter().map(|(id, body)| (ChangeId(id), body)).collect())
    }

    /// Names the change whose receipt or acceptance took `seq`.
    ///
    /// One in quarantine without a readable id is named by its quarantine id.
    pub async fn id_at(
        &mut self,
        tenant: &Tenant,
        seq: Seq,
    ) -> Result<Option<ChangeId>, StorageError> {
        const SQL: &str = concat!("select ", id_at!("$2"));
        let tenant = tenant.as_str();
        let id: Option<Uuid> = on_conn!(self.0, |conn| {
            sqlx::query_scalar(SQL).bind(tenant).bind(seq.0).fetch_one(conn).await?
        });
        Ok(id.map(ChangeId))
    }

    /// Marks a change late, or not late any more; [`StorageError::Stale`] if it is not stored.
    pub async fn set_late(
        &mut self,
        tenant: &Tenant,
        id: ChangeId,
        late: Option<&str>,
    ) -> Result<(), StorageError> {
        const SQL: &str = "update change set late = $3 where tenant = $1 and id = $2";
        let tenant = tenant.as_str();
        let written = on_conn!(self.0, |conn| {
            sqlx::query(SQL).bind(tenant).bind(id.0).bind(late).execute(conn).await?.rows_affected()
        });
        if written == 1 { Ok(()) } else { Err(StorageError::Stale) }
    }
}
