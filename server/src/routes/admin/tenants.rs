//! `/v1/admin/tenants`, `/v1/admin/backups` and `/v1/admin/audit`.

use crate::admin::tenants;
use crate::auth::admit::Access;
use crate::extract::{AdminCaller, Json, Parameters};
use crate::problem::ApiError;
use crate::routes::Route;
use crate::state::AppState;
use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use storage::AuditEntry;
use sync_protocol::clock::{Instant, UnixMillis};
use sync_protocol::id::{DeviceId, EpochId, Seq, Tenant, UserId};
use utoipa::ToSchema;
use uuid::Uuid;

/// Entries of the trail in one answer, at most.
const PAGE_MAX: u32 = 200;

pub(super) fn routes() -> Vec<Route> {
    const PAGE: &[(&str, &str)] =
        &[("before", "the `next` of the page before"), ("limit", "1 to 200, 100 if left out")];
    vec![
        Route::get("/v1/admin/tenants", Access::Admin, "Shows the tenant.", list)
            .answers::<TenantList>(200),
        Route::post("/v1/admin/backups", Access::Admin, "Notes what a backup holds.", backup)
            .takes::<BackupRequest>()
            .empty(204),
        Route::get("/v1/admin/audit", Access::Admin, "Lists the trail, newest first.", audit)
            .query(PAGE)
            .answers::<AuditPage>(200),
    ]
}

/// The tenants of the caller: one.
#[derive(Debug, Serialize, ToSchema)]
struct TenantList {
    tenants: Vec<TenantBody>,
}

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
struct TenantBody {
    #[schema(value_type = String)]
    id: Tenant,
    name_ja: String,
    name_en: String,
    time_zone: String,
    /// The end of its journal.
    #[schema(value_type = i64)]
    seq: Seq,
    #[schema(value_type = String)]
    epoch: EpochId,
    /// What the last reported backup holds.
    #[schema(value_type = Option<i64>)]
    backup_seq: Option<Seq>,
}

async fn list(
    State(state): State<AppState>,
    caller: AdminCaller,
) -> Result<Answer<TenantList>, ApiError> {
    let mut tx = state.store.read().await?;
    let row = tx.tenants().find(&caller.tenant).await?;
    let row = row.ok_or(ApiError::NotFound { kind: "tenant" })?;
    let head = tx.head().read(&caller.tenant).await?;
    let tenant = TenantBody {
        id: row.id,
        name_ja: row.name_ja,
        name_en: row.name_en,
        time_zone: row.time_zone,
        seq: head.seq,
        epoch: head.epoch,
        backup_seq: head.backup_seq,
    };
    Ok(Answer(TenantList { tenants: vec![tenant] }))
}

/// A backup.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BackupRequest {
    /// It holds everything up to this seq.
    #[schema(value_type = i64)]
    seq: Seq,
}

async fn backup(
    State(state): State<AppState>,
    caller: AdminCaller,
    Json(body): Json<BackupRequest>,
) -> Result<StatusCode, ApiError> {
    tenants::backup_done(&state, &caller.into(), body.seq).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One entry of the trail.
#[derive(Debug, Serialize, ToSchema)]
struct AuditBody {
    #[schema(value_type = String)]
    id: Uuid,
    #[schema(value_type = String)]
    at: Instant,
    #[schema(value_type = Option<String>)]
    actor: Option<UserId>,
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    action: String,
    object: String,
    detail: String,
}

impl From<AuditEntry> for AuditBody {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, at, actor, device, action, object, detail } = entry;
        Self { id, at: Instant(at), actor, device, action, object, detail }
    }
}

/// A page of the trail.
#[derive(Debug, Serialize, ToSchema)]
struct AuditPage {
    entries: Vec<AuditBody>,
    /// Names the page after this one; null at the end.
    next: Option<String>,
}

/// Which page.
#[derive(Debug, Deserialize)]
struct Page {
    before: Option<String>,
    limit: Option<u32>,
}

async fn audit(
    State(state): State<AppState>,
    caller: AdminCaller,
    Parameters(page): Parameters<Page>,
) -> Result<Answer<AuditPage>, ApiError> {
    let limit = page.limit.unwrap_or(PAGE_MAX / 2);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(ApiError::bad_parameter("limit", "1 to 200"));
    }
    let before = page.before.as_deref().map(read_place).transpose()?;
    let mut tx = state.store.read().await?;
    let entries = tx.audit().list(&caller.tenant, before, limit).await?;
    let full = u32::try_from(entries.len()).is_ok_and(|len| len == limit);
    let last = entries.last().filter(|_| full);
    let next = last.map(|entry| format!("{}.{}", entry.at.0, entry.id));
    Ok(Answer(AuditPage { entries: entries.into_iter().map(AuditBody::from).collect(), next }))
}

fn read_place(text: &str) -> Result<(UnixMillis, Uuid), ApiError> {
    let (at, id) = text.split_once('.').unwrap_or_default();
    match (at.parse(), id.parse()) {
        (Ok(at), Ok(id)) => Ok((UnixMillis(at), id)),
        _ => Err(ApiError::bad_parameter("before", "take it from `next`")),
    }
}
