//! Devices: codes to enrol them, revoked when retired, reported when stolen.

use super::{Actor, note, users};
use crate::auth::enrol;
use crate::problem::ApiError;
use crate::state::AppState;
use storage::DeviceState;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{DeviceId, UserId};

/// The word of a state, as it travels.
pub const fn state_word(state: DeviceState) -> &'static str {
    match state {
        DeviceState::Active => "active",
        DeviceState::Revoked => "revoked",
        DeviceState::Stolen => "stolen",
    }
}

/// Makes a one-time code for a user; it is told once.
pub async fn code(
    state: &AppState,
    actor: &Actor,
    user: UserId,
) -> Result<(String, UnixMillis), ApiError> {
    let mut tx = state.store.write().await?;
    if !users::found(&mut tx, &actor.tenant, user).await?.active {
        return Err(ApiError::unprocessable("inactive_user", "the user does not work here"));
    }
    let made = enrol::make_code(state, &mut tx, &actor.tenant, user, actor.id()).await?;
    note(state, &mut tx, actor, "code.create", users::object(user), String::new()).await?;
    tx.commit().await?;
    Ok(made)
}

/// Sets a device aside: `Revoked` when it is retired, `Stolen` when it may be in foreign hands. There is no way back:
/// a device that returns enrols anew.
pub async fn set_aside(
    state: &AppState,
    actor: &Actor,
    id: DeviceId,
    next: DeviceState,
) -> Result<(), ApiError> {
    let action = match next {
        DeviceState::Revoked => "device.revoke",
        DeviceState::Stolen => "device.stolen",
        DeviceState::Active => {
            return Err(ApiError::Conflict { what: "a device that returns enrols anew" });
        }
    };
    let now = state.clock.now();
    let mut tx = state.store.write().await?;
    let device = tx.devices().find(&actor.tenant, id).await?;
    let device = device.ok_or(ApiError::NotFound { kind: "device" })?;
    if device.state == next {
        return Ok(());
    }
    if device.state == DeviceState::Stolen {
        return Err(ApiError::Conflict { what: "the device was reported stolen" });
    }
    tx.devices().set_state(&actor.tenant, id, next, now).await?;
    note(state, &mut tx, actor, action, format!("device:{id}"), String::new()).await?;
    tx.commit().await?;
    state.pokes.recheck_device(&actor.tenant, id);
    Ok(())
}
