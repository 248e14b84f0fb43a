//! Takes the blobs that wait, one after the other, and stores what workers make of them.

use super::film;
use super::process::{Failure, Outcome, Rendered, WALL_MAX, Worker};
use crate::fault::crash_point;
use crate::media::reading::{self, Found};
use crate::problem::ApiError;
use crate::state::AppState;
use axum::body::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use image_worker::facts::Facts;
use image_worker::wire::Job;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use storage::{Derivative, Render, RenderLease, Rendering};
use sync_protocol::blob::{BlobHash, MediaType};
use tokio::sync::Notify;

/// How long nobody else begins with a blob: one worker, and reading and writing objects slowly.
const LEASE_MS: i64 = 5 * 60 * 1_000;
/// How long a blob rests after a failure.
const REST_MS: i64 = 60 * 1_000;
/// How often a node looks for what other nodes have left, or what has rested.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Rung when a blob has begun to wait.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Notify,
    unconfined_told: AtomicBool,
}

impl Bell {
    /// Wakes one who makes pictures, if this node has one.
    pub fn ring(&self) {
        self.rung.notify_one();
    }
}

/// Starts as many makers of pictures as the settings say; they end when the server stops.
pub fn start(state: &AppState) {
    let worker = Worker {
        program: own_program(),
        demand_seccomp: state.config.renders.demand_seccomp,
        wall_max: WALL_MAX,
    };
    for _ in 0..state.config.renders.at_once {
        let (state, worker) = (state.clone(), worker.clone());
        state.clone().tasks.spawn(async move {
            while !state.stop.is_cancelled() {
                match next(&state, &worker).await {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "a picture could not be made now"),
                }
                tokio::select! {
                    () = state.stop.cancelled() => {}
                    () = state.bell.rung.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
        });
    }
}

/// This very program, also when another was put in its place since it started.
fn own_program() -> std::path::PathBuf {
    let linux = std::path::PathBuf::from("/proc/self/exe");
    if linux.exists() { linux } else { std::env::current_exe().unwrap_or_default() }
}

/// Makes the pictures and facts of the blob that waits longest; false if none waits.
pub async fn next(state: &AppState, worker: &Worker) -> Result<bool, ApiError> {
    let now = state.clock.now();
    let waits = state.store.read().await?.renders().is_any_waiting(now).await?;
    if !waits {
        return Ok(false);
    }
    let mut tx = state.store.write().await?;
    let lease = tx.renders().lease(now, now.plus(LEASE_MS)).await?;
    tx.commit().await?;
    let Some(lease) = lease else { return Ok(false) };
    crash_point("render.leased");
    let looked_at = look_at(state, worker, &lease).await;
    let told = match &looked_at {
        Ok(rendered) => {
            note_unconfined(state, rendered.confined);
            keep(state, &lease, rendered).await?
        }
        Err(failure) => fail(state, &lease, failure).await?,
    };
    metrics::counter!("genba_renders_total", "outcome" => told).increment(1);
    Ok(true)
}

/// Has a worker look at a blob.
async fn look_at(
    state: &AppState,
    worker: &Worker,
    lease: &RenderLease,
) -> Result<Rendered, Failure> {
    let kind = MediaType::of_mime(&lease.mime).ok_or_else(|| source("an unknown type"))?;
    let found = find(state, lease).await.map_err(source)?;
    let bytes = u64::try_from(lease.bytes).map_err(source)?;
    let whole = Range { start: 0, end: bytes };
    let parts = if kind.is_video() {
        film::parts(kind, bytes, |range| gather(&found, state, range))
            .await
            .map_err(Failure::Source)?
    } else {
        vec![whole]
    };
    if parts.is_empty() {
        // A film whose table of contents is not found tells nothing.
        return Ok(Rendered { confined: true, facts: Facts::default(), outcome: Outcome::Kept });
    }
    let job = Job { kind, bytes: parts.iter().map(|part| part.end - part.start).sum() };
    let pieces = stream::iter(parts).map(|part| pieces(&found, state, part)).flatten();
    worker.render(job, pieces).await
}

async fn find(state: &AppState, lease: &RenderLease) -> Result<Found, ApiError> {
    let mut tx = state.store.read().await?;
    let blob = tx.blobs().find(&lease.tenant, &lease.sha256).await?;
    let blob = blob.filter(|blob| blob.home == lease.home);
    let blob = blob.ok_or(ApiError::NotFound { kind: "media" })?;
    reading::of_blob(&mut tx, &lease.tenant, blob).await
}

fn source(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::Source(io::Error::other(error))
}

fn pieces(
    found: &Found,
    state: &AppState,
    range: Range<u64>,
) -> impl Stream<Item = io::Result<Bytes>> + use<> {
    Box::pin(found.pieces(state, range).map_err(io::Error::other))
}

/// A small range whole.
fn gather(
    found: &Found,
    state: &AppState,
    range: Range<u64>,
) -> impl Future<Output = io::Result<Bytes>> + use<> {
    let pieces = pieces(found, state, range);
    async move {
        let pieces: Vec<Bytes> = pieces.try_collect().await?;
        Ok(pieces.concat().into())
    }
}

/// Stores what a worker told; gives how it is counted.
async fn keep(
    state: &AppState,
    lease: &RenderLease,
    rendered: &Rendered,
) -> Result<&'static str, ApiError> {
    let (render, thumb, screen, told) = match &rendered.outcome {
        Outcome::Made { thumb, screen } => {
            let (thumb, screen) =
                (put(state, lease, thumb).await?, put(state, lease, screen).await?);
            (Render::Made, Some(thumb), Some(screen), "made")
        }
        Outcome::Kept => (Render::None, None, None, "facts"),
        Outcome::Refused(why) => {
            let sha256 = BlobHash(lease.sha256);
            tracing::info!(blob.sha256 = %sha256, ?why, "no picture can be made of a blob");
            (Render::Unrenderable, None, None, "unrenderable")
        }
    };
    crash_point("render.objects_written");
    let facts = written(&rendered.facts)?;
    let rendering = Rendering { render, facts, thumb, screen };
    let mut tx = state.store.write().await?;
    let named = tx.renders().made(lease, &rendering).await?;
    if named && lease.again {
        // Whoever began before may have left pictures that no row names.
        tx.uploads().sweep_again(&lease.tenant, lease.home, state.clock.now()).await?;
    }
    tx.commit().await?;
    crash_point("render.named");
    if named {
        return Ok(told);
    }
    for picture in [rendering.thumb, rendering.screen].into_iter().flatten() {
        state.objects.remove(&picture.key).await?;
    }
    Ok("late")
}

