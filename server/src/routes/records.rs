//! `/v1/records`: lists, one record with provenance, its history, and an edit from a browser.

use super::made::Made;
use crate::auth::admit::Access;
use crate::extract::{Json, Parameters, Person, Segment, page_rows, word};
use crate::problem::ApiError;
use crate::routes::Route;
use crate::state::AppState;
use crate::sync::{Command, reading};
use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::ListFilter;
use sync_protocol::id::{Bucket, ChangeId, RecordId, RecordType, Seq};
use utoipa::ToSchema;

pub(super) fn routes() -> Vec<Route> {
    const LIST: &[(&str, &str)] = &[
        ("type", "only this kind"),
        ("bucket", "only what lies in this bucket"),
        ("about", "only what is about this record"),
        ("state", "only this state"),
        (
            "flag",
            "only with this flag: conflict, also, late, left_scope, sealed, deleted, delete_conflict, clock_suspect",
        ),
        ("since", "only what changed after this revision"),
        ("limit", "rows of the page, 1 to 200; 50 unless given"),
        ("after", "the `next` of the page before"),
    ];
    const PAGES: &[(&str, &str)] = &[
        ("after", "only changes after this seq"),
        ("limit", "changes of the page, 1 to 200; 50 unless given"),
    ];
    let one = "/v1/records/{id}";
    vec![
        Route::get(
            "/v1/records",
            Access::Person,
            "Lists records, the newest revision first.",
            list,
        )
        .query(LIST)
        .answers::<RecordList>(200),
        Route::get(
            one,
            Access::Person,
            "Shows one record: what each place says, who wrote it and when.",
            show,
        )
        .empty(200),
        Route::get(
            "/v1/records/{id}/history",
            Access::Person,
            "Lists every change of a record, oldest first.",
            history,
        )
        .query(PAGES)
        .empty(200),
        Route::post(
            "/v1/records/{id}/changes",
            Access::Person,
            "Edits a record, or begins one.",
            change,
        )
        .takes::<Edit>()
        .answers::<Made>(200),
    ]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(rename = "type")]
    kind: Option<RecordType>,
    bucket: Option<Bucket>,
    about: Option<RecordId>,
    state: Option<String>,
    flag: Option<String>,
    since: Option<Seq>,
    limit: Option<u32>,
    after: Option<Seq>,
}

/// A page of records.
#[derive(Debug, Serialize, ToSchema)]
struct RecordList {
    #[schema(value_type = Vec<Object>)]
    records: Vec<reading::Listed>,
    /// Give it as `after` for the next page; absent on the last.
    #[schema(value_type = Option<i64>)]
    next: Option<Seq>,
}

async fn list(
    caller: Person,
    State(state): State<AppState>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Answer<RecordList>, ApiError> {
    let limit = page_rows(query.limit)?;
    let filter = ListFilter {
        type_: query.kind,
        buckets: query.bucket.into_iter().collect(),
        about: query.about,
        status: word("state", query.state)?,
        flag: word("flag", query.flag)?,
        since: query.since,
        before_rv: query.after,
        limit,
    };
    let (records, next) = reading::list(&state, &caller.tenant, caller.user, filter).await?;
    Ok(Answer(RecordList { records, next }))
}

async fn show(
    caller: Person,
    State(state): State<AppState>,
    Segment(rec): Segment<RecordId>,
) -> Result<Answer<Value>, ApiError> {
    Ok(Answer(reading::show(&state, &caller.tenant, caller.user, rec).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    after: Option<Seq>,
    limit: Option<u32>,
}

async fn history(
    caller: Person,
    State(state): State<AppState>,
    Segment(rec): Segment<RecordId>,
    Parameters(query): Parameters<HistoryQuery>,
) -> Result<Answer<reading::History>, ApiError> {
    let limit = page_rows(query.limit)?;
    let after = query.after.unwrap_or_default();
    Ok(Answer(reading::history(&state, &caller.tenant, caller.user, rec, after, limit).await?))
}

/// An edit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// Made by the client (UUIDv7): the same edit sent twice is one edit.
    #[schema(value_type = String)]
    id: ChangeId,
    /// The kind; needed for a new record only.
    #[serde(rename = "type")]
    #[schema(value_type = Option<String>)]
    kind: Option<RecordType>,
    /// The ops, with `x` as shown by GET.
    #[schema(value_type = Vec<Object>)]
    ops: Value,
    /// The revision that the person saw.
    #[schema(value_type = Option<i64>)]
    seen_rv: Option<Seq>,
}

async fn change(
    caller: Person,
    State(state): State<AppState>,
    Segment(rec): Segment<RecordId>,
    Json(edit): Json<Edit>,
) -> Result<Answer<Made>, ApiError> {
    let Edit { id, kind, ops, seen_rv } = edit;
    let command = Command::Edit { user: caller.user, rec, id, kind, ops, seen_rv };
    Ok(Answer(state.sync.command(&caller.tenant, command).await?.into()))
}
