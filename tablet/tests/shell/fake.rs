//! A server of canned answers over plain HTTP/1.1, one request a connection.

use crate::tus::{Media, TusAnswer};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use sync_protocol::replica::Chance as _;
use sync_protocol::value::{hash_of, hash_text};
use tablet::{Clock, Enrolment, OsChance, SystemClock, Tablet, TabletError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// The body as JSON, inflated.
    pub(crate) fn json(&self) -> Value {
        let zstd = self.headers.to_ascii_lowercase().contains("content-encoding: zstd");
        let body =
            if zstd { zstd::decode_all(&*self.body).expect("zstd") } else { self.body.clone() };
        serde_json::from_slice(&body).expect("a JSON body")
    }
}

type Canned = (u16, String);

#[derive(Clone, Debug)]
pub(crate) struct Fake {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    syncs: Arc<Mutex<VecDeque<Canned>>>,
    pub(crate) bundle: Arc<Mutex<String>>,
    pub(crate) media: Arc<Mutex<Media>>,
    /// The n up to which a backup holds everything.
    pub(crate) durable: Arc<Mutex<Option<i64>>>,
}

pub(crate) const DEVICE: &str = "01990000-0000-7000-8000-00000000000d";
pub(crate) const USER: &str = "01990000-0000-7000-8000-00000000000e";
const EPOCH: &str = "01990000-0000-7000-8000-0000000000e0";

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let fake = Self {
            url,
            seen: Arc::default(),
            syncs: Arc::default(),
            bundle: Arc::default(),
            media: Arc::default(),
            durable: Arc::default(),
        };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = serving.clone();
                tokio::spawn(async move { fake.serve(stream).await });
            }
        });
        fake
    }

    /// The next answers to `POST /v1/sync`.
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Canned>) {
        self.syncs.lock().expect("not poisoned").extend(answers);
    }

    /// The lines of all requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        let seen = self.seen.lock().expect("not poisoned");
        seen.iter().map(|seen| seen.line.trim_end_matches(" HTTP/1.1").to_owned()).collect()
    }

    /// The requests of a method so far.
    pub(crate) fn of_method(&self, method: &str) -> Vec<Seen> {
        let seen = self.seen.lock().expect("not poisoned");
        seen.iter().filter(|seen| seen.line.split(' ').next() == Some(method)).cloned().collect()
    }

    /// The requests to a path so far.
    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.seen.lock().expect("not poisoned");
        seen.iter().filter(|seen| seen.line.split(' ').nth(1) == Some(path)).cloned().collect()
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let request = read(&mut stream).await?;
        let answer = if request.line.contains(" /v1/uploads") {
            self.media.lock().expect("not poisoned").answer(&request)
        } else {
            let (status, body) = self.answer(&request);
            TusAnswer { status, body, ..TusAnswer::default() }
        };
        self.seen.lock().expect("not poisoned").push(request);
        let TusAnswer { status, headers, body, lost } = answer;
        if lost {
            return None;
        }
        let head = format!(
            "HTTP/1.1 {status} X\r\n{headers}content-type: application/json\r\n{}connection: close\r\n\r\n",
            if status == 204 {
                String::new()
            } else {
                format!("content-length: {}\r\n", body.len())
            }
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()
    }

    fn answer(&self, request: &Seen) -> Canned {
        let path = request.line.split(' ').nth(1).unwrap_or_default();
        match path {
            "/v1/enrol" => {
                let body = json!({ "device": DEVICE, "user": USER, "user_name": "Sato", "tenant": "fire",
                                   "audience": "genba", "something_new": true });
                (201, body.to_string())
            }
            "/v1/nonce" => {
                (201, json!({ "nonce": "n", "expires_at": "2026-01-01T00:00:00.000Z" }).to_string())
            }
            "/v1/token" => {
                let tokens = self.seen("/v1/token").len();
                (
                    200,
                    json!({ "access_token": format!("token-{tokens}"), "token_type": "Bearer" })
                        .to_string(),
                )
            }
            "/v1/sync" => {
                let canned = self.syncs.lock().expect("not poisoned").pop_front();
                canned.unwrap_or_else(|| (200, self.accept(&request.json()).to_string()))
            }
            path if path.starts_with("/v1/bundles/") => {
                (200, self.bundle.lock().expect("not poisoned").clone())
            }
            _ => (
                404,
                json!({ "type": "/problems/not-found", "title": "no such thing" }).to_string(),
            ),
        }
    }
}

impl Fake {
    /// Accepts every change, and says what is needed of the blobs that are asked about.
    fn accept(&self, request: &Value) -> Value {
        let bundle = self.bundle.lock().expect("not poisoned");
        let hash =
            if bundle.is_empty() { String::new() } else { hash_text(&hash_of(bundle.as_bytes())) };
        let mut answer = accept_all(request, &hash);
        answer["blobs"] = self.media.lock().expect("not poisoned").blobs(request);
        answer["durable"] = json!(*self.durable.lock().expect("not poisoned"));
        answer
    }
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")?
                    .trim()
                    .parse::<usize>()
                    .ok()
            });
            let body = bytes.get(end + 4..)?;
            if body.len() >= length.unwrap_or(0) {
                let (line, headers) = head.split_once("\r\n")?;
                return Some(Seen {
                    line: line.to_owned(),
                    headers: headers.to_owned(),
                    body: body.to_vec(),
                });
            }
        }
        match stream.read(&mut buffer).await.ok()? {
            0 => return None,
            n => bytes.extend_from_slice(buffer.get(..n)?),
        }
    }
}

/// An answer that applies every change of the push and holds nothing else.
pub(crate) fn accept_all(request: &Value, bundle: &str) -> Value {
    let from = request["push"]["from"].as_i64().expect("from");
    let changes = request["push"]["changes"].as_array().cloned().unwrap_or_default();
    let results: Vec<Value> = (from..)
        .zip(&changes)
        .map(|(n, change)| json!({ "n": n, "id": change["id"], "st": "ok", "seq": n, "t_eff": 1 }))
        .collect();
    let last = changes.last().map(|change| change["id"].clone());
    json!({
        "v": 1, "epoch": EPOCH, "now": "2026-11-23T00:00:00.000Z", "lease": EPOCH,
        "known": { "n": from + i64::try_from(changes.len()).expect("few") - 1, "id": last },
        "durable": null, "results": results, "leave": [], "enter": [], "records": [], "snap": [],
        "cursor": "c", "more": false, "sums": null, "bundle": bundle,
        "blobs": { "need": [], "have": [] },
        "limits": { "max_body": 1_048_576, "max_change": 262_144, "max_push": 200 }, "retry_after": 0,
    })
}

/// A folder of its own, removed at the end.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("genba-tablet-{:032x}", OsChance.bits()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new("run".to_owned()))
}

pub(crate) async fn enrol(dir: &Path, url: &str) -> Result<Tablet, TabletError> {
    let enrolment = Enrolment {
        server: url.to_owned(),
        tenant: "fire".parse().expect("a tenant"),
        code: "ABCD".to_owned(),
        name: "test".to_owned(),
        ca: None,
    };
    Tablet::enrol(dir, &enrolment, clock()).await
}
