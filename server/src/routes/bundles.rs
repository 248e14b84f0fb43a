//! `GET /v1/bundles/{hash}`: the current forms, named by their hash.

use crate::auth::admit::Access;
use crate::extract::{Person, Segment};
use crate::problem::ApiError;
use crate::routes::Route;
use crate::state::AppState;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

pub(super) fn routes() -> Vec<Route> {
    const SUMMARY: &str = "Gives the list of current forms that an answer named by its hash.";
    vec![Route::get("/v1/bundles/{hash}", Access::Person, SUMMARY, show).empty(200)]
}

async fn show(
    caller: Person,
    State(state): State<AppState>,
    Segment(hash): Segment<String>,
) -> Result<impl IntoResponse, ApiError> {
    let now = state.clock.now();
    let library = &state.sync.library;
    let mut book = library.book(&state.store, &caller.tenant, now).await?;
    if book.bundle != hash {
        book = library.reload(&state.store, &caller.tenant, now).await?;
    }
    if book.bundle != hash {
        return Err(ApiError::NotFound { kind: "bundle" });
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], book.bundle_json.clone()))
}
