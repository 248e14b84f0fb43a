//! What a route takes as its body, and the text of one.

use super::inflate::{Bomb, Encoding, inflate};
use crate::problem::{ApiError, Limits};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use sync_protocol::change::CHANGE_BYTES_MAX;
use sync_protocol::wire::{BODY_BYTES_MAX, INFLATED_BYTES_MAX, PUSH_CHANGES_MAX};

/// The largest body of every other call on the wire: 64 KiB.
pub const SMALL_BODY_BYTES_MAX: usize = 64 * 1024;
/// From this size on the wire a body is inflated away from the async threads.
const INLINE_BYTES_MAX: usize = 32 * 1024;

/// What a route takes as its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyRule {
    /// Up to 64 KiB on the wire, and no more after inflation than ten times that.
    Small,
    /// Up to 1 MiB on the wire and 8 MiB after inflation.
    Sync,
    /// The handler reads it while it comes, within bounds of its own; as a whole it is taken nowhere.
    Stream,
}

impl BodyRule {
    /// Bytes on the wire.
    pub const fn wire_bytes_max(self) -> usize {
        match self {
            Self::Small => SMALL_BODY_BYTES_MAX,
            Self::Sync => BODY_BYTES_MAX,
            Self::Stream => 0,
        }
    }

    /// Bytes after inflation.
    pub const fn inflated_bytes_max(self) -> usize {
        match self {
            Self::Small => 10 * SMALL_BODY_BYTES_MAX,
            Self::Sync => INFLATED_BYTES_MAX,
            Self::Stream => 0,
        }
    }
}

/// The limits as clients are told them.
pub const fn limits(rule: BodyRule) -> Limits {
    Limits {
        max_body: rule.wire_bytes_max(),
        max_inflated: rule.inflated_bytes_max(),
        max_change: CHANGE_BYTES_MAX,
        max_push: PUSH_CHANGES_MAX,
    }
}

pub(super) fn too_large(rule: BodyRule, what: &'static str) -> ApiError {
    ApiError::TooLarge { what, limits: limits(rule) }
}

/// The text of a JSON body: media type, encoding, size and UTF-8 are checked, its JSON is not.
#[derive(Debug)]
pub struct Text(pub String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let rule = request.extensions().get().copied().unwrap_or(BodyRule::Small);
        let (parts, body) = request.into_parts();
        expect_json(&parts.headers)?;
        let encoding = parts.headers.get(header::CONTENT_ENCODING);
        let encoding = Encoding::read(encoding.map(header::HeaderValue::as_bytes))?;
        // The guard of the route has read the body within its bounds; what comes here is whole.
        let wire = body.collect().await.map_err(|_| ApiError::bad_body("the body broke off"))?;
        let wire = wire.to_bytes();
        let inflated = if encoding == Encoding::Identity {
            Vec::from(wire)
        } else if wire.len() <= INLINE_BYTES_MAX {
            named(rule, inflate(encoding, &wire, rule.inflated_bytes_max()))?
        } else {
            let work = move || inflate(encoding, &wire, rule.inflated_bytes_max());
            named(rule, tokio::task::spawn_blocking(work).await.map_err(ApiError::caused)?)?
        };
        String::from_utf8(inflated).map(Self).map_err(|_| ApiError::bad_body("not UTF-8"))
    }
}

fn named(rule: BodyRule, inflated: Result<Vec<u8>, Bomb>) -> Result<Vec<u8>, ApiError> {
    inflated.map_err(|bomb| match bomb {
        Bomb::Bytes => too_large(rule, "the body after inflation"),
        Bomb::Ratio => too_large(rule, "the ratio of inflation"),
        Bomb::Damaged => ApiError::bad_body("the content encoding is damaged"),
    })
}

fn expect_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|text| text.split(';').next()).map(str::trim);
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(ApiError::UnsupportedMediaType),
    }
}
