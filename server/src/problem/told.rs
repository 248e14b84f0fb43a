//! What a client is told of each problem: name, status, members, header.

use super::{ALL, ApiError, TYPE_PREFIX};
use crate::media::tus;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A failure of ours that has no error type of its own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(String);

/// How many seconds a caller waits when the object store does not answer.
const STORE_RETRY_S: u64 = 10;
/// How many seconds a caller waits for a picture that is still to be made.
const RENDER_RETRY_S: u64 = 5;

impl ApiError {
    /// A failure of ours, told in words for the log.
    pub fn internal(told: impl Into<String>) -> Self {
        Self::Internal(Arc::new(Told(told.into())))
    }

    /// A failure of ours with its cause.
    pub fn caused(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal(Arc::new(cause))
    }

    /// A body of the wrong form.
    pub fn bad_body(reason: impl Into<String>) -> Self {
        Self::BadBody { reason: reason.into() }
    }

    /// A parameter of the wrong form.
    pub fn bad_parameter(name: &'static str, reason: impl Into<String>) -> Self {
        Self::BadParameter { name, reason: reason.into() }
    }

    /// Something understood that cannot be done.
    pub fn unprocessable(reason: &'static str, detail: impl Into<String>) -> Self {
        Self::Unprocessable { reason, detail: detail.into() }
    }

