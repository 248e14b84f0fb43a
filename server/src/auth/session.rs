//! Sessions of the console: a password gives an opaque token, idle 15 minutes, 12 hours at most.

use super::failures;
use super::secret_hash;
use crate::problem::ApiError;
use crate::state::AppState;
use std::net::IpAddr;
use storage::{AuditEntry, Hash, Session, TenantRow, User};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::Tenant;

/// How long a session lives without use: 15 minutes.
pub const IDLE_MS: i64 = 15 * 60 * 1_000;
/// How long a session lives: 12 hours.
pub const LIFETIME_MS: i64 = 12 * 60 * 60 * 1_000;
/// How exactly a use is noted: half a minute.
const TOUCH_MS: i64 = 30 * 1_000;
/// The name of the cookie; browsers hold `__Host-` cookies to this origin.
pub const COOKIE: &str = "__Host-genba_session";
/// The longest login, in bytes.
pub const LOGIN_BYTES_MAX: usize = 128;

/// A session just begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The token, told once.
    pub token: String,
    /// Until when at most.
    pub expires_at: UnixMillis,
    /// Who signed in.
    pub user: User,
}

/// The hash by which a session is found.
pub fn token_hash(token: &str) -> Hash {
    secret_hash("session", token)
}

/// Signs a person in. Unknown logins take the same work and give the same answers as wrong passwords.
pub async fn begin(
    state: &AppState,
    tenant: &Tenant,
    login: &str,
    password: String,
    peer: Option<IpAddr>,
) -> Result<Begun, ApiError> {
    const TOGETHER_RETRY_MS: u64 = 1_000;
    let Some(_attempt) = state.failures.begin(tenant, login) else {
        return Err(ApiError::RateLimited { retry_after_ms: TOGETHER_RETRY_MS });
    };
    let now = state.clock.now();
    let waits = state
        .failures
        .login_wait(tenant, login, now)
        .or_else(|| state.failures.address_wait(peer, now));
    if let Some(retry_after_ms) = waits {
        return Err(ApiError::RateLimited { retry_after_ms });
    }
    let mut tx = state.store.read().await?;
    let row = tx.tenants().find(tenant).await?;
    let user = tx.users().find_by_login(tenant, login).await?;
    drop(tx);
    let lock = user.as_ref().and_then(|user| user.locked_until).filter(|until| now < *until);
    if let Some(until) = lock {
        let retry_after_ms = u64::try_from(until.since(now)).unwrap_or_default();
        return Err(ApiError::RateLimited { retry_after_ms });
    }
    let user = user.filter(|user| user.active);
    let stored = user.as_ref().and_then(|user| user.password_hash.clone());
    let verified = state.passwords.verify(password, stored).await?;
    if let Some(user) = user.filter(|_| verified) {
        return open(state, tenant, user).await;
    }
    fail(state, tenant, login, row, peer).await?;
    Err(ApiError::Unauthorised)
}

async fn open(state: &AppState, tenant: &Tenant, mut user: User) -> Result<Begun, ApiError> {
    let now = state.clock.now();
    let token = state.random.secret();
    let expires_at = now.plus(LIFETIME_MS);
    let session = Session {
        hash: token_hash(&token),
        tenant: tenant.clone(),
        user: user.id,
        created_at: now,
        last_used_at: now,
        expires_at,
    };
    let mut tx = state.store.write().await?;
    tx.sessions().insert(&session).await?;
    if user.failed_count > 0 || user.locked_until.is_some() {
        user.failed_count = 0;
        user.locked_until = None;
        tx.users().save(tenant, &user).await?;
    }
    tx.audit().append(tenant, &[entry(state, &user, "session.begin")]).await?;
    tx.commit().await?;
    state.failures.login_succeeded(tenant, &user.login);
    Ok(Begun { token, expires_at, user })
}

fn entry(state: &AppState, user: &User, action: &str) -> AuditEntry {
    let now = state.clock.now();
    AuditEntry {
        id: state.random.uuid_v7(now),
        at: now,
        actor: Some(user.id),
        device: None,
        action: action.to_owned(),
        object: format!("user:{}", user.id),
        detail: String::new(),
    }
}

/// Counts a failed sign-in, in memory for every login and in the database for those that exist.
async fn fail(
    state: &AppState,
    tenant: &Tenant,
    login: &str,
    row: Option<TenantRow>,
    peer: Option<IpAddr>,
) -> Result<(), ApiError> {
    let now = state.clock.now();
    let zone = row.map_or_else(|| "UTC".to_owned(), |row| row.time_zone);
    state.failures.address_failed(peer, now);
    state.failures.login_failed(tenant, login, now, &zone);
    let mut tx = state.store.write().await?;
    if let Some(mut user) = tx.users().find_by_login(tenant, login).await? {
        user.failed_count = user.failed_count.saturating_add(1);
        let count = u32::try_from(user.failed_count).unwrap_or(u32::MAX);
        user.locked_until = Some(failures::locked_until(count, now, &zone));
        tx.users().save(tenant, &user).await?;
        tx.audit().append(tenant, &[entry(state, &user, "session.fail")]).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Finds the session of a token and its user, if both still hold, and notes the use.
pub async fn find(state: &AppState, token: &str) -> Result<Option<(Session, User)>, ApiError> {
    let now = state.clock.now();
    let hash = token_hash(token);
    let mut tx = state.store.read().await?;
    let Some(session) = tx.sessions().find(&hash).await? else { return Ok(None) };
    let user = tx.users().find(&session.tenant, session.user).await?;
    drop(tx);
    let idle = now.since(session.last_used_at);
    let live = now < session.expires_at && idle < IDLE_MS;
    let user = user.filter(|user| live && user.active && user.not_before <= session.created_at);
    if user.is_some() && idle >= TOUCH_MS {
        let mut tx = state.store.write().await?;
        tx.sessions().touch(&hash, now).await?;
        tx.commit().await?;
    }
    Ok(user.map(|user| (session, user)))
}

/// Ends a session.
pub async fn end(state: &AppState, hash: &Hash) -> Result<(), ApiError> {
    let mut tx = state.store.write().await?;
    tx.sessions().remove(hash).await?;
    tx.commit().await?;
    Ok(())
}
