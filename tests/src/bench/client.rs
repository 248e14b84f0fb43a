//! A tablet reduced to its calls: it numbers, pushes and moves its cursor, and throws away what it is sent.

use super::scene::{Person, Scene, now};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use serde_json::value::RawValue;
use std::io::Read;
use std::time::Instant;
use sync_protocol::clock::{ClockReading, Instant as WallInstant};
use sync_protocol::id::{AttemptId, Bucket, EpochId, LeaseId, ReplicaId};
use sync_protocol::wire::{Push, SnapToken, SyncRequest, VERSION, Want};
use uuid::Uuid;

/// A token is replaced before its five minutes are over.
const TOKEN_SECONDS: u64 = 200;
/// The level at which requests are compressed.
const ZSTD_LEVEL: i32 = 3;
/// What an answer ends with: nothing of it but the records.
const RECORDS: &[u8] = b",\"records\":[";
/// Pages of a first sync at most.
const PAGES_MAX: usize = 100_000;

/// What a call took and brought.
#[derive(Debug)]
pub struct Answer {
    /// The answer without its records.
    pub head: Value,
    /// Bytes of the request's body on the wire.
    pub sent_bytes: usize,
    /// Bytes of the answer's body on the wire.
    pub received_bytes: usize,
    /// How the answer was compressed.
    pub encoding: String,
}

/// What a first sync took.
#[derive(Debug)]
pub struct Entered {
    /// Calls.
    pub calls: u32,
    /// Bytes of the answers' bodies on the wire.
    pub bytes: usize,
    /// How the pages were compressed.
    pub encoding: String,
}

/// A tablet that calls a server.
#[derive(Debug)]
pub struct Tablet<'a> {
    scene: &'a Scene,
    person: Person,
    http: reqwest::Client,
    url: String,
    token: (String, Instant),
    replica: ReplicaId,
    lease: Option<LeaseId>,
    epoch: Option<EpochId>,
    cursor: Option<String>,
    have: Vec<Bucket>,
    snap: Vec<SnapToken>,
    next_n: i64,
    began: Instant,
    /// Bytes of records that an answer may hold; the protocol's default if `None`.
    pub page_bytes: Option<usize>,
}

/// A client that neither compresses nor inflates by itself.
pub fn http() -> Result<reqwest::Client> {
    let _other = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Ok(reqwest::Client::builder().no_gzip().no_zstd().build()?)
}

impl<'a> Tablet<'a> {
    /// A tablet at its first start.
    pub fn new(scene: &'a Scene, person: &Person, url: &str) -> Result<Self> {
        Ok(Self {
            scene,
            person: person.clone(),
            http: http()?,
            url: format!("{url}/v1/sync"),
            token: (scene.token(person)?, Instant::now()),
            replica: ReplicaId(random_id()),
            lease: None,
            epoch: None,
            cursor: None,
            have: Vec::new(),
            snap: Vec::new(),
            next_n: 1,
            began: Instant::now(),
            page_bytes: None,
        })
    }

    /// Calls until everything granted is held.
    pub async fn enter(&mut self) -> Result<Entered> {
        let mut entered = Entered { calls: 0, bytes: 0, encoding: String::new() };
        for _ in 0..PAGES_MAX {
            let answer = self.call(&[]).await?;
            entered.calls += 1;
            entered.bytes += answer.received_bytes;
            if answer.head.get("more") == Some(&Value::Bool(false)) {
                return Ok(entered);
            }
            entered.encoding = answer.encoding;
        }
        bail!("the first sync does not end")
    }

