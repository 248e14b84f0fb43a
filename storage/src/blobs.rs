//! Blobs: bytes whose SHA-256 was proven, and who has shown them.

use crate::fault::planted;
use crate::sql::{from_row, hash, on_conn, parsed, sql, stored_as};
use crate::{Hash, StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{RecordId, Tenant, UploadId, UserId},
};

/// Whether a blob is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobState {
    /// It is.
    Have,
    /// It is being removed; who sends it again brings it back.
    Deleting,
}

stored_as!(BlobState { Have = "have", Deleting = "deleting" });

/// Whether a blob has smaller pictures of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Render {
    /// It needs none.
    None,
    /// They are still to be made.
    Pending,
    /// They are made.
    Made,
    /// They cannot be made.
    Unrenderable,
}

stored_as!(Render {
    None = "none",
    Pending = "pending",
    Made = "made",
    Unrenderable = "unrenderable",
});

/// A smaller picture of a blob: one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivative {
    /// The key of its object.
    pub key: String,
    /// How many bytes it has.
    pub bytes: i64,
}

/// One blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its SHA-256.
    pub sha256: Hash,
    /// The upload whose parts are its bytes.
    pub home: UploadId,
    /// How many bytes it has.
    pub bytes: i64,
    /// Its media type.
    pub mime: String,
    /// Whether it is there.
    pub state: BlobState,
    /// When its bytes were proven.
    pub stored_at: UnixMillis,
    /// What its bytes tell of themselves, as JSON.
    pub facts: Option<String>,
    /// Whether it has smaller pictures of itself.
    pub render: Render,
    /// The small picture for lists.
    pub thumb: Option<Derivative>,
    /// The picture for a screen.
    pub screen: Option<Derivative>,
}

macro_rules! columns {
    () => {
        "sha256, home, bytes, mime, state, stored_at, facts, render, thumb_key, thumb_bytes, \
         screen_key, screen_bytes"
    };
}

macro_rules! derivative {
    ($row:ident, $key:literal, $bytes:literal) => {{
        let key: Option<String> = $row.try_get($key)?;
        let bytes: Option<i64> = $row.try_get($bytes)?;
        key.zip(bytes).map(|(key, bytes)| Derivative { key, bytes })
    }};
}

from_row!(Blob, |row| Self {
    sha256: hash("sha256", row.try_get("sha256")?)?,
    home: UploadId(row.try_get("home")?),
    bytes: row.try_get("bytes")?,
    mime: row.try_get("mime")?,
    state: parsed("state", row.try_get("state")?)?,
    stored_at: UnixMillis(row.try_get("stored_at")?),
    facts: row.try_get("facts")?,
    render: parsed("render", row.try_get("render")?)?,
    thumb: derivative!(row, "thumb_key", "thumb_bytes"),
    screen: derivative!(row, "screen_key", "screen_bytes"),
});

/// Names a blob of any tenant, and when its bytes were proven.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobName {
    /// When its bytes were proven.
    pub stored_at: UnixMillis,
    /// Its tenant.
    pub tenant: Tenant,
    /// Its SHA-256.
    pub sha256: Hash,
}

from_row!(BlobName, |row| Self {
    stored_at: UnixMillis(row.try_get("stored_at")?),
    tenant: parsed("tenant", row.try_get("tenant")?)?,
    sha256: hash("sha256", row.try_get("sha256")?)?,
});

struct Counted {
    name: BlobName,
    named: bool,
}

from_row!(Counted, |row| Self {
    name: sqlx::FromRow::from_row(row)?,
    named: row.try_get("named")?,
});

impl Tx {
    /// Blobs: bytes whose SHA-256 was proven.
    pub fn blobs(&mut self) -> Blobs<'_> {
        Blobs(self)
    }
}

/// Blobs: bytes whose SHA-256 was proven.
#[derive(Debug)]
pub struct Blobs<'tx>(&'tx mut Tx);

