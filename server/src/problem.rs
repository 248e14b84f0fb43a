//! What can go wrong, each with one answer: `application/problem+json` with a stable type.
//!
//! A failure chooses its status here, once. The members of a problem are what a client can act on; a 500 says nothing
//! of its cause, which is logged where the response leaves (`telemetry`).

mod told;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use storage::StorageError;
use sync_protocol::id::{ChangeId, EpochId, Seq};

/// What stands before the name of a problem in its `type`.
pub const TYPE_PREFIX: &str = "/problems/";

/// Every problem: name, status, and what it means in one line. `docs/api.md` has the same table.
pub const ALL: &[(&str, u16, &str)] = &[
    ("bad-body", 400, "The body is not what this call takes"),
    ("bad-parameter", 400, "A part of the address or a header is not what this call takes"),
    (
        "bad-cursor",
        400,
        "The cursor is unreadable or another device's: set it to null and enter again",
    ),
    ("unauthorised", 401, "There are no valid credentials"),
    ("forbidden", 403, "The caller is known and may not do this"),
    ("cross-site", 403, "A change by cookie needs Genba-Csrf: 1 and an Origin of this server"),
    ("device-stolen", 403, "The device was reported stolen"),
    ("not-found", 404, "There is no such thing for this caller"),
    ("not-rendered", 404, "The picture of this size is still to be made: ask again"),
    ("unrenderable", 404, "There is no picture of this size and there will be none"),
    ("method-not-allowed", 405, "This address does not take this method"),
    ("conflict", 409, "It is there already, or in another state"),
    ("replica-forked", 409, "Another copy of this replica has gone on: take a new replica id"),
    ("gap", 409, "The push leaves out changes: begin at known.n + 1 or before"),
    ("epoch-changed", 409, "The server's history is another one: take its epoch and offer again"),
    ("changed-since-seen", 409, "The record is no longer the one that was seen"),
    ("upload-offset", 409, "The upload has another offset: go on from upload_offset"),
    ("upload-gone", 410, "The upload was ended, failed, or its time is over: begin another"),
    ("tus-version", 412, "Tus-Resumable is missing, or names a version that is not spoken here"),
    ("too-large", 413, "The body exceeds a limit: send less at a time"),
    ("media-too-large", 413, "More bytes than were declared, or than media of this type may have"),
    ("unsupported-media-type", 415, "The media type is none that this call takes"),
    ("unsupported-encoding", 415, "The body's content encoding is not gzip or zstd"),
    ("range-not-satisfiable", 416, "The range lies beyond the end"),
    ("unprocessable", 422, "The body is well formed and cannot be done"),
    ("media-type-mismatch", 422, "The bytes are not of the declared type: the upload is over"),
    ("hash-mismatch", 422, "The bytes do not have the declared SHA-256: the upload is over"),
    ("upload-locked", 423, "Another call sends to this upload: ask for the offset, then repeat"),
    ("upgrade-required", 426, "This address is a WebSocket"),
    ("rate-limited", 429, "Too many calls: wait"),
    ("upload-quota", 429, "Too many open uploads, or too much sent in a day: wait"),
    ("checksum-mismatch", 460, "The body does not have its checksum: it was thrown away"),
    ("internal", 500, "The server failed"),
    ("overloaded", 503, "The server is busy: wait and repeat"),
    ("not-ready", 503, "The server is starting or stopping: wait and repeat"),
    ("store-unavailable", 503, "The store of photos and video cannot be reached: wait and repeat"),
    (
        "media-lost",
        410,
        "The store has lost or damaged these bytes: whoever has them sends them again",
    ),
    ("store-full", 507, "The store of photos and video is full: an operator must make room"),
];

/// The limits that a client needs to know when it was told that something is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body as they travel.
    pub max_body: usize,
    /// Bytes of a body after inflation.
    pub max_inflated: usize,
    /// Bytes of one change.
    pub max_change: usize,
    /// Changes in one push.
    pub max_push: usize,
}

