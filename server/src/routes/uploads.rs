//! `/v1/uploads`: photos and video arrive by tus 1.0.0.

use crate::auth::admit::Access;
use crate::bulkhead::Gate;
use crate::extract::{Caller, Segment};
use crate::media::tus::UPLOADS;
use crate::media::{Sender, tus, upload};
use crate::problem::ApiError;
use crate::routes::Route;
use crate::state::AppState;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use storage::{Upload, UploadState};
use sync_protocol::blob::VIDEO_BYTES_MAX;
use sync_protocol::id::UploadId;

pub(super) fn routes() -> Vec<Route> {
    const WHY: Access = Access::Open("what the protocol can do is public");
    let one = "/v1/uploads/{id}";
    vec![
        Route::options(UPLOADS, WHY, "Tells which tus is spoken.", abilities)
            .gate(Gate::Free)
            .empty(204),
        Route::post(
            UPLOADS,
            Access::Person,
            "Begins an upload, also with its first bytes.",
            create,
        )
        .gate(Gate::Media)
        .streamed()
        .empty(201),
        Route::head(one, Access::Person, "Tells how far an upload is.", show).empty(200),
        Route::patch(one, Access::Person, "Sends bytes to an upload.", send)
            .gate(Gate::Media)
            .streamed()
            .empty(204),
        Route::delete(one, Access::Person, "Ends an upload.", end).empty(204),
    ]
}

async fn abilities() -> Response {
    let headers = [
        (tus::VERSIONS, HeaderValue::from_static(tus::VERSION)),
        (tus::EXTENSION, HeaderValue::from_static(tus::EXTENSIONS)),
        (tus::CHECKSUM_ALGORITHM, HeaderValue::from_static(tus::ALGORITHMS)),
        (tus::MAX_SIZE, VIDEO_BYTES_MAX.into()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

async fn create(
    caller: Caller,
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    tus::expect_version(&headers)?;
    let sender = Sender::of(caller, state.clock.now());
    let upload = upload::begin(&state, &sender, &headers, body).await?;
    let place = HeaderValue::from_str(&format!("{UPLOADS}/{}", upload.id));
    let place = place.map_err(ApiError::caused)?;
    let headers = [(header::LOCATION, place)];
    Ok((StatusCode::CREATED, headers, standing(&upload)).into_response())
}

async fn show(
    caller: Caller,
    State(state): State<AppState>,
    Segment(id): Segment<UploadId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    tus::expect_version(&headers)?;
    let sender = Sender::of(caller, state.clock.now());
    let upload = upload::find(&state, &sender, id).await?;
    let metadata = HeaderValue::from_str(&upload.metadata).map_err(ApiError::caused)?;
    let headers = [(tus::LENGTH, upload.bytes.into()), (tus::METADATA, metadata)];
    Ok((StatusCode::OK, headers, standing(&upload)).into_response())
}

async fn send(
    caller: Caller,
    State(state): State<AppState>,
    Segment(id): Segment<UploadId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    tus::expect_version(&headers)?;
    let sender = Sender::of(caller, state.clock.now());
    let upload = upload::send(&state, &sender, id, &headers, body).await?;
    Ok((StatusCode::NO_CONTENT, standing(&upload)).into_response())
}

async fn end(
    caller: Caller,
    State(state): State<AppState>,
    Segment(id): Segment<UploadId>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    tus::expect_version(&headers)?;
    let sender = Sender::of(caller, state.clock.now());
    upload::end(&state, &sender, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How far an upload is, and until when it takes bytes.
fn standing(upload: &Upload) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(tus::OFFSET, upload.received.into());
    let expires = tus::http_date(upload.expires_at);
    if let Some(at) = expires.filter(|_| upload.state == UploadState::Open) {
        headers.insert(tus::EXPIRES, at);
    }
    headers
}
