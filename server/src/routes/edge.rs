//! What happens to every request, whatever its route: an id, a log line, the headers.

use crate::media::tus;
use crate::problem::Failure;
use crate::state::AppState;
use crate::telemetry;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
];

/// Names the call, runs it, tells of it.
pub(super) async fn around(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let started = tokio::time::Instant::now();
    let id = state.random.uuid_v7(state.clock.now()).to_string();
    let method = telemetry::method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("call", request.id = %id, method, route);
    let response = next.run(request).instrument(span.clone()).await;
    let elapsed = started.elapsed();
    span.in_scope(|| telemetry::told(method, &route, &response, elapsed));
    let mut response = finished(response, &id);
    if route.starts_with(tus::UPLOADS) {
        response.headers_mut().insert(tus::RESUMABLE, HeaderValue::from_static(tus::VERSION));
    }
    response
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