impl Blobs<'_> {
    /// Finds one blob, also one that is being removed.
    pub async fn find(
        &mut self,
        tenant: &Tenant,
        sha256: &Hash,
    ) -> Result<Option<Blob>, StorageError> {
        const SQL: &str =
            concat!("select ", columns!(), " from blob where tenant = $1 and sha256 = $2");
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL)
            .bind(tenant)
            .bind(sha256.as_slice())
            .fetch_optional(conn)
            .await?))
    }

    /// Finds a blob that a change of this record names whose author has shown its bytes.
    pub async fn find_readable(
        &mut self,
        tenant: &Tenant,
        rec: RecordId,
        sha256: &Hash,
    ) -> Result<Option<Blob>, StorageError> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from blob as b
              where b.tenant = $1 and b.sha256 = $3 and b.state = 'have' and exists (
                    select 1 from blob_ref as r join blob_owner as o
                        on o.tenant = r.tenant and o.sha256 = r.sha256 and o.user_id = r.author
                     where r.tenant = $1 and r.rec = $2 and r.sha256 = $3 and r.applied)"
        );
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL)
            .bind(tenant)
            .bind(rec.0)
            .bind(sha256.as_slice())
            .fetch_optional(conn)
            .await?))
    }

    /// Stores that `user` has shown all bytes of a blob, which live in `blob.home` from now on; gives the home that they
    /// had before.
    ///
    /// Whatever was there gives way to what was proven last: an object may have been damaged or lost since it was written.
    pub async fn show(
        &mut self,
        tenant: &Tenant,
        blob: &Blob,
        user: UserId,
    ) -> Result<Option<UploadId>, StorageError> {
        const BLOB: &str = "
            insert into blob (tenant, sha256, home, bytes, mime, state, stored_at, render,
                              render_failures)
            values ($1, $2, $3, $4, $5, 'have', $6, $7, 0)
            on conflict (tenant, sha256) do nothing";
        const MOVE: &str = "
            update blob
               set home = $3, bytes = $4, mime = $5, state = 'have', stored_at = $6, facts = null,
                   render = $7, render_failures = 0, render_until = null,
                   thumb_key = null, thumb_bytes = null, screen_key = null, screen_bytes = null
             where tenant = $1 and sha256 = $2";
        const OWNER: &str = "
            insert into blob_owner (tenant, sha256, user_id, shown_at) values ($1, $2, $3, $4)
            on conflict (tenant, sha256, user_id) do update set shown_at = excluded.shown_at";
        let tenant = tenant.as_str();
        let at = blob.stored_at.0;
        let sha256 = blob.sha256.as_slice();
        let lock =
            sql!(self.0, "select home from blob where tenant = $1 and sha256 = $2", (for_update));
        on_conn!(self.0, |conn| {
            let mut before = None;
            for sql in [BLOB, MOVE] {
                let query = sqlx::query(sql).bind(tenant).bind(sha256).bind(blob.home.0);
                let query = query.bind(blob.bytes).bind(&blob.mime).bind(at);
                if query.bind(blob.render.as_str()).execute(&mut *conn).await?.rows_affected() == 1
                {
                    break;
                }
                let query = sqlx::query_scalar(lock).bind(tenant).bind(sha256);
                before = Some(UploadId(query.fetch_one(&mut *conn).await?));
            }
            let owner = sqlx::query(OWNER).bind(tenant).bind(sha256);
            owner.bind(user.0).bind(at).execute(conn).await?;
            Ok(before)
        })
    }

    /// Whether a user has shown the bytes of a blob.
    pub async fn is_shown_by(
        &mut self,
        tenant: &Tenant,
        sha256: &Hash,
        user: UserId,
    ) -> Result<bool, StorageError> {
        const SQL: &str = "
            select count(*) from blob_owner where tenant = $1 and sha256 = $2 and user_id = $3";
        let tenant = tenant.as_str();
        let found: i64 = on_conn!(self.0, |conn| {
            let query = sqlx::query_scalar(SQL).bind(tenant).bind(sha256.as_slice());
            query.bind(user.0).fetch_one(conn).await?
        });
        Ok(found > 0)
    }

    /// Looks at up to `limit` blobs of all tenants that were stored until `before`, the oldest first, from `after` on,
    /// and gives those that no change names, with the last that it looked at when there may be more.
    pub async fn unnamed(
        &mut self,
        after: Option<&BlobName>,
        before: UnixMillis,
        limit: u32,
    ) -> Result<(Vec<BlobName>, Option<BlobName>), StorageError> {
        const SQL: &str = "
            select b.stored_at, b.tenant, b.sha256,
                   exists (select 1 from blob_ref as r
                            where r.tenant = b.tenant and r.sha256 = b.sha256) as named
              from blob as b
             where b.state = 'have' and (b.stored_at, b.tenant, b.sha256) > ($1, $2, $3)
               and b.stored_at <= $4
             order by b.stored_at, b.tenant, b.sha256 limit $5";
        let at = after.map_or(i64::MIN, |name| name.stored_at.0);
        let tenant = after.map_or("", |name| name.tenant.as_str());
        let sha256 = after.map_or(&[][..], |name| &name.sha256);
        let found: Vec<Counted> = on_conn!(self.0, |conn| {
            let query = sqlx::query_as(SQL).bind(at).bind(tenant).bind(sha256);
            query.bind(before.0).bind(i64::from(limit)).fetch_all(conn).await?
        });
        let full = u32::try_from(found.len()).is_ok_and(|found| found >= limit);
        let last = found.last().filter(|_| full).map(|counted| counted.name.clone());
        let unnamed = found.into_iter().filter(|counted| !counted.named);
        Ok((unnamed.map(|counted| counted.name).collect(), last))
    }

    /// Begins to remove a blob that was last shown until `before` and that no change names; false if it must stay.
    ///
    /// A change that names it is received either before, and is seen here, or after, and finds it being removed: both
    /// lock the row of the blob. So does whoever shows it again.
    pub async fn begin_removal(
        &mut self,
        name: &BlobName,
        before: UnixMillis,
    ) -> Result<bool, StorageError> {
        const MARK: &str = "
            update blob set state = 'deleting'
             where tenant = $1 and sha256 = $2 and state = 'have' and stored_at <= $3
               and not exists (select 1 from blob_owner as o
                                where o.tenant = blob.tenant and o.sha256 = blob.sha256
                                  and o.shown_at > $3)
               and not exists (select 1 from blob_ref as r
                                where r.tenant = blob.tenant and r.sha256 = blob.sha256)";
        const UNCHECKED: &str = "
            update blob set state = 'deleting'
             where tenant = $1 and sha256 = $2 and state = 'have' and stored_at <= $3";
        let mark = if planted("removal_unchecked") { UNCHECKED } else { MARK };
        // The row first: what was committed while this waited is seen by the next statement only.
        let lock =
            sql!(self.0, "select sha256 from blob where tenant = $1 and sha256 = $2", (for_update));
        let tenant = name.tenant.as_str();
        let sha256 = name.sha256.as_slice();
        let written = on_conn!(self.0, |conn| {
            sqlx::query(lock).bind(tenant).bind(sha256).execute(&mut *conn).await?;
            let query = sqlx::query(mark).bind(tenant).bind(sha256).bind(before.0);
            query.execute(conn).await?.rows_affected()
        });
        Ok(written == 1)
    }

    /// Lists up to `limit` blobs of all tenants that are being removed.
    pub async fn removing(&mut self, limit: u32) -> Result<Vec<BlobName>, StorageError> {
        const SQL: &str = "
            select stored_at, tenant, sha256 from blob where state = 'deleting'
             order by tenant, sha256 limit $1";
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(i64::from(limit)).fetch_all(conn).await?
        }))
    }

    /// Removes a blob that is being removed and still at home in `home`, with who has shown it; false if it was
    /// brought back meanwhile.
    pub async fn remove(
        &mut self,
        tenant: &Tenant,
        sha256: &Hash,
        home: UploadId,
    ) -> Result<bool, StorageError> {
        const OWNERS: &str = "delete from blob_owner where tenant = $1 and sha256 = $2";
        const BLOB: &str = "delete from blob where tenant = $1 and sha256 = $2";
        let lock = sql!(
            self.0,
            "select home from blob
              where tenant = $1 and sha256 = $2 and home = $3 and state = 'deleting'",
            (for_update)
        );
        let tenant = tenant.as_str();
        let sha256 = sha256.as_slice();
        on_conn!(self.0, |conn| {
            let query = sqlx::query(lock).bind(tenant).bind(sha256).bind(home.0);
            if query.fetch_optional(&mut *conn).await?.is_none() {
                return Ok(false);
            }
            sqlx::query(OWNERS).bind(tenant).bind(sha256).execute(&mut *conn).await?;
            sqlx::query(BLOB).bind(tenant).bind(sha256).execute(conn).await?;
        });
        Ok(true)
    }
}
