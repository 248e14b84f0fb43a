//! Access tokens: a fresh assertion of the device's key gives five minutes.

use super::access::{self, Bearer, Scope};
use super::assertion;
use super::device_key::DeviceKey;
use super::jws::Refused;
use crate::problem::ApiError;
use crate::state::AppState;
use crate::telemetry;
use storage::{AuditEntry, Device, DeviceState, StorageError, Tx};
use sync_protocol::id::{DeviceId, Tenant};

/// Gives an access token for an assertion.
pub async fn exchange(state: &AppState, text: &str) -> Result<(String, Scope), ApiError> {
    let claimed = assertion::claimed_device(text).map_err(refused)?;
    let (tenant, device) = find_device(state, claimed).await?.ok_or(ApiError::Unauthorised)?;
    let key = DeviceKey::stored(&device.public_key).map_err(ApiError::caused)?;
    let own = state.config.audience.0.as_str();
    let audiences = [own, state.config.origin().unwrap_or(own)];
    let assertion = assertion::verify(text, device.id, &key, &audiences).map_err(refused)?;

    let now = state.clock.now();
    let fresh = state.nonces.fresh(&assertion.nonce, now).ok_or_else(|| refused(Refused::Nonce))?;
    let mut tx = state.store.write().await?;
    match tx.nonces().issue(&fresh.hash, fresh.expires_at).await {
        Err(StorageError::AlreadyStored(_)) => return Err(refused(Refused::Nonce)),
        noted => noted?,
    }
    let device = tx.devices().find(&tenant, device.id).await?.ok_or(ApiError::Unauthorised)?;
    if device.state == DeviceState::Stolen {
        alarm(state, tx, &tenant, &device).await?;
        return Err(ApiError::DeviceStolen);
    }
    let user = tx.users().find(&tenant, device.user).await?.ok_or(ApiError::Unauthorised)?;
    tx.commit().await?;
    let active = device.state == DeviceState::Active && user.active;
    let scope = if active { Scope::Full } else { Scope::Deposit };
    let bearer = Bearer { tenant, user: user.id, device: device.id, scope };
    let jti = state.random.uuid_v7(now);
    let token = access::sign(&state.keys.now(), &state.names, bearer, jti, now)
        .map_err(ApiError::caused)?;
    Ok((token, scope))
}

fn refused(why: Refused) -> ApiError {
    tracing::debug!(%why, "an assertion was refused");
    ApiError::Unauthorised
}

/// Looks for a device in every tenant: the assertion does not say which.
async fn find_device(state: &AppState, id: DeviceId) -> Result<Option<(Tenant, Device)>, ApiError> {
    let mut tx = state.store.read().await?;
    for tenant in tx.tenants().list().await? {
        if let Some(device) = tx.devices().find(&tenant.id, id).await? {
            return Ok(Some((tenant.id, device)));
        }
    }
    Ok(None)
}

/// Notes that a stolen device proved its key: it is on and online.
async fn alarm(
    state: &AppState,
    mut tx: Tx,
    tenant: &Tenant,
    device: &Device,
) -> Result<(), ApiError> {
    let now = state.clock.now();
    let entry = AuditEntry {
        id: state.random.uuid_v7(now),
        at: now,
        actor: None,
        device: Some(device.id),
        action: "device.stolen_called".to_owned(),
        object: format!("device:{}", device.id),
        detail: String::new(),
    };
    tx.audit().append(tenant, &[entry]).await?;
    tx.commit().await?;
    telemetry::stolen_device_calls(device.id);
    Ok(())
}
