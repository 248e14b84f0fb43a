//! A server whose store is gated, two people who photograph, and one who collects.

use super::gated::{Gate, Gated};
use crate::crash::site::{Person, Site};
use crate::crash::stage::BEGIN;
use crate::uploads::camera::Shot;
use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::TryStreamExt as _;
use object_store::ObjectStore as _;
use server::clock::{Clock as _, ManualClock};
use server::random::SeededRandom;
use server::{AppState, Parts};
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::testing::{self, TestStore};
use storage::{BlobReference, BlobState, UploadPart};
use sync_protocol::id::{ChangeId, RecordId};
use tower::ServiceExt as _;

/// Whose changes name the blobs.
pub(super) const AUTHOR: usize = 0;
/// Somebody who photographs the same.
pub(super) const OTHER: usize = 1;
/// Bytes of a photo; an upload in two calls sends half of them first.
pub(super) const PHOTO_BYTES: usize = 64;

/// A server in this process.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) state: AppState,
    pub(super) site: Site,
    pub(super) clock: Arc<ManualClock>,
    pub(super) gate: Arc<Gate>,
    objects: Arc<Gated>,
    app: Router,
    _test: TestStore,
}

/// How a blob stands for its author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Have,
    Need,
    Unnamed,
}

/// What is seen of a photo.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// How it stands for the author.
    pub(super) standing: Standing,
    /// Whether the server has it, named or not.
    pub(super) there: bool,
    /// Whether its record shows it.
    pub(super) is_shown: bool,
    /// The objects that hold it.
    pub(super) keys: Vec<String>,
    /// Its bytes, if it is there.
    pub(super) bytes: Option<Vec<u8>>,
}

impl Scene {
    /// Opens on a fresh SQLite database.
    pub(super) async fn open(seed: u64) -> Result<Self> {
        let test = testing::sqlite().await.map_err(anyhow::Error::from_boxed)?;
        let site = Site::make(&test.store, 2, BEGIN).await?;
        let clock = Arc::new(ManualClock::at(BEGIN));
        let objects = Arc::new(Gated::default());
        let parts = Parts {
            store: test.store.clone(),
            clock: Arc::<ManualClock>::clone(&clock),
            random: Arc::new(SeededRandom::new(seed)),
            objects: Arc::<Gated>::clone(&objects),
            config: Arc::default(),
        };
        let state = AppState::open(parts).await?;
        let app = server::app(&state);
        let gate = Arc::clone(&objects.gate);
        Ok(Self { state, site, clock, gate, objects, app, _test: test })
    }

    fn person(&self, who: usize) -> Result<Person> {
        self.site.people.get(who).copied().context("there are two people")
    }

