//! The API on one screen: every route with who may call it.

mod admin;
mod bundles;
mod commands;
mod devices;
mod edge;
mod health;
mod inboxes;
mod live;
mod made;
mod media;
mod openapi;
mod records;
mod registry;
mod sessions;
mod sync;
mod uploads;

pub use openapi::document;
pub use registry::{Described, QueryParameter, Route};

use crate::problem::ApiError;
use crate::state::AppState;
use axum::Router;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse as _;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};

/// Answers of at least this many bytes are compressed.
const COMPRESS_BYTES_MIN: u64 = 256;

/// Every route of the server.
pub fn all() -> Vec<Route> {
    [
        health::routes(),
        devices::routes(),
        sessions::routes(),
        sync::routes(),
        bundles::routes(),
        records::routes(),
        commands::routes(),
        inboxes::routes(),
        media::routes(),
        uploads::routes(),
        live::routes(),
        admin::routes(),
        openapi::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The whole service.
pub fn router(state: &AppState) -> Router {
    router_of(state, all())
}

/// A service of these routes only, with all that every route has around it.
pub fn router_of(state: &AppState, routes: Vec<Route>) -> Router {
    let routes = routes.into_iter().fold(Router::new(), |router, route| {
        let path = route.path;
        router.route(path, route.service(state))
    });
    routes
        .fallback(|| async { ApiError::NotFound { kind: "address" } })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(
            CompressionLayer::new().compress_when(SizeAbove::new(COMPRESS_BYTES_MIN).and(is_json)),
        )
        .layer(CatchPanicLayer::custom(|_| ApiError::internal("a guard panicked").into_response()))
        .layer(from_fn_with_state(state.clone(), edge::around))
        .with_state(state.clone())
}

/// Whether an answer is JSON: photos and video are never compressed, and what they are is not guessed from their size.
fn is_json(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| {
        kind.starts_with(b"application/json") || kind.starts_with(b"application/problem+json")
    })
}
