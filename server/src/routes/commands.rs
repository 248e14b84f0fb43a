//! Commands on one record: move, state, seal, unseal, and the verdicts on what stands beside a seal.

use super::made::Made;
use crate::auth::admit::Access;
use crate::extract::{Json, Person, Segment, reason};
use crate::problem::ApiError;
use crate::routes::Route;
use crate::state::AppState;
use crate::sync::{Command, command_id};
use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;
use sync_protocol::id::{Bucket, ChangeId, RecordId, Seq};
use utoipa::ToSchema;

pub(super) fn routes() -> Vec<Route> {
    let person = Access::Person;
    vec![
        Route::post(
            "/v1/records/{id}/move",
            person,
            "Moves a record, and all that is about it, to other buckets.",
            relocate,
        )
        .takes::<Move>()
        .answers::<Made>(200),
        Route::post(
            "/v1/records/{id}/status",
            person,
            "Takes a record to another state, along the ways of its form.",
            advance,
        )
        .takes::<Step>()
        .answers::<Made>(200),
        Route::post(
            "/v1/records/{id}/seal",
            person,
            "Seals a record as the approver saw it.",
            seal,
        )
        .takes::<Seal>()
        .answers::<Made>(200),
        Route::post("/v1/records/{id}/unseal", person, "Opens the seal of a record.", unseal)
            .takes::<Reason>()
            .answers::<Made>(200),
        Route::post(
            "/v1/records/{id}/late/{change}/accept",
            person,
            "Lets a change beside the seal join the next one.",
            accept,
        )
        .takes::<Verdict>()
        .answers::<Made>(200),
        Route::post(
            "/v1/records/{id}/late/{change}/aside",
            person,
            "Sets a change beside the seal aside.",
            aside,
        )
        .takes::<Reason>()
        .answers::<Made>(200),
    ]
}

/// Where a record goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Move {
    /// Made by the client (UUIDv7): the same command sent twice is one.
    #[schema(value_type = Option<String>)]
    id: Option<ChangeId>,
    /// The buckets.
    #[schema(value_type = Vec<String>)]
    to: Vec<Bucket>,
}

async fn relocate(
    caller: Person,
    State(state): State<AppState>,
    Segment(rec): Segment<RecordId>,
    Json(body): Json<Move>,
) -> Result<Answer<Made>, ApiError> {
    let id = command_id(&state, body.id);
    let command = Command::Move { user: caller.user, rec, id, to: body.to.into_iter().collect() };
    Ok(Answer(state.sync.command(&caller.tenant, command).await?.into()))
}

/// Where a record goes in its form's order of states.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Made by the client (UUIDv7): the same command sent twice is one.
    #[schema(value_type = Option<String>)]
    id: Option<ChangeId>,
    /// The state.
    to: String,
    /// The reason; some steps ask for one. It is kept.
    why: Option<String>,
    /// The revision that the person saw.
    #[schema(value_type = i64)]
    seen_rv: Seq,
}

async fn advance(
    caller: Person,
    State(state): State<AppState>,
    Segment(rec): Segment<RecordId>,
    Json(body): Json<Step>,
) -> Result<Answer<Made>, ApiError> {
    let Step { id, to, why, seen_rv } = body;
    let (id, why) = (command_id(&state, id), why.map(reason).transpose()?);
    let command = Command::Status { user: caller.user, rec, id, to, why, seen_rv };
    Ok(Answer(state.sync.command(&caller.tenant, command).await?.into()))
}

/// What the approver saw.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Seal {
    /// Made by the client (UUIDv7): the same command sent twice is one.
    #[schema(value_type = Option<String>)]
    id: Option<ChangeId>,
    /// The revision, as GET shows it.
    #[schema(value_type = i64)]
    rv: Seq,
    /// The hash of the view, as GET shows it in `to_seal`.
    view_hash: String,
}

async fn seal(
    caller: Person,
    State(state): State<AppState>,
    Segment(rec): Segment<RecordId>,
    Json(body): Json<Seal>,
) -> Result<Answer<Made>, ApiError> {
    let id = command_id(&state, body.id);
    let command =
        Command::Seal { user: caller.user, rec, id, rv: body.rv, view_hash: body.view_hash };
    Ok(Answer(state.sync.command(&caller.tenant, command).await?.into()))
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// Made by the client (UUIDv7): the same command sent twice is one.
    #[schema(value_type = Option<String>)]
    id: Option<ChangeId>,
    /// The reason; it is kept.
    why: String,
}

async fn unseal(
    caller: Person,
    State(state): State<AppState>,
    Segment(rec): Segment<RecordId>,
    Json(body): Json<Reason>,
) -> Result<Answer<Made>, ApiError> {
    let id = command_id(&state, body.id);
    let command = Command::Unseal { user: caller.user, rec, id, why: reason(body.why)? };
    Ok(Answer(state.sync.command(&caller.tenant, command).await?.into()))
}

/// A verdict without a reason.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Verdict {
    /// Made by the client (UUIDv7): the same command sent twice is one.
    #[schema(value_type = Option<String>)]
    id: Option<ChangeId>,
}

async fn accept(
    caller: Person,
    State(state): State<AppState>,
    path: Segment<(String, String)>,
    Json(body): Json<Verdict>,
) -> Result<Answer<Made>, ApiError> {
    judge(&state, &caller, &path, body.id, None).await
}

async fn aside(
    caller: Person,
    State(state): State<AppState>,
    path: Segment<(String, String)>,
    Json(body): Json<Reason>,
) -> Result<Answer<Made>, ApiError> {
    judge(&state, &caller, &path, body.id, Some(reason(body.why)?)).await
}

async fn judge(
    state: &AppState,
    caller: &Person,
    Segment((rec, change)): &Segment<(String, String)>,
    id: Option<ChangeId>,
    aside: Option<String>,
) -> Result<Answer<Made>, ApiError> {
    let rec: RecordId = rec.parse().map_err(|_| ApiError::NotFound { kind: "record" })?;
    let change: ChangeId =
        change.parse().map_err(|_| ApiError::NotFound { kind: "change beside the seal" })?;
    let command =
        Command::Judge { user: caller.user, rec, id: command_id(state, id), change, aside };
    Ok(Answer(state.sync.command(&caller.tenant, command).await?.into()))
}
