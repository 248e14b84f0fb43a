//! Logs as JSON lines without personal data, and metrics.
//!
//! Only our own crates speak below `warn`: what libraries say at `debug` and `trace` quotes headers and bodies.

use crate::problem::{ApiError, Failure};
use axum::http::Method;
use axum::response::Response;
use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;
use sync_protocol::id::DeviceId;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The variable that sets how much our own crates say: `error`, `warn`, `info`, `debug`, `trace`.
pub const LEVEL_VARIABLE: &str = "GENBA_LOG";

/// The filter for a level: ours at that level, everybody else's at `warn`.
fn filter(level: &str) -> EnvFilter {
    let known = ["off", "error", "warn", "info", "debug", "trace"];
    let level = known.into_iter().find(|known| level.eq_ignore_ascii_case(known)).unwrap_or("info");
    let ours = ["genba", "server", "storage", "sync_protocol"];
    let ours: String = ours.iter().fold(String::new(), |mut text, name| {
        _ = write!(text, ",{name}={level}");
        text
    });
    EnvFilter::new(format!("warn{ours}"))
}

/// The subscriber that writes JSON lines to `writer`.
pub fn subscriber<W>(level: &str, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter(level))
        .with_writer(writer)
        .finish()
}

/// Has panics logged by their place only: what they say may quote what a person wrote.
pub fn hush_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}

/// The name of a method that we know; others are what a stranger typed.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Writes the line of one call, counts it, and tells the chain of causes of a failure of ours.
pub(crate) fn told(method: &'static str, route: &str, response: &Response, elapsed: Duration) {
    let status = response.status();
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("genba_calls_total", &labels).increment(1);
    metrics::histogram!("genba_call_seconds", "route" => route.to_owned())
        .record(elapsed.as_secs_f64());
    let failure = response.extensions().get::<Failure>();
    if let Some(Failure(ApiError::Internal(cause))) = failure {
        tracing::error!(
            status = status.as_u16(),
            elapsed_ms,
            cause = chain(&**cause),
            "call failed"
        );
    } else if status.is_server_error() {
        tracing::warn!(status = status.as_u16(), elapsed_ms, "call refused");
    } else {
        tracing::debug!(status = status.as_u16(), elapsed_ms, "call");
    }
}

/// Raises the alarm that a stolen device calls.
pub(crate) fn stolen_device_calls(device: DeviceId) {
    tracing::error!(alarm = "stolen_device", device.id = %device, "a stolen device calls");
    metrics::counter!("genba_alarms_total", "alarm" => "stolen_device").increment(1);
}

/// An error and its causes in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}
