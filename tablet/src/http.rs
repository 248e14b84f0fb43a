//! The calls to the server.

use crate::error::TabletError;
use crate::key::DeviceKey;
use crate::profile::{Enrolment, MediaOn, Profile};
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{DeviceId, Seq, Tenant, UserId};
use sync_protocol::value::{hash_of, hash_text};
use sync_protocol::wire::INFLATE_RATIO_MAX;
use tokio::sync::Mutex;
use uuid::Uuid;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call may take.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
/// The largest answer that is read, inflated: 64 MiB.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bodies below this many bytes are not worth compressing.
const COMPRESS_BYTES_MIN: usize = 1_024;
const COMPRESS_LEVEL: i32 = 3;
const ACCEPTED: &str = "application/json, application/problem+json";

/// An answer as the replica takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after_ms: Option<i64>,
    /// The body, inflated.
    pub body: Vec<u8>,
}

/// A connection to a server, before anybody has enrolled.
#[derive(Clone, Debug)]
pub struct Connection {
    client: Client,
    server: String,
}

#[derive(Deserialize)]
struct EnrolAnswer {
    device: DeviceId,
    user: UserId,
    #[serde(default)]
    user_name: String,
    tenant: Tenant,
    audience: String,
}

#[derive(Deserialize)]
struct NonceAnswer {
    nonce: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
}

#[derive(Deserialize)]
struct PokeAnswer {
    poke: Seq,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    detail: String,
}

impl Connection {
    /// Prepares calls to `server`; `ca` is the city's own authority.
    pub fn new(server: &str, ca: Option<&Path>) -> Result<Self, TabletError> {
        // A second installation fails because of the first one, which is as good.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let mut builder = Client::builder()
            // Over HTTP/2 no connection can become the live socket.
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = ca {
            let pem = std::fs::read(path).map_err(TabletError::file(path))?;
            let certificates =
                Certificate::from_pem_bundle(&pem).map_err(TabletError::Unreachable)?;
            builder = builder.tls_certs_only(certificates);
        }
        let client = builder.build().map_err(TabletError::Unreachable)?;
        Ok(Self { client, server: server.trim_end_matches('/').to_owned() })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    /// Enrols a key with a one-time code.
    pub async fn enrol(
        &self,
        enrolment: &Enrolment,
        key: &DeviceKey,
    ) -> Result<Profile, TabletError> {
        let body = json!({
            "tenant": enrolment.tenant, "code": enrolment.code, "public_key": key.jwk(),
            "name": enrolment.name,
        });
        let reply = call(self.client.post(self.url("/v1/enrol")).json(&body)).await?;
        let enrolled: EnrolAnswer = read(&reply)?;
        Ok(Profile {
            server: self.server.clone(),
            tenant: enrolled.tenant,
            device: enrolled.device,
            user: enrolled.user,
            user_name: enrolled.user_name,
            audience: enrolled.audience,
            ca: enrolment.ca.clone(),
            media_on: MediaOn::default(),
        })
    }
}

/// The calls of an enrolled tablet. Clones share the access token.
#[derive(Clone, Debug)]
pub struct Api {
    connection: Connection,
    device: DeviceId,
    audience: String,
    key: Arc<DeviceKey>,
    token: Arc<Mutex<Option<String>>>,
}

impl Api {
    /// Prepares the calls of the tablet with this profile and key.
    pub fn new(profile: &Profile, key: Arc<DeviceKey>) -> Result<Self, TabletError> {
        let connection = Connection::new(&profile.server, profile.ca.as_deref())?;
        Ok(Self {
            connection,
            device: profile.device,
            audience: profile.audience.clone(),
            key,
            token: Arc::default(),
        })
    }

    /// `POST /v1/sync`.
    pub async fn sync(&self, body: &str, now: UnixMillis) -> Result<Reply, TabletError> {
        let (bytes, encoding) = compressed(body);
        let request = |client: &Client| {
            let request = client.post(self.connection.url("/v1/sync")).body(bytes.clone());
            let request = request.header(CONTENT_TYPE, "application/json");
            match encoding {
                Some(encoding) => request.header(CONTENT_ENCODING, encoding),
                None => request,
            }
        };
        self.authorised(request, now).await
    }

    /// `GET /v1/bundles/{hash}`: the text is what its hash says.
    pub async fn bundle(&self, hash: &str, now: UnixMillis) -> Result<String, TabletError> {
        let url = self.connection.url(&format!("/v1/bundles/{hash}"));
        let reply = self.authorised(|client| client.get(&url), now).await?;
        if !(200..300).contains(&reply.status) {
            return Err(problem(&reply));
        }
        if hash_text(&hash_of(&reply.body)) != hash {
            return Err(TabletError::Unreadable(
                "the forms do not have the hash that was told".to_owned(),
            ));
        }
        String::from_utf8(reply.body)
            .map_err(|_| TabletError::Unreadable("the forms are not UTF-8".to_owned()))
    }

    /// `GET /v1/live/poll`: waits for news.
    pub async fn poll(&self, after: Seq, now: UnixMillis) -> Result<Option<Seq>, TabletError> {
        let url = self.connection.url(&format!("/v1/live/poll?after={after}"));
        let reply = self.authorised(|client| client.get(&url), now).await?;
        match reply.status {
            200 => Ok(Some(read::<PokeAnswer>(&reply)?.poke)),
            204 => Ok(None),
            _ => Err(problem(&reply)),
        }
    }

