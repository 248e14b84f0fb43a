//! Users: the people who sign in or carry a tablet.

use crate::sql::{from_row, on_conn};
use crate::{StorageError, Tx};
use sync_protocol::{
    clock::UnixMillis,
    id::{Tenant, UserId},
};

/// One person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// What the person signs in with; unique in the tenant.
    pub login: String,
    /// The name that others see.
    pub name: String,
    /// The argon2id hash; `None` for those who never sign in to the console.
    pub password_hash: Option<String>,
    /// Whether the person administers the tenant.
    pub admin: bool,
    /// Whether the person works here.
    pub active: bool,
    /// Sessions and tokens issued before are void.
    pub not_before: UnixMillis,
    /// Failed sign-ins since the last good one.
    pub failed_count: i64,
    /// No sign-in before this instant.
    pub locked_until: Option<UnixMillis>,
}

macro_rules! columns {
    () => {
        "id, login, name, password_hash, admin, active, not_before, failed_count, locked_until"
    };
}

from_row!(User, |row| Self {
    id: UserId(row.try_get("id")?),
    login: row.try_get("login")?,
    name: row.try_get("name")?,
    password_hash: row.try_get("password_hash")?,
    admin: row.try_get("admin")?,
    active: row.try_get("active")?,
    not_before: UnixMillis(row.try_get("not_before")?),
    failed_count: row.try_get("failed_count")?,
    locked_until: row.try_get::<Option<_>, _>("locked_until")?.map(UnixMillis),
});

impl Tx {
    /// Users: the people who sign in or carry a tablet.
    pub fn users(&mut self) -> Users<'_> {
        Users(self)
    }
}

/// Users: the people who sign in or carry a tablet.
#[derive(Debug)]
pub struct Users<'tx>(&'tx mut Tx);

impl Users<'_> {
    /// Stores a new user; [`StorageError::AlreadyStored`] if the id or the login is taken.
    pub async fn insert(&mut self, tenant: &Tenant, user: &User) -> Result<(), StorageError> {
        const SQL: &str = concat!(
            "insert into user_ (tenant, ",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        );
        self.write(SQL, tenant, user).await?;
        Ok(())
    }

    /// Writes a known user; [`StorageError::Stale`] if there is none.
    pub async fn save(&mut self, tenant: &Tenant, user: &User) -> Result<(), StorageError> {
        const SQL: &str = "
            update user_ set login = $3, name = $4, password_hash = $5, admin = $6, active = $7,
                             not_before = $8, failed_count = $9, locked_until = $10
             where tenant = $1 and id = $2";
        if self.write(SQL, tenant, user).await? == 1 { Ok(()) } else { Err(StorageError::Stale) }
    }

    async fn write(
        &mut self,
        sql: &'static str,
        tenant: &Tenant,
        user: &User,
    ) -> Result<u64, StorageError> {
        Ok(on_conn!(self.0, |conn| {
            sqlx::query(sql)
                .bind(tenant.as_str())
                .bind(user.id.0)
                .bind(&user.login)
                .bind(&user.name)
                .bind(user.password_hash.as_deref())
                .bind(user.admin)
                .bind(user.active)
                .bind(user.not_before.0)
                .bind(user.failed_count)
                .bind(user.locked_until.map(|at| at.0))
                .execute(conn)
                .await?
                .rows_affected()
        }))
    }

    /// Finds a user.
    pub async fn find(
        &mut self,
        tenant: &Tenant,
        id: UserId,
    ) -> Result<Option<User>, StorageError> {
        const SQL: &str =
            concat!("select ", columns!(), " from user_ where tenant = $1 and id = $2");
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(id.0).fetch_optional(conn).await?
        }))
    }

    /// Finds a user by login.
    pub async fn find_by_login(
        &mut self,
        tenant: &Tenant,
        login: &str,
    ) -> Result<Option<User>, StorageError> {
        const SQL: &str =
            concat!("select ", columns!(), " from user_ where tenant = $1 and login = $2");
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| {
            sqlx::query_as(SQL).bind(tenant).bind(login).fetch_optional(conn).await?
        }))
    }

    /// Lists the users by login.
    pub async fn list(&mut self, tenant: &Tenant) -> Result<Vec<User>, StorageError> {
        const SQL: &str =
            concat!("select ", columns!(), " from user_ where tenant = $1 order by login");
        let tenant = tenant.as_str();
        Ok(on_conn!(self.0, |conn| sqlx::query_as(SQL).bind(tenant).fetch_all(conn).await?))
    }
}