    /// The name of the problem: the last part of its type.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BadBody { .. } => "bad-body",
            Self::BadParameter { .. } => "bad-parameter",
            Self::BadCursor => "bad-cursor",
            Self::Unauthorised => "unauthorised",
            Self::Forbidden { .. } => "forbidden",
            Self::CrossSite => "cross-site",
            Self::DeviceStolen => "device-stolen",
            Self::NotFound { .. } => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Conflict { .. } => "conflict",
            Self::ReplicaForked => "replica-forked",
            Self::Gap { .. } => "gap",
            Self::EpochChanged { .. } => "epoch-changed",
            Self::ChangedSinceSeen { .. } => "changed-since-seen",
            Self::TooLarge { .. } => "too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::UnsupportedEncoding => "unsupported-encoding",
            Self::Unprocessable { .. } => "unprocessable",
            Self::UpgradeRequired => "upgrade-required",
            Self::RateLimited { .. } => "rate-limited",
            Self::Overloaded { .. } => "overloaded",
            Self::NotReady => "not-ready",
            Self::NotRendered => "not-rendered",
            Self::Unrenderable => "unrenderable",
            Self::UploadOffset { .. } => "upload-offset",
            Self::UploadGone => "upload-gone",
            Self::TusVersion => "tus-version",
            Self::MediaTooLarge { .. } => "media-too-large",
            Self::RangeNotSatisfiable { .. } => "range-not-satisfiable",
            Self::MediaTypeMismatch { .. } => "media-type-mismatch",
            Self::HashMismatch => "hash-mismatch",
            Self::UploadLocked => "upload-locked",
            Self::UploadQuota { .. } => "upload-quota",
            Self::ChecksumMismatch => "checksum-mismatch",
            Self::StoreUnavailable => "store-unavailable",
            Self::MediaLost => "media-lost",
            Self::StoreFull => "store-full",
            Self::Internal(_) => "internal",
        }
    }

    /// The status and the title of the problem.
    fn listed(&self) -> (StatusCode, &'static str) {
        ALL.iter()
            .find(|(name, ..)| *name == self.name())
            .and_then(|(_, status, title)| Some((StatusCode::from_u16(*status).ok()?, *title)))
            .unwrap_or((StatusCode::INTERNAL_SERVER_ERROR, "The server failed"))
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.listed().0
    }

    /// What a client can act on.
    fn members(&self) -> Value {
        match self {
            Self::BadBody { reason } => json!({ "detail": reason }),
            Self::BadParameter { name, reason } => json!({ "parameter": name, "detail": reason }),
            Self::Forbidden { reason } => json!({ "detail": reason }),
            Self::NotFound { kind } => json!({ "kind": kind }),
            Self::Conflict { what } => json!({ "detail": what }),
            Self::Gap { n, id } => json!({ "known": { "n": n, "id": id } }),
            Self::EpochChanged { epoch } => json!({ "epoch": epoch }),
            Self::ChangedSinceSeen { rv, view_hash } => {
                json!({ "rv": rv, "view_hash": view_hash })
            }
            Self::TooLarge { what, limits } => json!({ "detail": what, "limits": {
                "max_body": limits.max_body, "max_inflated": limits.max_inflated,
                "max_change": limits.max_change, "max_push": limits.max_push,
            }}),
            Self::Unprocessable { reason, detail } => {
                json!({ "reason": reason, "detail": detail })
            }
            Self::RateLimited { retry_after_ms } | Self::Overloaded { retry_after_ms } => {
                json!({ "retry_after_ms": retry_after_ms })
            }
            Self::UploadOffset { upload_offset } => json!({ "upload_offset": upload_offset }),
            Self::MediaTooLarge { max_bytes } => json!({ "max_bytes": max_bytes }),
            Self::RangeNotSatisfiable { bytes } => json!({ "bytes": bytes }),
            Self::MediaTypeMismatch { declared, found } => {
                json!({ "declared": declared, "found": found })
            }
            Self::UploadQuota { what, retry_after_ms } => {
                json!({ "detail": what, "retry_after_ms": retry_after_ms })
            }
            Self::StoreUnavailable | Self::StoreFull => {
                json!({ "retry_after_ms": STORE_RETRY_S * 1_000 })
            }
            Self::NotRendered => json!({ "retry_after_ms": RENDER_RETRY_S * 1_000 }),
            Self::Unrenderable
            | Self::UploadGone
            | Self::TusVersion
            | Self::HashMismatch
            | Self::UploadLocked
            | Self::ChecksumMismatch
            | Self::BadCursor
            | Self::MediaLost
            | Self::Unauthorised
            | Self::CrossSite
            | Self::DeviceStolen
            | Self::MethodNotAllowed
            | Self::ReplicaForked
            | Self::UnsupportedMediaType
            | Self::UnsupportedEncoding
            | Self::UpgradeRequired
            | Self::NotReady
            | Self::Internal(_) => json!({}),
        }
    }

    /// The whole problem document.
    pub fn document(&self) -> Value {
        let (status, title) = self.listed();
        let mut document = Map::new();
        document.insert("type".into(), format!("{TYPE_PREFIX}{}", self.name()).into());
        document.insert("title".into(), title.into());
        document.insert("status".into(), status.as_u16().into());
        if let Value::Object(members) = self.members() {
            document.extend(members);
        }
        Value::Object(document)
    }

    /// The header that goes with the answer, if one does.
    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::RateLimited { retry_after_ms }
            | Self::Overloaded { retry_after_ms }
            | Self::UploadQuota { retry_after_ms, .. } => {
                Some((header::RETRY_AFTER, retry_after_ms.div_ceil(1_000).max(1).into()))
            }
            Self::NotReady => Some((header::RETRY_AFTER, HeaderValue::from_static("5"))),
            Self::StoreUnavailable | Self::StoreFull => {
                Some((header::RETRY_AFTER, STORE_RETRY_S.into()))
            }
            Self::NotRendered => Some((header::RETRY_AFTER, RENDER_RETRY_S.into())),
            Self::TusVersion => Some((tus::VERSIONS, HeaderValue::from_static(tus::VERSION))),
            Self::UploadOffset { upload_offset } => Some((tus::OFFSET, (*upload_offset).into())),
            Self::RangeNotSatisfiable { bytes } => {
                let range = HeaderValue::from_str(&format!("bytes */{bytes}")).ok()?;
                Some((header::CONTENT_RANGE, range))
            }
            Self::Unauthorised => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            Self::UnsupportedEncoding => {
                Some((header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd")))
            }
            Self::UpgradeRequired => Some((header::UPGRADE, HeaderValue::from_static("websocket"))),
            Self::BadBody { .. }
            | Self::BadParameter { .. }
            | Self::BadCursor
            | Self::Forbidden { .. }
            | Self::CrossSite
            | Self::DeviceStolen
            | Self::NotFound { .. }
            | Self::MethodNotAllowed
            | Self::Conflict { .. }
            | Self::ReplicaForked
            | Self::Gap { .. }
            | Self::EpochChanged { .. }
            | Self::ChangedSinceSeen { .. }
            | Self::TooLarge { .. }
            | Self::UnsupportedMediaType
            | Self::Unprocessable { .. }
            | Self::Unrenderable
            | Self::UploadGone
            | Self::MediaLost
            | Self::MediaTooLarge { .. }
            | Self::MediaTypeMismatch { .. }
            | Self::HashMismatch
            | Self::UploadLocked
            | Self::ChecksumMismatch
            | Self::Internal(_) => None,
        }
    }
}
