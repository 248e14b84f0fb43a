//! What happens to every request, whatever its route: an id, a task of its own, a log line, the headers.

use crate::problem::{ApiError, Failure};
use crate::state::AppState;
use crate::telemetry;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::time::Duration;
use tracing::Instrument as _;

/// How long a call may take. Its work goes on to its end even when the answer was given up.
const CALL_MAX: Duration = Duration::from_secs(30);
/// What a call that took too long is told to wait, in milliseconds.
const SLOW_RETRY_MS: u64 = 5_000;

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
];

/// Runs the call in a task of its own: when the client leaves, a transaction is not cut in the middle, and a panic
/// ends one call only.
pub(super) async fn around(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let started = tokio::time::Instant::now();
    let id = state.random.uuid_v7(state.clock.now()).to_string();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("call", request.id = %id, %method, route);

    let task = tokio::spawn(next.run(request).instrument(span.clone()));
    let response = match tokio::time::timeout(CALL_MAX, task).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => ApiError::internal("a handler panicked").into_response(),
        Err(_) => ApiError::Overloaded { retry_after_ms: SLOW_RETRY_MS }.into_response(),
    };

    let elapsed = started.elapsed();
    span.in_scope(|| telemetry::told(&method, &route, &response, elapsed));
    finished(response, &id)
}

fn finished(mut response: Response, id: &str) -> Response {
    response.extensions_mut().remove::<Failure>();
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
    }
    response
}
