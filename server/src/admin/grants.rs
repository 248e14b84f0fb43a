//! Grants: given for a time, ended, never deleted.

use super::{Actor, note, users};
use crate::problem::ApiError;
use crate::state::AppState;
use storage::Grant;
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::Role;
use sync_protocol::id::{Bucket, UserId};
use uuid::Uuid;

/// What a new grant is made of.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// Whom.
    pub user: UserId,
    /// Where.
    pub bucket: Bucket,
    /// As what.
    pub role: Role,
    /// From when; now, if not said.
    pub from_at: Option<UnixMillis>,
    /// Until when; open, if not said.
    pub to_at: Option<UnixMillis>,
    /// Whether the user's tablets hold the bucket.
    pub hold: bool,
}

/// The word of a role, as it is stored and travels.
pub fn role_word(role: Role) -> String {
    serde_json::to_value(role)
        .ok()
        .and_then(|value| value.as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}

/// Gives a grant.
pub async fn create(state: &AppState, actor: &Actor, new: NewGrant) -> Result<Grant, ApiError> {
    let id = state.random.uuid_v7(state.clock.now());
    create_as(state, actor, id, new).await
}

/// Gives a grant under an id of the caller's: the same grant sent twice is one.
pub async fn create_as(
    state: &AppState,
    actor: &Actor,
    id: Uuid,
    new: NewGrant,
) -> Result<Grant, ApiError> {
    let now = state.clock.now();
    let from_at = new.from_at.unwrap_or(now);
    if new.to_at.is_some_and(|to_at| to_at <= from_at) {
        return Err(ApiError::unprocessable("bad_period", "a grant ends after it begins"));
    }
    let grant = Grant {
        id,
        user: new.user,
        bucket: new.bucket,
        role: role_word(new.role),
        from_at,
        to_at: new.to_at,
        hold: new.hold,
        granted_by: actor.id(),
        granted_at: now,
    };
    let mut tx = state.store.write().await?;
    users::found(&mut tx, &actor.tenant, new.user).await?;
    if let Some(there) = tx.grants().find(&actor.tenant, grant.id).await? {
        let same = (there.user, &there.bucket, &there.role, there.hold)
            == (grant.user, &grant.bucket, &grant.role, grant.hold);
        let what = "another grant has this id";
        return if same { Ok(there) } else { Err(ApiError::Conflict { what }) };
    }
    tx.grants().insert(&actor.tenant, &grant).await?;
    let until = grant.to_at.map_or_else(String::new, |to_at| to_at.to_string());
    let detail = format!(
        "{} {} {} from {} to {until} hold {}",
        users::object(grant.user),
        grant.bucket,
        grant.role,
        grant.from_at,
        grant.hold
    );
    note(state, &mut tx, actor, "grant.create", format!("grant:{}", grant.id), detail).await?;
    tx.commit().await?;
    state.pokes.recheck_user(&actor.tenant, grant.user);
    Ok(grant)
}

/// Ends a grant at an instant that is not past; now, if none is said.
pub async fn end(
    state: &AppState,
    actor: &Actor,
    id: Uuid,
    at: Option<UnixMillis>,
) -> Result<(), ApiError> {
    let now = state.clock.now();
    let at = at.unwrap_or(now);
    if at < now {
        return Err(ApiError::unprocessable("bad_period", "a grant cannot have ended in the past"));
    }
    let mut tx = state.store.write().await?;
    let grant = tx.grants().find(&actor.tenant, id).await?;
    let grant = grant.ok_or(ApiError::NotFound { kind: "grant" })?;
    if grant.to_at.is_some_and(|to_at| to_at <= at) {
        return Err(ApiError::Conflict { what: "the grant ends earlier" });
    }
    tx.grants().end(&actor.tenant, id, at.max(grant.from_at)).await?;
    note(state, &mut tx, actor, "grant.end", format!("grant:{id}"), format!("at {at}")).await?;
    tx.commit().await?;
    state.pokes.recheck_user(&actor.tenant, grant.user);
    Ok(())
}

/// Lists the grants of a user or of a bucket, ended and future ones too.
pub async fn list(
    state: &AppState,
    actor: &Actor,
    user: Option<UserId>,
    bucket: Option<&Bucket>,
) -> Result<Vec<Grant>, ApiError> {
    let mut tx = state.store.read().await?;
    match (user, bucket) {
        (Some(user), None) => Ok(tx.grants().of_users(&actor.tenant, &[user]).await?),
        (None, Some(bucket)) => Ok(tx.grants().of_bucket(&actor.tenant, bucket).await?),
        _ => Err(ApiError::bad_parameter("user", "name either a user or a bucket")),
    }
}