    /// Asks for an upgrade to the live socket.
    pub(crate) async fn open_socket(
        &self,
        key: &str,
        now: UnixMillis,
    ) -> Result<Response, TabletError> {
        let token = self.token(now).await?;
        let url = self.connection.url("/v1/live");
        let request = self.connection.client.get(url).bearer_auth(token);
        let request = request
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", key);
        let response = request.send().await.map_err(TabletError::Unreachable)?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        if response.status() == StatusCode::UNAUTHORIZED {
            *self.token.lock().await = None;
        }
        Err(problem(&reply_of(response).await?))
    }

    /// The address of a path on the server.
    pub(crate) fn url(&self, path: &str) -> String {
        self.connection.url(path)
    }

    async fn authorised(
        &self,
        request: impl Fn(&Client) -> RequestBuilder + Send,
        now: UnixMillis,
    ) -> Result<Reply, TabletError> {
        let request = move |client: &Client| request(client).header(ACCEPT, ACCEPTED);
        let response = self.authorised_response(request, now).await?;
        reply_of(response).await
    }

    /// Calls with an access token, and once more with a fresh one when the server refuses it.
    pub(crate) async fn authorised_response(
        &self,
        request: impl Fn(&Client) -> RequestBuilder + Send,
        now: UnixMillis,
    ) -> Result<Response, TabletError> {
        for fresh in [false, true] {
            if fresh {
                *self.token.lock().await = None;
            }
            let token = self.token(now).await?;
            let request = request(&self.connection.client).bearer_auth(token);
            let response = request.send().await.map_err(TabletError::Unreachable)?;
            if response.status() != StatusCode::UNAUTHORIZED || fresh {
                return Ok(response);
            }
        }
        unreachable!("the second turn returns")
    }

    async fn token(&self, now: UnixMillis) -> Result<String, TabletError> {
        let mut token = self.token.lock().await;
        if let Some(token) = &*token {
            return Ok(token.clone());
        }
        let client = &self.connection.client;
        let nonce: NonceAnswer = read(&call(client.post(self.connection.url("/v1/nonce"))).await?)?;
        let mut jti = [0; 16];
        getrandom::fill(&mut jti).expect("the operating system has a random generator");
        let jti = uuid::Builder::from_random_bytes(jti).into_uuid();
        let assertion = self.assertion(&nonce.nonce, jti, now);
        let body = json!({ "assertion": assertion });
        let answer: TokenAnswer =
            read(&call(client.post(self.connection.url("/v1/token")).json(&body)).await?)?;
        *token = Some(answer.access_token.clone());
        Ok(answer.access_token)
    }

    fn assertion(&self, nonce: &str, jti: Uuid, now: UnixMillis) -> String {
        self.key.assertion(self.device, &self.audience, nonce, jti, now)
    }
}

/// Compresses a body where that is worth it and the server's bound on the ratio allows it.
fn compressed(body: &str) -> (Vec<u8>, Option<&'static str>) {
    let plain = || (body.as_bytes().to_vec(), None);
    if body.len() < COMPRESS_BYTES_MIN {
        return plain();
    }
    match zstd::encode_all(body.as_bytes(), COMPRESS_LEVEL) {
        Ok(bytes) if bytes.len() < body.len() && bytes.len() * INFLATE_RATIO_MAX > body.len() => {
            (bytes, Some("zstd"))
        }
        Ok(_) | Err(_) => plain(),
    }
}

async fn call(request: RequestBuilder) -> Result<Reply, TabletError> {
    reply_of(request.header(ACCEPT, ACCEPTED).send().await.map_err(TabletError::Unreachable)?).await
}

pub(crate) async fn reply_of(mut response: Response) -> Result<Reply, TabletError> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after_ms =
        retry_after.and_then(|s| s.trim().parse::<i64>().ok()).map(|s| s.saturating_mul(1_000));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(TabletError::Unreachable)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(TabletError::Unreadable(format!(
                "it has more than {ANSWER_BYTES_MAX} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, retry_after_ms, body })
}

fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, TabletError> {
    if !(200..300).contains(&reply.status) {
        return Err(problem(reply));
    }
    serde_json::from_slice(&reply.body).map_err(|e| TabletError::Unreadable(e.to_string()))
}

pub(crate) fn problem(reply: &Reply) -> TabletError {
    let problem: Problem = serde_json::from_slice(&reply.body).unwrap_or_default();
    let name = problem.kind.rsplit('/').next().unwrap_or_default().to_owned();
    let title = if problem.detail.is_empty() { problem.title } else { problem.detail };
    TabletError::Problem { status: reply.status, name, title, retry_after_ms: reply.retry_after_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_compressed_unless_the_ratio_would_be_refused() {
        let varied = format!("{:?}", (0..2_000).collect::<Vec<_>>());
        let (bytes, encoding) = compressed(&varied);
        assert_eq!(encoding, Some("zstd"));
        assert_eq!(zstd::decode_all(bytes.as_slice()).expect("zstd"), varied.as_bytes());
        let uniform = "x".repeat(200_000);
        assert_eq!(compressed(&uniform), (uniform.clone().into_bytes(), None));
        assert_eq!(compressed("short"), (b"short".to_vec(), None));
    }
}