/// Every answer that is not a success.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// The body is not JSON, or not of the call's form.
    #[error("bad body: {reason}")]
    BadBody {
        /// What is wrong, without quoting the body.
        reason: String,
    },
    /// A path segment, query parameter or header is not of its form.
    #[error("bad parameter {name}: {reason}")]
    BadParameter {
        /// Which one.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The cursor cannot be read by this server for this device.
    #[error("bad cursor")]
    BadCursor,
    /// No credentials, or none that hold.
    #[error("no valid credentials")]
    Unauthorised,
    /// Known, but not allowed.
    #[error("forbidden: {reason}")]
    Forbidden {
        /// What would be needed.
        reason: &'static str,
    },
    /// A change by cookie without the proof that our own page sent it.
    #[error("a change by cookie without Genba-Csrf or from another origin")]
    CrossSite,
    /// The device was reported stolen.
    #[error("the device was reported stolen")]
    DeviceStolen,
    /// Nothing there, or nothing for this caller to know of.
    #[error("no such {kind}")]
    NotFound {
        /// What was looked for.
        kind: &'static str,
    },
    /// A smaller picture is still to be made.
    #[error("the picture is still to be made")]
    NotRendered,
    /// A smaller picture cannot be made.
    #[error("the picture cannot be made")]
    Unrenderable,
    /// The address does not take the method.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// Already there, or in a state that does not fit.
    #[error("conflict: {what}")]
    Conflict {
        /// What is in the way.
        what: &'static str,
    },
    /// Another copy of the replica went on.
    #[error("the replica forked")]
    ReplicaForked,
    /// A push leaves out changes.
    #[error("a gap after {n}")]
    Gap {
        /// The largest n with 1…n received.
        n: i64,
        /// The change at that n.
        id: Option<ChangeId>,
    },
    /// The request speaks of another history.
    #[error("the epoch is {epoch}")]
    EpochChanged {
        /// The server's epoch.
        epoch: EpochId,
    },
    /// A command on a record that has moved on.
    #[error("the record is at {rv}")]
    ChangedSinceSeen {
        /// Its present revision.
        rv: Seq,
        /// The hash of its present view.
        view_hash: Option<String>,
    },
    /// Bytes are sent for another offset than the upload has.
    #[error("the upload is at {upload_offset}")]
    UploadOffset {
        /// How many bytes the upload has.
        upload_offset: i64,
    },
    /// The upload takes no more bytes.
    #[error("the upload is gone")]
    UploadGone,
    /// Not the version of tus that is spoken.
    #[error("another version of tus")]
    TusVersion,
    /// More bytes than there may be.
    #[error("more than {max_bytes} bytes")]
    MediaTooLarge {
        /// The most that there may be.
        max_bytes: i64,
    },
    /// A range of bytes that are not there.
    #[error("a range beyond {bytes} bytes")]
    RangeNotSatisfiable {
        /// How many bytes there are.
        bytes: u64,
    },
    /// The first bytes are not those of the declared type.
    #[error("declared as {declared}")]
    MediaTypeMismatch {
        /// What was declared.
        declared: String,
        /// What the bytes are, if it is known.
        found: Option<&'static str>,
    },
    /// All bytes have come and are not those that were declared.
    #[error("the bytes have another SHA-256")]
    HashMismatch,
    /// Another call holds the lease of the upload.
    #[error("another call sends to the upload")]
    UploadLocked,
    /// The device has too much under way.
    #[error("{what}, for {retry_after_ms} ms")]
    UploadQuota {
        /// What is too much.
        what: &'static str,
        /// How long to wait.
        retry_after_ms: u64,
    },
    /// A body is not what its checksum says.
    #[error("the body has another checksum")]
    ChecksumMismatch,
    /// The object store cannot be reached.
    #[error("the object store is unavailable")]
    StoreUnavailable,
    /// The object store has lost or damaged what it held.
    #[error("bytes were lost")]
    MediaLost,
    /// The object store has no room.
    #[error("the object store is full")]
    StoreFull,
    /// More bytes than a bound allows.
    #[error("too large: {what}")]
    TooLarge {
        /// Which bound.
        what: &'static str,
        /// All bounds.
        limits: Limits,
    },
    /// Not what the call takes; mostly `application/json`.
    #[error("unsupported media type")]
    UnsupportedMediaType,
    /// Not gzip, zstd or identity.
    #[error("unsupported content encoding")]
    UnsupportedEncoding,
    /// Understood and impossible.
    #[error("{detail} ({reason})")]
    Unprocessable {
        /// A stable word for a client.
        reason: &'static str,
        /// What a person may read; names fields, never their contents.
        detail: String,
    },
    /// A plain request to a WebSocket address.
    #[error("upgrade required")]
    UpgradeRequired,
    /// The caller asks too often.
    #[error("rate limited for {retry_after_ms} ms")]
    RateLimited {
        /// How long to wait.
        retry_after_ms: u64,
    },
    /// The server has no room now.
    #[error("overloaded for {retry_after_ms} ms")]
    Overloaded {
        /// How long to wait.
        retry_after_ms: u64,
    },
    /// Not yet, or no longer, serving.
    #[error("not ready")]
    NotReady,
    /// A failure of ours.
    #[error("internal failure")]
    Internal(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// How long a caller waits when the database had no room.
const BUSY_RETRY_MS: u64 = 1_000;

/// The failure behind a response, for the log at the edge.
#[derive(Clone, Debug)]
pub struct Failure(pub ApiError);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.document().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.header());
        response.extensions_mut().insert(Failure(self));
        response
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy(_) => Self::Overloaded { retry_after_ms: BUSY_RETRY_MS },
            StorageError::AlreadyStored(_) => Self::Conflict { what: "it is there already" },
            StorageError::Stale => Self::Conflict { what: "it is gone or was changed meanwhile" },
            StorageError::Database(_)
            | StorageError::Migrate(_)
            | StorageError::UnsupportedUrl
            | StorageError::NoDatabase(_)
            | StorageError::Unsafe(_)
            | StorageError::Damaged(_) => Self::caused(error),
        }
    }
}
