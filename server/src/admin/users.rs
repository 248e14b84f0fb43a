//! Users: made, given a password, deactivated.

use super::tenants::is_there;
use super::{Actor, note, text};
use crate::auth::password::acceptable;
use crate::auth::session::LOGIN_BYTES_MAX;
use crate::problem::ApiError;
use crate::state::AppState;
use storage::{Tx, User};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Tenant, UserId};

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 80;

/// What a new user is made of.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The login.
    pub login: String,
    /// The name that others see.
    pub name: String,
    /// Whether the user administers the tenant.
    pub admin: bool,
    /// The password, for those who sign in at the console.
    pub password: Option<String>,
}

/// Makes a user.
pub async fn create(state: &AppState, actor: &Actor, new: NewUser) -> Result<User, ApiError> {
    let login = login(&new.login)?;
    let name = text(&new.name, NAME_CHARS_MAX, "bad_name")?;
    let password_hash = match new.password {
        Some(password) => Some(hashed(state, password).await?),
        None => None,
    };
    let now = state.clock.now();
    let user = User {
        id: UserId(state.random.uuid_v7(now)),
        login,
        name,
        password_hash,
        admin: new.admin,
        active: true,
        not_before: UnixMillis(0),
        failed_count: 0,
        locked_until: None,
    };
    let mut tx = state.store.write().await?;
    is_there(&mut tx, &actor.tenant).await?;
    if tx.users().find_by_login(&actor.tenant, &user.login).await?.is_some() {
        return Err(ApiError::Conflict { what: "the login is taken" });
    }
    tx.users().insert(&actor.tenant, &user).await?;
    let detail = if user.admin { "admin" } else { "" };
    note(state, &mut tx, actor, "user.create", object(user.id), detail.to_owned()).await?;
    tx.commit().await?;
    Ok(user)
}

/// Sets a password; the user's sessions end and the lock is lifted.
pub async fn set_password(
    state: &AppState,
    actor: &Actor,
    id: UserId,
    password: String,
) -> Result<(), ApiError> {
    let hash = hashed(state, password).await?;
    let mut tx = state.store.write().await?;
    let mut user = found(&mut tx, &actor.tenant, id).await?;
    user.password_hash = Some(hash);
    user.failed_count = 0;
    user.locked_until = None;
    tx.users().save(&actor.tenant, &user).await?;
    tx.sessions().remove_of_user(&actor.tenant, id).await?;
    note(state, &mut tx, actor, "user.password", object(id), String::new()).await?;
    tx.commit().await?;
    state.failures.login_succeeded(&actor.tenant, &user.login);
    Ok(())
}

/// Says whether a user works here. Who does not: no session, no socket, tablets only hand in.
pub async fn set_active(
    state: &AppState,
    actor: &Actor,
    id: UserId,
    active: bool,
) -> Result<(), ApiError> {
    if actor.user == Some(id) {
        return Err(ApiError::unprocessable("own_account", "ask another administrator"));
    }
    let mut tx = state.store.write().await?;
    let mut user = found(&mut tx, &actor.tenant, id).await?;
    user.active = active;
    if !active {
        user.not_before = state.clock.now();
        tx.sessions().remove_of_user(&actor.tenant, id).await?;
    }
    tx.users().save(&actor.tenant, &user).await?;
    let action = if active { "user.activate" } else { "user.deactivate" };
    note(state, &mut tx, actor, action, object(id), String::new()).await?;
    tx.commit().await?;
    state.pokes.recheck_user(&actor.tenant, id);
    Ok(())
}

/// Finds a user of the tenant.
pub(crate) async fn found(tx: &mut Tx, tenant: &Tenant, id: UserId) -> Result<User, ApiError> {
    tx.users().find(tenant, id).await?.ok_or(ApiError::NotFound { kind: "user" })
}

pub(crate) fn object(id: UserId) -> String {
    format!("user:{id}")
}

fn login(written: &str) -> Result<String, ApiError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+');
    let good = (1..=LOGIN_BYTES_MAX).contains(&written.len()) && written.chars().all(plain);
    let told = "1 to 128 bytes of letters, digits and . - _ @ +";
    if good { Ok(written.to_owned()) } else { Err(ApiError::unprocessable("bad_login", told)) }
}

async fn hashed(state: &AppState, password: String) -> Result<String, ApiError> {
    acceptable(&password)
        .map_err(|bad| ApiError::unprocessable("bad_password", bad.to_string()))?;
    state.passwords.hash(password, state.random.bytes()).await
}
