//! Whose pictures and facts are still to be made, who makes them, and what was made.

use crate::fault::planted;
use crate::sql::{from_row, hash, on_conn, parsed, sql};
use crate::{Derivative, Hash, Render, StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{Tenant, UploadId},
};

/// How often the making may fail before it is given up.
pub const FAILURES_MAX: i64 = 2;

/// A blob whose pictures and facts somebody makes until an instant; that instant is his name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderLease {
    /// Its tenant.
    pub tenant: Tenant,
    /// Its SHA-256.
    pub sha256: Hash,
    /// The upload whose parts are its bytes.
    pub home: UploadId,
    /// How many bytes it has.
    pub bytes: i64,
    /// Its media type.
    pub mime: String,
    /// Until when nobody else begins.
    pub until: UnixMillis,
    /// Whether somebody began before.
    pub again: bool,
}

struct Waiting {
    tenant: Tenant,
    sha256: Hash,
    home: UploadId,
    bytes: i64,
    mime: String,
    render_until: Option<i64>,
}

from_row!(Waiting, |row| Self {
    tenant: parsed("tenant", row.try_get("tenant")?)?,
    sha256: hash("sha256", row.try_get("sha256")?)?,
    home: UploadId(row.try_get("home")?),
    bytes: row.try_get("bytes")?,
    mime: row.try_get("mime")?,
    render_until: row.try_get("render_until")?,
});

/// What was made of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering {
    /// Whether it has smaller pictures now.
    pub render: Render,
    /// What its bytes tell of themselves, as JSON.
    pub facts: String,
    /// The small picture for lists.
    pub thumb: Option<Derivative>,
    /// The picture for a screen.
    pub screen: Option<Derivative>,
}

impl Tx {
    /// Renders: the making of smaller pictures and facts.
    pub fn renders(&mut self) -> Renders<'_> {
        Renders(self)
    }
}

/// Renders: the making of smaller pictures and facts.
#[derive(Debug)]
pub struct Renders<'tx>(&'tx mut Tx);

impl Renders<'_> {
    /// Whether a blob waits that nobody works on.
    pub async fn is_any_waiting(&mut self, now: UnixMillis) -> Result<bool, StorageError> {
        const SQL: &str = "
            select exists (select 1 from blob where render = 'pending' and state = 'have'
                              and (render_until is null or render_until <= $1))";
        Ok(on_conn!(self.0, |conn| sqlx::query_scalar(SQL).bind(now.0).fetch_one(conn).await?))
    }

    /// Takes the blob that waits longest and that nobody works on.
    pub async fn lease(
        &mut self,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<Option<RenderLease>, StorageError> {
        const TAKE: &str = "update blob set render_until = $3 where tenant = $1 and sha256 = $2";
        let find = sql!(
            self.0,
            "select tenant, sha256, home, bytes, mime, render_until from blob
              where render = 'pending' and state = 'have'
                and (render_until is null or render_until <= $1)
              order by stored_at limit 1",
            (skip_locked)
        );
        let found: Option<Waiting> = on_conn!(self.0, |conn| {
            sqlx::query_as(find).bind(now.0).fetch_optional(conn).await?
        });
        let Some(Waiting { tenant, sha256, home, bytes, mime, render_until }) = found else {
            return Ok(None);
        };
        on_conn!(self.0, |conn| {
            let query = sqlx::query(TAKE).bind(tenant.as_str()).bind(sha256.as_slice());
            query.bind(until.0).execute(conn).await?;
        });
        let again = render_until.is_some();
        Ok(Some(RenderLease { tenant, sha256, home, bytes, mime, until, again }))
    }

    /// Stores what was made; false if the lease is another's by now, or the blob is gone or elsewhere.
    pub async fn made(
        &mut self,
        lease: &RenderLease,
        made: &Rendering,
    ) -> Result<bool, StorageError> {
        macro_rules! named_by {
            ($whose:literal) => {
                concat!(
                    "update blob set render = $5, facts = $6, thumb_key = $7, thumb_bytes = $8,
                            screen_key = $9, screen_bytes = $10, render_until = null
                      where tenant = $1 and sha256 = $2 and home = $3 and render_until ",
                    $whose,
                    " $4 and render = 'pending' and state = 'have'"
                )
            };
        }
        let sql = if planted("late_lease_names") { named_by!(">=") } else { named_by!("=") };
        let key = |of: &Option<Derivative>| of.as_ref().map(|of| of.key.clone());
        let bytes = |of: &Option<Derivative>| of.as_ref().map(|of| of.bytes);
        let written = on_conn!(self.0, |conn| {
            let query = sqlx::query(sql).bind(lease.tenant.as_str()).bind(lease.sha256.as_slice());
            let query = query.bind(lease.home.0).bind(lease.until.0);
            let query = query.bind(made.render.as_str()).bind(&made.facts);
            let query = query.bind(key(&made.thumb)).bind(bytes(&made.thumb));
            let query = query.bind(key(&made.screen)).bind(bytes(&made.screen));
            query.execute(conn).await?.rows_affected()
        });
        Ok(written == 1)
    }

    /// Counts a failure that is the blob's doing, with the facts that were told before it; true if that was the last,
    /// and otherwise it is tried again from `again_at` on.
    pub async fn failed(
        &mut self,
        lease: &RenderLease,
        facts: Option<&str>,
        again_at: UnixMillis,
    ) -> Result<bool, StorageError> {
        const SQL: &str = "
            update blob set render_failures = render_failures + 1, render_until = $5,
                            facts = coalesce($6, facts),
                            render = case when render_failures + 1 >= $7 then 'unrenderable'
                                          else render end
             where tenant = $1 and sha256 = $2 and home = $3 and render_until = $4
               and render = 'pending'
            returning render";
        let most = if planted("failures_forgotten") { i64::MAX } else { FAILURES_MAX };
        let render: Option<String> = on_conn!(self.0, |conn| {
            let query = sqlx::query_scalar(SQL);
            let query = query.bind(lease.tenant.as_str()).bind(lease.sha256.as_slice());
            let query = query.bind(lease.home.0).bind(lease.until.0).bind(again_at.0);
            query.bind(facts).bind(most).fetch_optional(conn).await?
        });
        Ok(render.as_deref() == Some(Render::Unrenderable.as_str()))
    }

    /// Gives a blob back whose failure is not its doing: it is tried again from `again_at` on.
    pub async fn postpone(
        &mut self,
        lease: &RenderLease,
        again_at: UnixMillis,
    ) -> Result<(), StorageError> {
        const SQL: &str = "
            update blob set render_until = $5
             where tenant = $1 and sha256 = $2 and home = $3 and render_until = $4
               and render = 'pending'";
        on_conn!(self.0, |conn| {
            let query = sqlx::query(SQL).bind(lease.tenant.as_str()).bind(lease.sha256.as_slice());
            let query = query.bind(lease.home.0).bind(lease.until.0).bind(again_at.0);
            query.execute(conn).await?;
        });
        Ok(())
    }
}
