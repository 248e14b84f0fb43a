//! `/v1/admin/devices` and `/v1/admin/codes`.

use crate::admin::devices::{self, state_word};
use crate::auth::admit::Access;
use crate::extract::{AdminCaller, Json, Parameters, Segment};
use crate::problem::ApiError;
use crate::routes::Route;
use crate::state::AppState;
use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use storage::{Device, DeviceState};
use sync_protocol::clock::Instant;
use sync_protocol::id::{DeviceId, Seq, UserId};
use utoipa::ToSchema;

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/v1/admin/devices";
    const REVOKE: &str = "/v1/admin/devices/{id}/revoke";
    const STOLEN: &str = "/v1/admin/devices/{id}/stolen";
    const CODES: &str = "/v1/admin/codes";
    const OF: &[(&str, &str)] = &[("user", "only the devices of this user")];
    vec![
        Route::get(ALL, Access::Admin, "Lists the devices, oldest first.", list)
            .query(OF)
            .answers::<DeviceList>(200),
        Route::post(REVOKE, Access::Admin, "Retires a device.", revoke).empty(204),
        Route::post(STOLEN, Access::Admin, "Reports a device stolen.", stolen).empty(204),
        Route::post(CODES, Access::Admin, "Makes a code that enrols a tablet.", code)
            .takes::<CodeRequest>()
            .answers::<CodeBody>(201),
    ]
}

/// A device.
#[derive(Debug, Serialize, ToSchema)]
struct DeviceBody {
    #[schema(value_type = String)]
    id: DeviceId,
    #[schema(value_type = String)]
    user: UserId,
    name: String,
    thumbprint: String,
    #[schema(value_type = String)]
    enrolled_at: Instant,
    /// `active`, `revoked` or `stolen`
    state: &'static str,
    #[schema(value_type = String)]
    state_at: Instant,
    #[schema(value_type = Option<String>)]
    last_seen_at: Option<Instant>,
    /// The head that it last was told.
    #[schema(value_type = Option<i64>)]
    last_seq: Option<Seq>,
}

impl From<Device> for DeviceBody {
    fn from(device: Device) -> Self {
        Self {
            id: device.id,
            user: device.user,
            name: device.name,
            thumbprint: device.thumbprint,
            enrolled_at: Instant(device.enrolled_at),
            state: state_word(device.state),
            state_at: Instant(device.state_at),
            last_seen_at: device.last_seen_at.map(Instant),
            last_seq: device.last_seq,
        }
    }
}

/// Devices.
#[derive(Debug, Serialize, ToSchema)]
struct DeviceList {
    devices: Vec<DeviceBody>,
}

/// For whom a code is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CodeRequest {
    #[schema(value_type = String)]
    user: UserId,
}

/// A code, shown once.
#[derive(Serialize, ToSchema)]
struct CodeBody {
    code: String,
    #[schema(value_type = String)]
    expires_at: Instant,
}

/// Whose devices to list.
#[derive(Debug, Deserialize)]
struct Of {
    user: Option<UserId>,
}

async fn list(
    State(state): State<AppState>,
    caller: AdminCaller,
    Parameters(Of { user }): Parameters<Of>,
) -> Result<Answer<DeviceList>, ApiError> {
    let devices = state.store.read().await?.devices().list(&caller.tenant, user).await?;
    Ok(Answer(DeviceList { devices: devices.into_iter().map(DeviceBody::from).collect() }))
}

async fn revoke(
    State(state): State<AppState>,
    caller: AdminCaller,
    Segment(id): Segment<DeviceId>,
) -> Result<StatusCode, ApiError> {
    devices::set_aside(&state, &caller.into(), id, DeviceState::Revoked).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn stolen(
    State(state): State<AppState>,
    caller: AdminCaller,
    Segment(id): Segment<DeviceId>,
) -> Result<StatusCode, ApiError> {
    devices::set_aside(&state, &caller.into(), id, DeviceState::Stolen).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn code(
    State(state): State<AppState>,
    caller: AdminCaller,
    Json(body): Json<CodeRequest>,
) -> Result<(StatusCode, Answer<CodeBody>), ApiError> {
    let (code, expires_at) = devices::code(&state, &caller.into(), body.user).await?;
    let expires_at = Instant(expires_at);
    Ok((StatusCode::CREATED, Answer(CodeBody { code, expires_at })))
}
