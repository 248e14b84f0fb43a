//! `/v1/admin/grants`.

use crate::admin::grants::{self, NewGrant};
use crate::auth::admit::Access;
use crate::extract::{AdminCaller, Json, Parameters, Segment};
use crate::problem::ApiError;
use crate::routes::Route;
use crate::state::AppState;
use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use storage::Grant;
use sync_protocol::clock::Instant;
use sync_protocol::form::Role;
use sync_protocol::id::{Bucket, UserId};
use utoipa::ToSchema;
use uuid::Uuid;

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/v1/admin/grants";
    const END: &str = "/v1/admin/grants/{id}/end";
    const BY: &[(&str, &str)] =
        &[("user", "the grants of this user"), ("bucket", "or those on this bucket")];
    vec![
        Route::get(ALL, Access::Admin, "Lists the grants of a user or on a bucket.", list)
            .query(BY)
            .answers::<GrantList>(200),
        Route::post(ALL, Access::Admin, "Gives a user a bucket in a role for a time.", create)
            .takes::<GrantRequest>()
            .answers::<GrantBody>(201),
        Route::post(END, Access::Admin, "Ends a grant.", end).takes::<EndRequest>().empty(204),
    ]
}

/// A grant.
#[derive(Debug, Serialize, ToSchema)]
struct GrantBody {
    #[schema(value_type = String)]
    id: Uuid,
    #[schema(value_type = String)]
    user: UserId,
    #[schema(value_type = String)]
    bucket: Bucket,
    role: String,
    #[schema(value_type = String)]
    from: Instant,
    #[schema(value_type = Option<String>)]
    to: Option<Instant>,
    hold: bool,
    #[schema(value_type = String)]
    granted_by: UserId,
    #[schema(value_type = String)]
    granted_at: Instant,
}

impl From<Grant> for GrantBody {
    fn from(grant: Grant) -> Self {
        Self {
            id: grant.id,
            user: grant.user,
            bucket: grant.bucket,
            role: grant.role,
            from: Instant(grant.from_at),
            to: grant.to_at.map(Instant),
            hold: grant.hold,
            granted_by: grant.granted_by,
            granted_at: Instant(grant.granted_at),
        }
    }
}

/// Grants, ended and future ones too.
#[derive(Debug, Serialize, ToSchema)]
struct GrantList {
    grants: Vec<GrantBody>,
}

/// A new grant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GrantRequest {
    /// Made by the client (UUIDv7): the same grant sent twice is one.
    #[schema(value_type = Option<String>)]
    id: Option<Uuid>,
    #[schema(value_type = String)]
    user: UserId,
    #[schema(value_type = String)]
    bucket: Bucket,
    /// inspector, caseworker, supervisor, adviser, approver, auditor or reader
    #[schema(value_type = String)]
    role: Role,
    /// From when; now, if left out.
    #[schema(value_type = Option<String>)]
    from: Option<Instant>,
    /// Until when; open, if left out.
    #[schema(value_type = Option<String>)]
    to: Option<Instant>,
    /// `false`: read online, never on a tablet.
    #[serde(default = "yes")]
    hold: bool,
}

fn yes() -> bool {
    true
}

/// When a grant ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndRequest {
    /// Now, if left out.
    #[schema(value_type = Option<String>)]
    at: Option<Instant>,
}

/// Which grants to list.
#[derive(Debug, Deserialize)]
struct By {
    user: Option<UserId>,
    bucket: Option<Bucket>,
}

async fn list(
    State(state): State<AppState>,
    caller: AdminCaller,
    Parameters(By { user, bucket }): Parameters<By>,
) -> Result<Answer<GrantList>, ApiError> {
    let grants = grants::list(&state, &caller.into(), user, bucket.as_ref()).await?;
    Ok(Answer(GrantList { grants: grants.into_iter().map(GrantBody::from).collect() }))
}

async fn create(
    State(state): State<AppState>,
    caller: AdminCaller,
    Json(body): Json<GrantRequest>,
) -> Result<(StatusCode, Answer<GrantBody>), ApiError> {
    let GrantRequest { id, user, bucket, role, from, to, hold } = body;
    let id = id.unwrap_or_else(|| state.random.uuid_v7(state.clock.now()));
    let (from_at, to_at) = (from.map(|at| at.0), to.map(|at| at.0));
    let new = NewGrant { user, bucket, role, from_at, to_at, hold };
    let grant = grants::create_as(&state, &caller.into(), id, new).await?;
    Ok((StatusCode::CREATED, Answer(grant.into())))
}

async fn end(
    State(state): State<AppState>,
    caller: AdminCaller,
    Segment(id): Segment<Uuid>,
    Json(body): Json<EndRequest>,
) -> Result<StatusCode, ApiError> {
    grants::end(&state, &caller.into(), id, body.at.map(|at| at.0)).await?;
    Ok(StatusCode::NO_CONTENT)
}
