//! Enrolment: a single-use code binds a device key to a user.

use super::device_key::DeviceKey;
use super::secret_hash;
use crate::problem::ApiError;
use crate::random::{normal_code, shown_code};
use crate::state::AppState;
use storage::{AuditEntry, Device, DeviceState, EnrolmentCode, Hash, TenantRow, Tx, User};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{DeviceId, Tenant, UserId};

/// How long a code is good: ten minutes.
pub const CODE_LIFETIME_MS: i64 = 10 * 60 * 1_000;
/// Failed attempts that a code outlives.
pub const ATTEMPTS_MAX: i64 = 5;
/// The longest name of a device, in characters.
pub const NAME_CHARS_MAX: usize = 80;

/// What was enrolled.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// The new device.
    pub device: Device,
    /// Its user.
    pub user: User,
    /// Its tenant.
    pub tenant: TenantRow,
}

fn code_hash(tenant: &Tenant, code: &str) -> Hash {
    secret_hash("enrolment-code", &format!("{tenant}\n{code}"))
}

/// Makes a code for `user` and gives it as people see it; it is stored only as a hash.
pub async fn make_code(
    state: &AppState,
    tx: &mut Tx,
    tenant: &Tenant,
    user: UserId,
    created_by: UserId,
) -> Result<(String, UnixMillis), ApiError> {
    let now = state.clock.now();
    let code = state.random.code();
    let expires_at = now.plus(CODE_LIFETIME_MS);
    let stored = EnrolmentCode {
        tenant: tenant.clone(),
        hash: code_hash(tenant, &code),
        user,
        created_by,
        created_at: now,
        expires_at,
        used_at: None,
        used_by_device: None,
        attempts: 0,
    };
    tx.codes().insert(&stored).await?;
    Ok((shown_code(&code), expires_at))
}

/// Enrols a device. Every reason why a code does not hold has the same answer.
pub async fn enrol(
    state: &AppState,
    tenant: &Tenant,
    code: &str,
    key: Result<DeviceKey, ApiError>,
    name: &str,
) -> Result<Enrolled, ApiError> {
    let now = state.clock.now();
    let hash = code_hash(tenant, &normal_code(code).ok_or(ApiError::Unauthorised)?);
    // Look before the writer is taken: whoever guesses codes keeps nobody from writing.
    if state.store.read().await?.codes().find(&hash).await?.is_none() {
        return Err(ApiError::Unauthorised);
    }
    let mut tx = state.store.write().await?;
    let found = tx.codes().find(&hash).await?;
    let good = |code: &EnrolmentCode| {
        code.tenant == *tenant && now < code.expires_at && code.attempts < ATTEMPTS_MAX
    };
    let code = found.filter(good).ok_or(ApiError::Unauthorised)?;
    let key = match key {
        Ok(key) => key,
        Err(refused) if code.used_at.is_none() => {
            tx.codes().failed(&hash).await?;
            tx.commit().await?;
            return Err(refused);
        }
        Err(_) => return Err(ApiError::Unauthorised),
    };
    let user = tx.users().find(tenant, code.user).await?.filter(|user| user.active);
    let user = user.ok_or(ApiError::Unauthorised)?;
    let row = tx.tenants().find(tenant).await?.ok_or(ApiError::Unauthorised)?;
    if let Some(id) = code.used_by_device {
        // The answer was lost: the same key asks again and is the same device.
        let device = tx.devices().find(tenant, id).await?;
        let device = device.filter(|device| device.thumbprint == key.thumbprint());
        let device = device.ok_or(ApiError::Unauthorised)?;
        return Ok(Enrolled { device, user, tenant: row });
    }
    let device = Device {
        id: DeviceId(state.random.uuid_v7(now)),
        user: user.id,
        name: name.to_owned(),
        public_key: key.canonical().to_owned(),
        thumbprint: key.thumbprint(),
        enrolled_at: now,
        state: DeviceState::Active,
        state_at: now,
        last_seen_at: None,
        last_seq: None,
    };
    tx.devices().insert(tenant, &device).await?;
    if !tx.codes().take(&hash, device.id, now).await? {
        return Err(ApiError::Unauthorised);
    }
    let entry = AuditEntry {
        id: state.random.uuid_v7(now),
        at: now,
        actor: Some(user.id),
        device: Some(device.id),
        action: "device.enrol".to_owned(),
        object: format!("device:{}", device.id),
        detail: format!("key {}", device.thumbprint),
    };
    tx.audit().append(tenant, &[entry]).await?;
    tx.commit().await?;
    Ok(Enrolled { device, user, tenant: row })
}
