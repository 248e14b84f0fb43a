//! What tus 1.0.0 puts into headers, read strictly.

use crate::problem::ApiError;
use aws_lc_rs::digest::{self, Algorithm, Context};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sync_protocol::clock::UnixMillis;

/// The one version of tus that is spoken.
pub const VERSION: &str = "1.0.0";
/// Where uploads are created.
pub const UPLOADS: &str = "/v1/uploads";
/// The extensions that are spoken.
pub const EXTENSIONS: &str = "creation,creation-with-upload,checksum,expiration,termination";
/// The checksums that are checked.
pub const ALGORITHMS: &str = "sha256,sha1";
/// The media type of bytes that go to an upload.
pub const OFFSET_STREAM: &str = "application/offset+octet-stream";

/// `Tus-Resumable`.
pub const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
/// `Tus-Version`.
pub const VERSIONS: HeaderName = HeaderName::from_static("tus-version");
/// `Tus-Extension`.
pub const EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
/// `Tus-Max-Size`.
pub const MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
/// `Tus-Checksum-Algorithm`.
pub const CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
/// `Upload-Offset`.
pub const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// `Upload-Length`.
pub const LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// `Upload-Metadata`.
pub const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
/// `Upload-Expires`.
pub const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");

/// The one value of a header; a header that comes twice is refused.
pub fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a [u8]>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(HeaderValue::as_bytes);
    if values.next().is_some() {
        return Err(ApiError::bad_parameter(name, "it comes twice"));
    }
    Ok(first)
}

/// Refuses a client that speaks another version.
pub fn expect_version(headers: &HeaderMap) -> Result<(), ApiError> {
    match one(headers, "Tus-Resumable") {
        Ok(Some(version)) if version == VERSION.as_bytes() => Ok(()),
        Ok(_) | Err(_) => Err(ApiError::TusVersion),
    }
}

/// A number of bytes: decimal digits and nothing else.
pub fn bytes(headers: &HeaderMap, name: &'static str) -> Result<Option<i64>, ApiError> {
    let Some(text) = one(headers, name)? else { return Ok(None) };
    let digits = !text.is_empty() && text.len() <= 18 && text.iter().all(u8::is_ascii_digit);
    let number =
        std::str::from_utf8(text).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| ApiError::bad_parameter(name, "a number of bytes, in digits"))
}

/// The length of the body, where it is told before.
pub fn content_length(headers: &HeaderMap) -> Option<i64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the body is bytes for an upload; another type is refused.
pub fn is_offset_stream(headers: &HeaderMap) -> Result<bool, ApiError> {
    match one(headers, "Content-Type")? {
        None => Ok(false),
        Some(kind) if kind.eq_ignore_ascii_case(OFFSET_STREAM.as_bytes()) => {
            match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
                None | Some(b"identity") => Ok(true),
                Some(_) => Err(ApiError::UnsupportedEncoding),
            }
        }
        Some(_) => Err(ApiError::UnsupportedMediaType),
    }
}

/// The checksum that the body of a call is said to have.
#[derive(Clone)]
pub struct Checksum {
    context: Context,
    wanted: Vec<u8>,
}

impl std::fmt::Debug for Checksum {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Checksum").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl Checksum {
    /// Reads `Upload-Checksum`: an algorithm and the checksum in base64.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        const NAME: &str = "Upload-Checksum";
        let bad = |reason: &str| ApiError::bad_parameter(NAME, reason);
        let Some(text) = one(headers, NAME)? else { return Ok(None) };
        let text = std::str::from_utf8(text).map_err(|_| bad("an algorithm and base64"))?;
        let (name, value) = text.split_once(' ').ok_or_else(|| bad("an algorithm and base64"))?;
        let algorithm: &'static Algorithm = match name {
            "sha256" => &digest::SHA256,
            "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            _ => return Err(bad("the algorithm is sha256 or sha1")),
        };
        let wanted = STANDARD.decode(value).ok();
        let wanted = wanted.filter(|wanted| wanted.len() == algorithm.output_len());
        let wanted = wanted.ok_or_else(|| bad("the checksum is not base64 of its length"))?;
        Ok(Some(Self { context: Context::new(algorithm), wanted }))
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// Whether all bytes have the checksum.
    pub fn holds(self) -> bool {
        self.context.finish().as_ref() == self.wanted
    }
}

/// An instant as `Upload-Expires` tells it.
pub fn http_date(at: UnixMillis) -> Option<HeaderValue> {
    let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?;
    HeaderValue::from_str(&text).ok()
}

/// How long an upload takes bytes after its last activity: 30 days.
pub const LIFETIME_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// How long an upload waits for its first bytes: an hour. Its sender may never have learnt of it.
pub const EMPTY_LIFETIME_MS: i64 = 3_600 * 1_000;

/// Until when an upload takes bytes that is active now and of which so many have come.
pub const fn expiry(now: UnixMillis, received: i64) -> UnixMillis {
    now.plus(if received == 0 { EMPTY_LIFETIME_MS } else { LIFETIME_MS })
}
