//! A client of tus 1.0.0 that does one call at a time and counts what it sends.

use super::camera::Shot;
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method, RequestBuilder, Response};
use std::time::Duration;
use sync_protocol::value::hash_of;

/// How long one call may take: longer than a server waits for another writer.
const CALL_MAX: Duration = Duration::from_secs(40);
/// The version of the protocol.
const VERSION: &str = "1.0.0";

/// What came of a PATCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patched {
    /// The server has so many bytes.
    Taken(u64),
    /// The server refused with this status.
    Refused(u16),
    /// No answer came.
    Lost,
}

/// What a PATCH says of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing.
    None,
    /// Their SHA-256.
    Right,
    /// Another SHA-256.
    Wrong,
}

/// One client.
#[derive(Clone, Debug)]
pub struct Uploader {
    http: Client,
    token: String,
}

impl Uploader {
    /// A client that opens a connection for every call.
    pub fn new(token: String) -> Result<Self> {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let http = Client::builder().timeout(CALL_MAX).pool_max_idle_per_host(0).build()?;
        Ok(Self { http, token })
    }

    fn call(&self, method: Method, url: String) -> RequestBuilder {
        self.http.request(method, url).bearer_auth(&self.token).header("tus-resumable", VERSION)
    }

    /// Creates an upload; gives its address on that server, or the status; `None` when no answer came.
    pub async fn create(&self, base: &str, shot: &Shot) -> Result<Option<Result<String, u16>>> {
        let metadata = format!(
            "sha256 {},mime {}",
            STANDARD.encode(shot.blob.sha256.to_string()),
            STANDARD.encode(shot.blob.kind.mime())
        );
        let answer = self
            .call(Method::POST, format!("{base}/v1/uploads"))
            .header("upload-length", shot.blob.bytes)
            .header("upload-metadata", metadata)
            .send()
            .await;
        let Ok(answer) = answer else { return Ok(None) };
        if answer.status() != 201 {
            return Ok(Some(Err(answer.status().as_u16())));
        }
        let place = answer.headers().get("location").context("201 names a location")?.to_str()?;
        let path = place.find("/v1/uploads").and_then(|at| place.get(at..));
        Ok(Some(Ok(path.context("a location of ours")?.to_owned())))
    }

    /// Asks how many bytes the server has.
    pub async fn offset(&self, base: &str, path: &str) -> Option<Result<u64, u16>> {
        let answer = self.call(Method::HEAD, format!("{base}{path}")).send().await.ok()?;
        match (answer.status().as_u16(), offset_of(&answer)) {
            (200, Some(offset)) => Some(Ok(offset)),
            (status, _) => Some(Err(status)),
        }
    }

    /// Sends bytes from an offset on.
    pub async fn patch(
        &self,
        base: &str,
        path: &str,
        offset: u64,
        bytes: Vec<u8>,
        checksum: Checksum,
    ) -> Patched {
        let mut call = self
            .call(Method::PATCH, format!("{base}{path}"))
            .header("content-type", "application/offset+octet-stream")
            .header("upload-offset", offset);
        if checksum != Checksum::None {
            let mut hash = hash_of(&bytes);
            if checksum == Checksum::Wrong {
                hash.reverse();
            }
            call = call.header("upload-checksum", format!("sha256 {}", STANDARD.encode(hash)));
        }
        match call.body(bytes).send().await {
            Err(_) => Patched::Lost,
            Ok(answer) => match (answer.status().as_u16(), offset_of(&answer)) {
                (204, Some(offset)) => Patched::Taken(offset),
                (status, _) => Patched::Refused(status),
            },
        }
    }

    /// Names the file from a record, so that it can be read; tells the status.
    pub async fn name(&self, base: &str, rec: &str, shot: &Shot, change: &str) -> Result<u16> {
        let ops = serde_json::json!([
            { "o": "new", "in": "station:a" },
            { "o": "add", "f": "photos", "e": "p-1", "v": shot.payload() },
        ]);
        let answer = self
            .http
            .post(format!("{base}/v1/records/{rec}/changes"))
            .bearer_auth(&self.token)
            .json(&serde_json::json!({ "id": change, "type": "visit", "ops": ops }))
            .send()
            .await?;
        Ok(answer.status().as_u16())
    }

    /// Reads the file back through the record.
    pub async fn read(&self, base: &str, rec: &str, shot: &Shot) -> Result<(u16, Vec<u8>)> {
        self.read_sized(base, rec, shot, "").await
    }

    /// Reads it as it is given for a query: `?size=thumb`.
    pub async fn read_sized(
        &self,
        base: &str,
        rec: &str,
        shot: &Shot,
        query: &str,
    ) -> Result<(u16, Vec<u8>)> {
        let url = format!("{base}/v1/records/{rec}/media/{}{query}", shot.blob.sha256);
        let answer = self.http.get(url).bearer_auth(&self.token).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.bytes().await?.to_vec()))
    }
}

fn offset_of(answer: &Response) -> Option<u64> {
    answer.headers().get("upload-offset")?.to_str().ok()?.parse().ok()
}