    /// One call that pushes these frozen texts; every one must be applied.
    pub async fn call(&mut self, changes: &[Box<RawValue>]) -> Result<Answer> {
        let body = zstd::encode_all(self.envelope(changes)?.as_slice(), ZSTD_LEVEL)?;
        let sent_bytes = body.len();
        if self.token.1.elapsed().as_secs() >= TOKEN_SECONDS {
            self.token = (self.scene.token(&self.person)?, Instant::now());
        }
        let response = self
            .http
            .post(&self.url)
            .bearer_auth(&self.token.0)
            .header("content-type", "application/json")
            .header("content-encoding", "zstd")
            .header("accept-encoding", "gzip, zstd")
            .body(body)
            .send()
            .await?;
        let status = response.status();
        let encoding = response.headers().get("content-encoding");
        let encoding = encoding.and_then(|name| name.to_str().ok()).unwrap_or_default().to_owned();
        let bytes = response.bytes().await?;
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&bytes));
        let answer = Answer {
            head: head(&encoding, &bytes)?,
            sent_bytes,
            received_bytes: bytes.len(),
            encoding,
        };
        self.take(&answer.head, changes.len())?;
        Ok(answer)
    }

    fn envelope(&self, changes: &[Box<RawValue>]) -> Result<Vec<u8>> {
        let request = SyncRequest {
            v: VERSION,
            replica: self.replica,
            attempt: AttemptId(random_id()),
            lease: self.lease,
            clock: ClockReading {
                now: WallInstant(now()),
                mono: i64::try_from(self.began.elapsed().as_millis())?,
                boot: "run".to_owned(),
            },
            epoch: self.epoch,
            cursor: self.cursor.clone(),
            have: self.have.clone(),
            snap: self.snap.clone(),
            push: Push {
                from: self.next_n,
                changes: changes.iter().map(AsRef::as_ref).collect(),
                ..Push::default()
            },
            purged: Vec::new(),
            open: Vec::new(),
            blobs: Vec::new(),
            want: Want { max_bytes: self.page_bytes, sums: false },
        };
        Ok(serde_json::to_vec(&request)?)
    }

    /// Moves on as a tablet does after it has stored an answer.
    fn take(&mut self, head: &Value, pushed: usize) -> Result<()> {
        let text =
            |name: &str| head.get(name).and_then(Value::as_str).context("an answer lacks a member");
        self.lease = Some(text("lease")?.parse()?);
        self.epoch = Some(text("epoch")?.parse()?);
        self.cursor = Some(text("cursor")?.to_owned());
        let list =
            |name: &str| head.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let results = list("results");
        let applied =
            results.iter().filter(|result| result.get("st").is_some_and(|st| st == "ok")).count();
        ensure!(applied == pushed, "not every change was applied: {results:?}");
        self.next_n += i64::try_from(pushed)?;
        self.snap.clear();
        for bucket in list("snap").into_iter().chain(list("enter")) {
            let snap = SnapToken {
                bucket: bucket.get("bucket").and_then(Value::as_str).unwrap_or_default().parse()?,
                token: bucket.get("token").and_then(Value::as_str).map(str::to_owned),
            };
            if snap.token.is_some() {
                self.snap.push(snap);
            } else {
                self.have.push(snap.bucket);
            }
        }
        Ok(())
    }
}

fn random_id() -> Uuid {
    let mut bytes = [0; 16];
    server::random::Random::fill(&server::random::OsRandom, &mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// Inflates an answer as far as its records begin: they are the last member, and are thrown away.
fn head(encoding: &str, bytes: &[u8]) -> Result<Value> {
    const CHUNK_BYTES: usize = 4_096;
    let mut source: Box<dyn Read> = match encoding {
        "" => Box::new(bytes),
        "gzip" => Box::new(flate2::read::GzDecoder::new(bytes)),
        "zstd" => Box::new(zstd::stream::read::Decoder::with_buffer(bytes)?),
        other => bail!("the answer is encoded as {other}"),
    };
    let mut text = Vec::new();
    let mut chunk = [0; CHUNK_BYTES];
    loop {
        if let Some(end) = text.windows(RECORDS.len()).position(|window| window == RECORDS) {
            text.truncate(end);
            text.push(b'}');
            return Ok(serde_json::from_slice(&text)?);
        }
        let read = source.read(&mut chunk)?;
        ensure!(read > 0, "an answer without records");
        text.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
}
