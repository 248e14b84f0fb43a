//! `/v1/records/{id}/media/{sha256}`: photos and video are read back.

use crate::auth::admit::Access;
use crate::bulkhead::Gate;
use crate::extract::{Parameters, Person, Segment};
use crate::media::ranges::{Asked, asked};
use crate::media::reading::{self, Found, Size};
use crate::problem::ApiError;
use crate::routes::Route;
use crate::state::AppState;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use std::ops::Range;
use storage::Derivative;
use sync_protocol::blob::{BlobHash, MediaType};
use sync_protocol::id::RecordId;

pub(super) fn routes() -> Vec<Route> {
    const SIZES: &[(&str, &str)] = &[("size", "thumb or screen; the original unless given")];
    vec![
        Route::get(
            "/v1/records/{id}/media/{sha256}",
            Access::Person,
            "Reads a photo or video that a record names.",
            show,
        )
        .gate(Gate::Fetch)
        .query(SIZES)
        .empty(200)
        .empty(206)
        .empty(304),
    ]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SizeQuery {
    size: Option<String>,
}

async fn show(
    caller: Person,
    State(state): State<AppState>,
    Segment((rec, sha256)): Segment<(RecordId, BlobHash)>,
    Parameters(query): Parameters<SizeQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let size = match query.size.as_deref() {
        None => Size::Original,
        Some("thumb") => Size::Thumb,
        Some("screen") => Size::Screen,
        Some(_) => return Err(ApiError::bad_parameter("size", "thumb or screen")),
    };
    let found = reading::find(&state, &caller.tenant, caller.user, rec, sha256.0).await?;
    match found.derivative(size)? {
        None => original(&state, &found, sha256, &headers).await,
        Some(derivative) => smaller(&state, derivative, size, sha256, &headers).await,
    }
}

async fn original(
    state: &AppState,
    found: &Found,
    sha256: BlobHash,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let bytes = u64::try_from(found.blob.bytes).unwrap_or_default();
    let kind = MediaType::of_mime(&found.blob.mime);
    let shape = Shape { etag: format!("\"{sha256}\""), bytes, kind, sha256 };
    match asked(headers, &shape.etag, bytes) {
        Asked::NotModified => Ok(shape.not_modified()),
        Asked::Beyond => Err(shape.beyond()),
        Asked::Whole => Ok(shape.answer(None, found.body(state, 0..bytes).await?)),
        Asked::Part(range) => {
            let body = found.body(state, range.clone()).await?;
            Ok(shape.answer(Some(range), body))
        }
    }
}

/// Answers with a smaller picture, which is one small object.
async fn smaller(
    state: &AppState,
    derivative: &Derivative,
    size: Size,
    sha256: BlobHash,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let bytes = u64::try_from(derivative.bytes).unwrap_or_default();
    let whole = state.objects.read(&derivative.key, 0..bytes).await?;
    let name = if size == Size::Thumb { "thumb" } else { "screen" };
    let kind = MediaType::of_bytes(&whole);
    // Made anew, it is another object.
    let made = derivative.key.rsplit('/').next().unwrap_or_default();
    let shape = Shape { etag: format!("\"{name}-{made}\""), bytes, kind, sha256 };
    let cut = |range: &Range<u64>| -> Option<Bytes> {
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        (range.end <= whole.len()).then(|| whole.slice(range))
    };
    match asked(headers, &shape.etag, bytes) {
        Asked::NotModified => Ok(shape.not_modified()),
        Asked::Beyond => Err(shape.beyond()),
        Asked::Whole => Ok(shape.answer(None, Body::from(whole.clone()))),
        Asked::Part(range) => {
            let body = cut(&range).ok_or_else(|| ApiError::internal("a picture is too short"))?;
            Ok(shape.answer(Some(range), Body::from(body)))
        }
    }
}

/// What is the same for every answer about one representation.
struct Shape {
    etag: String,
    bytes: u64,
    kind: Option<MediaType>,
    sha256: BlobHash,
}

impl Shape {
    fn beyond(&self) -> ApiError {
        ApiError::RangeNotSatisfiable { bytes: self.bytes }
    }

    fn not_modified(&self) -> Response {
        (StatusCode::NOT_MODIFIED, [(header::ETAG, text(&self.etag))]).into_response()
    }

    fn answer(&self, range: Option<Range<u64>>, body: Body) -> Response {
        const SANDBOX: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";
        const SAME_ORIGIN: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
        let mime = self.kind.map_or("application/octet-stream", MediaType::mime);
        let length = range.as_ref().map_or(self.bytes, |range| range.end - range.start);
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(mime)),
            (header::CONTENT_LENGTH, length.into()),
            (header::CONTENT_DISPOSITION, text(&self.disposition())),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX)),
            (SAME_ORIGIN, HeaderValue::from_static("same-origin")),
            (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
            (header::ETAG, text(&self.etag)),
        ];
        let Some(range) = range else { return (StatusCode::OK, headers, body).into_response() };
        let told = format!("bytes {}-{}/{}", range.start, range.end - 1, self.bytes);
        let range = [(header::CONTENT_RANGE, text(&told))];
        (StatusCode::PARTIAL_CONTENT, headers, range, body).into_response()
    }

    /// A name that the server made: what a client called the file is nobody's business.
    fn disposition(&self) -> String {
        let name: String = self.sha256.to_string().chars().take(16).collect();
        let extension = self.kind.map_or("bin", MediaType::extension);
        format!("attachment; filename=\"{name}.{extension}\"")
    }
}

fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
