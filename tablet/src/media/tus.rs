//! The calls of tus 1.0.0: creation, the offset, a piece with its checksum.

use crate::error::TabletError;
use crate::http::{Api, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, RequestBuilder};
use std::time::Duration;
use sync_protocol::blob::BlobRef;
use sync_protocol::clock::UnixMillis;
use sync_protocol::value::hash_of;

const VERSION: &str = "1.0.0";
/// How long a call that carries bytes may take: a piece is made so small that it takes seconds.
const PIECE_TIMEOUT: Duration = Duration::from_mins(3);
/// The longest address of an upload.
const LOCATION_BYTES_MAX: usize = 512;

/// What the server said of an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) offset: Option<u64>,
    pub(crate) location: Option<String>,
    pub(crate) retry_after_ms: Option<i64>,
    /// The name of the problem and what it says, if it is one.
    pub(crate) problem: String,
}

impl Api {
    /// Creates an upload for a blob.
    pub(crate) async fn create_upload(
        &self,
        blob: &BlobRef,
        now: UnixMillis,
    ) -> Result<Told, TabletError> {
        let url = self.url("/v1/uploads");
        let metadata = format!(
            "sha256 {},mime {}",
            STANDARD.encode(blob.sha256.to_string()),
            STANDARD.encode(blob.kind.mime())
        );
        let request = |client: &Client| {
            tus(client.post(&url))
                .header("upload-length", blob.bytes)
                .header("upload-metadata", &metadata)
        };
        self.told(request, now).await
    }

    /// Asks how many bytes of an upload are durable.
    pub(crate) async fn upload_offset(
        &self,
        upload: &str,
        now: UnixMillis,
    ) -> Result<Told, TabletError> {
        let url = self.url(upload);
        self.told(|client: &Client| tus(client.head(&url)), now).await
    }

    /// Sends a piece.
    pub(crate) async fn send_piece(
        &self,
        upload: &str,
        offset: u64,
        piece: &[u8],
        now: UnixMillis,
    ) -> Result<Told, TabletError> {
        let url = self.url(upload);
        let checksum = format!("sha256 {}", STANDARD.encode(hash_of(piece)));
        let request = |client: &Client| {
            tus(client.patch(&url))
                .header(CONTENT_TYPE, "application/offset+octet-stream")
                .header("upload-offset", offset)
                .header("upload-checksum", &checksum)
                .timeout(PIECE_TIMEOUT)
                .body(piece.to_vec())
        };
        self.told(request, now).await
    }

    async fn told(
        &self,
        request: impl Fn(&Client) -> RequestBuilder + Send,
        now: UnixMillis,
    ) -> Result<Told, TabletError> {
        let response = self.authorised_response(request, now).await?;
        let offset = number(response.headers(), "upload-offset");
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.and_then(|location| self.own_path(location));
        let reply = crate::http::reply_of(response).await?;
        Ok(Told {
            status: reply.status,
            offset,
            location,
            retry_after_ms: reply.retry_after_ms,
            problem: problem(&reply),
        })
    }

    /// The path of an address on this server; an address elsewhere is none.
    fn own_path(&self, location: &str) -> Option<String> {
        let path = location.strip_prefix(&self.url("")).unwrap_or(location);
        let plain = path.bytes().all(|b| b.is_ascii_graphic());
        let own = path.starts_with('/') && !path.starts_with("//");
        (own && plain && path.len() <= LOCATION_BYTES_MAX).then(|| path.to_owned())
    }
}

fn tus(request: RequestBuilder) -> RequestBuilder {
    request.header("tus-resumable", VERSION)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn problem(reply: &Reply) -> String {
    if let TabletError::Problem { name, title, .. } = crate::http::problem(reply)
        && !name.is_empty()
    {
        return format!("{name}: {title}");
    }
    format!("it answered {}", reply.status)
}
