//! `/v1/conflicts` and `/v1/quarantine`: what waits for a person.

use super::made::Made;
use crate::auth::admit::Access;
use crate::extract::{Json, Parameters, Person, Segment, page_rows, reason};
use crate::problem::ApiError;
use crate::routes::Route;
use crate::state::AppState;
use crate::sync::{Command, reading};
use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use sync_protocol::id::{QuarantineId, Seq};
use utoipa::ToSchema;

pub(super) fn routes() -> Vec<Route> {
    const PAGES: &[(&str, &str)] = &[
        ("limit", "rows of the page, 1 to 200; 50 unless given"),
        ("after", "the `next` of the page before"),
    ];
    const STATES: &[(&str, &str)] = &[
        ("state", "open, released or closed; open unless given"),
        ("limit", "rows of the page, 1 to 200; 50 unless given"),
        ("after", "the `next` of the page before"),
    ];
    let person = Access::Person;
    vec![
        Route::get(
            "/v1/conflicts",
            person,
            "Lists the records in which a person must decide something.",
            conflicts,
        )
        .query(PAGES)
        .empty(200),
        Route::get(
            "/v1/quarantine",
            person,
            "Lists changes that were stored and not applied.",
            quarantine,
        )
        .query(STATES)
        .empty(200),
        Route::post(
            "/v1/quarantine/{id}/release",
            person,
            "Applies a quarantined change after all.",
            release,
        )
        .takes::<Remark>()
        .answers::<Made>(200),
        Route::post(
            "/v1/quarantine/{id}/close",
            person,
            "Closes a quarantined change without applying it.",
            close,
        )
        .takes::<Closing>()
        .answers::<Made>(200),
    ]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pages {
    limit: Option<u32>,
    after: Option<Seq>,
}

async fn conflicts(
    caller: Person,
    State(state): State<AppState>,
    Parameters(query): Parameters<Pages>,
) -> Result<Answer<Value>, ApiError> {
    let limit = page_rows(query.limit)?;
    Ok(Answer(reading::conflicts(&state, &caller.tenant, caller.user, query.after, limit).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuarantineQuery {
    state: Option<String>,
    limit: Option<u32>,
    after: Option<Seq>,
}

async fn quarantine(
    caller: Person,
    State(state): State<AppState>,
    Parameters(query): Parameters<QuarantineQuery>,
) -> Result<Answer<Value>, ApiError> {
    let limit = page_rows(query.limit)?;
    let wanted = query.state.as_deref().unwrap_or("open");
    Ok(Answer(
        reading::quarantine(&state, &caller.tenant, caller.user, wanted, query.after, limit)
            .await?,
    ))
}

/// A remark, if there is one to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Remark {
    /// Kept with the change.
    why: Option<String>,
}

async fn release(
    caller: Person,
    State(state): State<AppState>,
    Segment(q): Segment<QuarantineId>,
    Json(body): Json<Remark>,
) -> Result<Answer<Made>, ApiError> {
    let why = body.why.map(reason).transpose()?;
    let command = Command::Release { user: caller.user, q, why };
    Ok(Answer(state.sync.command(&caller.tenant, command).await?.into()))
}

/// Why a change is closed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Closing {
    /// The reason; it is kept.
    why: String,
}

async fn close(
    caller: Person,
    State(state): State<AppState>,
    Segment(q): Segment<QuarantineId>,
    Json(body): Json<Closing>,
) -> Result<Answer<Made>, ApiError> {
    let command = Command::Close { user: caller.user, q, why: reason(body.why)? };
    Ok(Answer(state.sync.command(&caller.tenant, command).await?.into()))
}
