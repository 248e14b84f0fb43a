//! Devices: enrolments of tablets, each bound to one user.

use crate::sql::{Ids, from_row, on_conn, parsed, sql, stored_as, with_rows};
use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{DeviceId, Seq, Tenant, UserId},
};

/// Whether a device may sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// It may.
    Active,
    /// It may only deposit what it still holds.
    Revoked,
    /// It is refused.
    Stolen,
}

/// One enrolment of a tablet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its user.
    pub user: UserId,
    /// What its user calls it.
    pub name: String,
    /// Its public key as a JWK.
    pub public_key: String,
    /// The thumbprint of the key.
    pub thumbprint: String,
    /// When it was enrolled.
    pub enrolled_at: UnixMillis,
    /// Whether it may sync.
    pub state: DeviceState,
    /// Since when.
    pub state_at: UnixMillis,
    /// When it last called.
    pub last_seen_at: Option<UnixMillis>,
    /// The head that it last was told.
    pub last_seq: Option<Seq>,
}

stored_as!(DeviceState { Active = "active", Revoked = "revoked", Stolen = "stolen" });

macro_rules! columns {
    () => {
        "id, user_id, name, public_key, thumbprint, enrolled_at, state, state_at, last_seen_at, \
         last_seq"
    };
}

from_row!(Device, |row| Self {
    id: DeviceId(row.try_get("id")?),
    user: UserId(row.try_get("user_id")?),
    name: row.try_get("name")?,
    public_key: row.try_get("public_key")?,
    thumbprint: row.try_get("thumbprint")?,
    enrolled_at: UnixMillis(row.try_get("enrolled_at")?),
    state: parsed("state", row.try_get("state")?)?,
    state_at: UnixMillis(row.try_get("state_at")?),
    last_seen_at: row.try_get::<Option<_>, _>("last_seen_at")?.map(UnixMillis),
    last_seq: row.try_get::<Option<_>, _>("last_seq")?.map(Seq),
});

/// What admits the user of a device, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The user to whom the device is bound.
    pub user: UserId,
    /// When the device was enrolled.
    pub enrolled_at: UnixMillis,
    /// Whether the device may sync.
    pub state: DeviceState,
    /// Whether the user is active.
    pub active: bool,
    /// Tokens of the user that are older are void.
    pub not_before: UnixMillis,
}

from_row!(Admission, |row| Self {
    user: UserId(row.try_get("user_id")?),
    enrolled_at: UnixMillis(row.try_get("enrolled_at")?),
    state: parsed("state", row.try_get("state")?)?,
    active: row.try_get("active")?,
    not_before: UnixMillis(row.try_get("not_before")?),
});

impl Tx {
    /// Devices: enrolments of tablets, each bound to one user.
    pub fn devices(&mut self) -> Devices<'_> {
        Devices(self)
    }
}

/// Devices: enrolments of tablets, each bound to one user.
#[derive(Debug)]
pub struct Devices<'tx>(&'tx mut Tx);

impl Devices<'_> {
    /// Stores a new device.
    pub async fn insert(&mut self, tenant: &Tenant, device: &Device) -> Result<(), StorageError> {
        const SQL: &str = concat!(
            "insert into device (tenant, ",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        );
        on_conn!(self.0, |conn| {
            sqlx::query(SQL)
                .bind(tenant.as_str())
                .bind(device.id.0)
                .bind(device.user.0)
                .bind(&device.name)
                .bind(&device.public_key)
                .bind(&device.thumbprint)
                .bind(device.enrolled_at.0)
                .bind(device.state.as_str())
                .bind(device.state_at.0)
                .bind(device.last_seen_at.map(|at| at.0))
                .bind(device.last_seq.map(|seq| seq.0))
                .execute(conn)
                .await?;
        });
        Ok(())
    }

    /// Finds a device.
    pub async fn find(
        &mut self,
        tenant: &Tenant,
        id: DeviceId,
    ) -> Result<Option<Device>, StorageError> {
        Ok(self.find_all(tenant, &[id]).await?.pop())
    }

    /// Finds what admits the user of a device.
    pub async fn admission(
        &mut self,
        tenant: &Tenant,
        id: DeviceId,
    ) -> Result<Option<Admission>, StorageError> {
        const SQL: &str = "
            select user_id, enrolled_at, state, active, not_before from device
              join user_ on user_.tenant = device.tenant and user_.id = device.user_id
             where device.tenant = $1 and device.id = $2";
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(id.0).fetch_optional(conn).await?
        }))
    }

    /// Finds these devices, by id; unknown ones are absent.
    pub async fn find_all(
        &mut self,
        tenant: &Tenant,
        ids: &[DeviceId],
    ) -> Result<Vec<Device>, StorageError> {
        let sql = sql!(
            self.0,
            "select ", {columns!()}, " from ", (each "device" "id" "$2"), " order by id"
        );
        let ids = Ids::of(ids.iter().map(|id| id.0));
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(sql)
            .bind(tenant)
            .bind(ids)
            .fetch_all(conn)
            .await?))
    }

    /// Lists the devices, of one user or of all, oldest first.
    pub async fn list(
        &mut self,
        tenant: &Tenant,
        user: Option<UserId>,
    ) -> Result<Vec<Device>, StorageError> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from device where tenant = $1 and ($2 is null or user_id = $2)
              order by enrolled_at, id"
        );
        let tenant = tenant.as_str();
        let user = user.map(|user| user.0);
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(user).fetch_all(conn).await?
        }))
    }

    /// Sets whether a device may sync; [`StorageError::Stale`] if it is unknown.
    pub async fn set_state(
        &mut self,
        tenant: &Tenant,
        id: DeviceId,
        state: DeviceState,
        at: UnixMillis,
    ) -> Result<(), StorageError> {
        const SQL: &str =
            "update device set state = $3, state_at = $4 where tenant = $1 and id = $2";
        let written = on_conn!(self.0, |conn| {
            sqlx::query(SQL)
                .bind(tenant.as_str())
                .bind(id.0)
                .bind(state.as_str())
                .bind(at.0)
                .execute(conn)
                .await?
                .rows_affected()
        });
        if written == 1 { Ok(()) } else { Err(StorageError::Stale) }
    }

    /// Notes that devices called, each once, and the head that they were told.
    pub async fn seen(
        &mut self,
        tenant: &Tenant,
        calls: &[(DeviceId, UnixMillis, Seq)],
    ) -> Result<(), StorageError> {
        const WITH: &str = "with call (tenant, id, at, seq) as (";
        const UPDATE: &str = ") update device set last_seen_at = call.at, last_seq = call.seq
            from call where device.tenant = call.tenant and device.id = call.id";
        with_rows!(self.0, WITH, calls, |row| [
            text tenant.as_str(),
            uuid row.0.0,
            bigint row.1.0,
            bigint row.2.0,
        ], UPDATE);
        Ok(())
    }
}
