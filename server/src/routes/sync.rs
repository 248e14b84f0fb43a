//! `POST /v1/sync`: the one call by which tablets push and pull.

use crate::auth::admit::Access;
use crate::bulkhead::Gate;
use crate::extract::{TabletCaller, Text};
use crate::problem::ApiError;
use crate::routes::Route;
use crate::state::AppState;
use crate::sync;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

pub(super) fn routes() -> Vec<Route> {
    const SUMMARY: &str = "Takes in what a tablet recorded and gives it what its user may hold.";
    vec![
        Route::post("/v1/sync", Access::Deposit, SUMMARY, create)
            .gate(Gate::Sync)
            .sync_body()
            .empty(200),
    ]
}

async fn create(
    caller: TabletCaller,
    State(state): State<AppState>,
    Text(text): Text,
) -> Result<impl IntoResponse, ApiError> {
    let answer = sync::sync(&state, &caller, &text).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answer))
}
