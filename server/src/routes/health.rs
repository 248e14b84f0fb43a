//! Whether the server lives and takes work.

use super::Route;
use crate::auth::admit::Access;
use crate::bulkhead::Gate;
use crate::problem::ApiError;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

pub(super) fn routes() -> Vec<Route> {
    const WHY: Access = Access::Open("a supervisor of processes has no credentials");
    vec![
        Route::get("/healthz", WHY, "Says that the process lives.", lives)
            .gate(Gate::Free)
            .answers::<Health>(200),
        Route::get("/readyz", WHY, "Says whether the server takes work.", ready)
            .gate(Gate::Free)
            .answers::<Health>(200),
    ]
}

/// A state in one word.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `ok`
    status: &'static str,
}

async fn lives() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The database answers, its migrations are done (or it would not be open) and nobody said stop.
async fn ready(State(state): State<AppState>) -> Result<Json<Health>, ApiError> {
    if !state.is_ready() {
        return Err(ApiError::NotReady);
    }
    let mut tx = state.store.read().await.map_err(|_| ApiError::NotReady)?;
    tx.tenants().list().await.map_err(|_| ApiError::NotReady)?;
    Ok(Json(Health { status: "ok" }))
}