    async fn call(
        &self,
        who: usize,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        bytes: Option<&[u8]>,
    ) -> Result<Response<Body>> {
        let token = self.site.token(self.person(who)?, self.clock.now());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header("tus-resumable", "1.0.0");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if bytes.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/offset+octet-stream");
        }
        let body = bytes.map_or_else(Body::empty, |bytes| Body::from(bytes.to_vec()));
        let Ok(answer) = self.app.clone().oneshot(request.body(body)?).await;
        Ok(answer)
    }

    /// Begins an upload, with its first bytes or without; gives its address, or `None` if the store failed.
    async fn create(
        &self,
        who: usize,
        shot: &Shot,
        first: Option<&[u8]>,
    ) -> Result<Option<String>> {
        let length = shot.bytes.len().to_string();
        let metadata = format!(
            "sha256 {},mime {}",
            STANDARD.encode(shot.blob.sha256.to_string()),
            STANDARD.encode(shot.blob.kind.mime())
        );
        let headers = [("upload-length", &*length), ("upload-metadata", &*metadata)];
        let answer = self.call(who, Method::POST, "/v1/uploads", &headers, first).await?;
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            return Ok(None);
        }
        ensure!(answer.status() == StatusCode::CREATED, "created: {}", answer.status());
        ensure!(offset(&answer) == first.map_or(0, <[u8]>::len), "not all came");
        let place = answer.headers().get(header::LOCATION).context("a location")?.to_str()?;
        let at = place.find("/v1/").context("a location of ours")?;
        Ok(place.get(at..).map(ToOwned::to_owned))
    }

    /// Uploads a photo in one call; false if the store failed.
    pub(super) async fn upload(&self, who: usize, shot: &Shot) -> Result<bool> {
        Ok(self.create(who, shot, Some(&shot.bytes)).await?.is_some())
    }

    /// Uploads a photo in three calls, a creation and two that bring bytes; false if the store failed or the sender.
    pub(super) async fn upload_in_calls(&self, who: usize, shot: &Shot) -> Result<bool> {
        let Some(place) = self.create(who, shot, None).await? else { return Ok(false) };
        let (first, last) = shot.bytes.split_at(shot.bytes.len() / 2);
        for (from, piece) in [(0, first), (first.len(), last)] {
            if !self.gate.stop().await {
                return Ok(false);
            }
            let at = from.to_string();
            let headers = [("upload-offset", &*at)];
            let answer = self.call(who, Method::PATCH, &place, &headers, Some(piece)).await?;
            match answer.status() {
                StatusCode::NO_CONTENT => {}
                // The uploads of earlier days were ended meanwhile.
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::GONE => return Ok(false),
                status => anyhow::bail!("a PATCH is answered {status}"),
            }
            ensure!(offset(&answer) == from + piece.len(), "not all came");
        }
        Ok(true)
    }

    /// Has a received change of the author name a photo, as ingest does it; tells how it stands in that transaction.
    pub(super) async fn name(&self, rec: RecordId, shot: &Shot) -> Result<Standing> {
        let (tenant, author) = (&self.site.tenant, self.person(AUTHOR)?.user);
        let sha256 = shot.blob.sha256;
        let reference = BlobReference {
            rec,
            sha256,
            change: ChangeId(rec.0),
            author,
            clock_offset_ms: None,
            applied: true,
        };
        let mut tx = self.state.store.write().await?;
        tx.blob_refs().lock(tenant, &[sha256].into()).await?;
        tx.blob_refs().append(tenant, &[reference]).await?;
        let told = tx.blob_refs().standing(tenant, author, &[sha256]).await?;
        tx.commit().await?;
        Ok(if told.have.is_empty() { Standing::Need } else { Standing::Have })
    }

    /// How a photo stands for the author, and what is shown of it.
    pub(super) async fn look(&self, rec: RecordId, shot: &Shot) -> Result<Look> {
        let (tenant, sha256) = (&self.site.tenant, shot.blob.sha256);
        let mut tx = self.state.store.read().await?;
        let told = tx.blob_refs().standing(tenant, self.person(AUTHOR)?.user, &[sha256]).await?;
        let standing = match (told.have.is_empty(), told.need.is_empty()) {
            (true, true) => Standing::Unnamed,
            (false, true) => Standing::Have,
            (true, false) => Standing::Need,
            (false, false) => anyhow::bail!("a photo is had and needed"),
        };
        let blob = tx.blobs().find(tenant, &sha256.0).await?;
        let is_shown = tx.blobs().find_readable(tenant, rec, &sha256.0).await?.is_some();
        let Some(blob) = blob else {
            return Ok(Look { standing, there: false, is_shown, keys: Vec::new(), bytes: None });
        };
        let parts = tx.uploads().parts(tenant, blob.home).await?;
        drop(tx);
        let there = blob.state == BlobState::Have;
        let keys = parts.iter().map(|part| part.key.clone()).collect();
        let bytes = if there { Some(self.read(parts).await?) } else { None };
        Ok(Look { standing, there, is_shown, keys, bytes })
    }

    async fn read(&self, parts: Vec<UploadPart>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for part in parts {
            let range = 0..u64::try_from(part.bytes)?;
            bytes.extend_from_slice(&self.state.objects.read(&part.key, range).await?);
        }
        Ok(bytes)
    }

    /// The names of all objects in the store.
    pub(super) async fn objects(&self) -> Result<BTreeSet<String>> {
        let found = self.objects.list(None).map_ok(|meta| meta.location.to_string());
        Ok(found.try_collect().await?)
    }
}

fn offset(answer: &Response<Body>) -> usize {
    let told = answer.headers().get("upload-offset").map(HeaderValue::to_str);
    told.and_then(|told| told.ok()?.parse().ok()).unwrap_or_default()
}