async fn put(
    state: &AppState,
    lease: &RenderLease,
    picture: &Bytes,
) -> Result<Derivative, ApiError> {
    let key = state.objects.fresh(&lease.tenant, lease.home, &*state.random);
    state.objects.put(&key, picture.clone()).await?;
    Ok(Derivative { key, bytes: i64::try_from(picture.len()).map_err(ApiError::caused)? })
}

fn written(facts: &Facts) -> Result<String, ApiError> {
    serde_json::to_string(facts).map_err(ApiError::caused)
}

/// Stores that a worker came to no end; gives how it is counted.
async fn fail(
    state: &AppState,
    lease: &RenderLease,
    failure: &Failure,
) -> Result<&'static str, ApiError> {
    let again_at = state.clock.now().plus(REST_MS);
    let sha256 = BlobHash(lease.sha256);
    let mut tx = state.store.write().await?;
    let told = match failure {
        Failure::Died { facts, .. } => {
            let facts = facts.as_ref().map(written).transpose()?;
            let last = tx.renders().failed(lease, facts.as_deref(), again_at).await?;
            if last { "unrenderable" } else { "died" }
        }
        Failure::TookTooLong
        | Failure::Source(_)
        | Failure::NotStarted(_)
        | Failure::Unconfined => {
            tx.renders().postpone(lease, again_at).await?;
            "postponed"
        }
    };
    tx.commit().await?;
    let cause: &dyn std::error::Error = failure;
    tracing::warn!(blob.sha256 = %sha256, outcome = told, cause, "a picture was not made");
    Ok(told)
}

/// Says once that the kernel does not hold workers as it could.
fn note_unconfined(state: &AppState, confined: bool) {
    if !confined && !state.bell.unconfined_told.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "the kernel does not take system calls away: workers have their limits only; set \
             renders.demand_seccomp to make no pictures then"
        );
    }
}
