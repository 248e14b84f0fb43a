//! How a tablet reaches a server: over HTTP to another process, or straight into one of this process.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tower::ServiceExt as _;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// The largest body that is read: more than any answer has.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, in milliseconds.
    pub retry_after_ms: Option<i64>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A way to a server.
#[derive(Clone, Debug)]
pub enum Line {
    /// Over HTTP; the address moves when the server starts anew.
    Http(reqwest::Client, Arc<Mutex<String>>),
    /// Into servers of this process, in turn.
    Direct(Vec<Router>, Arc<AtomicUsize>),
}

impl Line {
    /// A line to the server whose address will be set.
    pub fn http() -> anyhow::Result<Self> {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let client = reqwest::Client::builder().timeout(ANSWER_MAX).build()?;
        Ok(Self::Http(client, Arc::default()))
    }

    /// A line into servers of this process, which stand on one database.
    pub fn direct(servers: Vec<Router>) -> Self {
        Self::Direct(servers, Arc::default())
    }

    /// Says where the server is now.
    pub fn lead_to(&self, address: &str) {
        if let Self::Http(_, url) = self {
            address.clone_into(&mut url.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Where the server is now; empty for servers of this process.
    pub fn address(&self) -> String {
        match self {
            Self::Http(_, url) => url.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Self::Direct(..) => String::new(),
        }
    }

    /// Calls and reads the whole answer; `None` when there is none.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<String>,
    ) -> Option<Reply> {
        match self {
            Self::Http(client, _) => {
                let base = self.address();
                let mut request =
                    client.request(method, format!("{base}{path}")).bearer_auth(token);
                if let Some(body) = body {
                    request = request.header(header::CONTENT_TYPE, "application/json").body(body);
                }
                let answer = request.send().await.ok()?;
                let status = answer.status().as_u16();
                let retry_after_ms = retry_after(answer.headers());
                let body = answer.bytes().await.ok()?.to_vec();
                Some(Reply { status, retry_after_ms, body })
            }
            Self::Direct(servers, turn) => {
                let turn = turn.fetch_add(1, Ordering::SeqCst);
                let app = servers.iter().cycle().nth(turn % servers.len().max(1))?;
                let mut request = Request::builder()
                    .method(method)
                    .uri(path)
                    .header(header::AUTHORIZATION, format!("Bearer {token}"));
                if body.is_some() {
                    request = request.header(header::CONTENT_TYPE, "application/json");
                }
                let request = request.body(body.map_or_else(Body::empty, Body::from)).ok()?;
                let Ok(answer) = app.clone().oneshot(request).await;
                let status = answer.status().as_u16();
                let retry_after_ms = retry_after(answer.headers());
                let body = to_bytes(answer.into_body(), BODY_BYTES_MAX).await.ok()?.to_vec();
                Some(Reply { status, retry_after_ms, body })
            }
        }
    }
}

fn retry_after(headers: &header::HeaderMap) -> Option<i64> {
    let seconds: i64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(seconds.saturating_mul(1_000))
}
