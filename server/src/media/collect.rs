//! What nobody needs goes: uploads whose time is over, what is left of closed ones, blobs that no change names.
//!
//! Deleting comes last and after a grace. Every step is judged by rows in one transaction, and each can be repeated by
//! whatever node: a step that was cut off is taken up by the next round. A blob goes in three steps: its row says that it
//! is being removed, if no change names it in that very transaction; its objects go; its rows go. A change that is
//! received meanwhile finds that the blob is not there, and whoever has the bytes sends them again, to a new home.

use super::objects::ObjectError;
use crate::fault::crash_point;
use crate::problem::ApiError;
use crate::state::AppState;
use futures_util::StreamExt as _;
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;
use storage::{Blob, BlobName, BlobState, UploadName, UploadState};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Tenant, UploadId};

/// Rows that one step of a round takes at most.
const BATCH: u32 = 200;
/// Blobs that a round looks at, whether a change names them.
const LOOKED_AT: u32 = 10_000;
/// Objects that are looked up at once.
const OBJECTS: usize = 500;
/// How often the whole store is searched for objects that no upload knows: once a day.
const SEARCH_MS: i64 = 24 * 3_600 * 1_000;
const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// Starts the rounds of collection; they end when the server stops.
pub fn start(state: &AppState) {
    let state = state.clone();
    tokio::spawn(async move {
        let mut rounds = Rounds::default();
        loop {
            let every = u64::from(state.config.objects.collect_every_s) * 1_000;
            // Nodes that were started together part.
            let pause = every / 2 + state.random.below(every);
            tokio::select! {
                () = state.stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            }
            if let Err(error) = rounds.next(&state).await {
                tracing::warn!(%error, "a round of collection ended early");
            }
        }
    });
}

/// The rounds of one process: where the next one goes on.
#[derive(Debug, Default)]
pub struct Rounds {
    looked_at: Option<BlobName>,
    searched_ms: Option<i64>,
}

impl Rounds {
    /// One round: every step over a bounded number of rows.
    pub async fn next(&mut self, state: &AppState) -> Result<(), ApiError> {
        expire(state).await?;
        for name in unswept(state).await? {
            sweep(state, &name).await?;
        }
        for name in self.unnamed(state).await? {
            condemn(state, &name).await?;
        }
        for doomed in doomed(state).await? {
            erase(state, &doomed).await?;
            forget(state, &doomed).await?;
        }
        let now = state.clock.now();
        let mut tx = state.store.write().await?;
        tx.uploads().remove_spent(now, BATCH).await?;
        tx.commit().await?;
        let searched = *self.searched_ms.get_or_insert(now.0);
        if now.0 - searched >= SEARCH_MS {
            self.searched_ms = Some(now.0);
            let tenants = state.store.read().await?.tenants().list().await?;
            for tenant in tenants {
                search(state, &tenant.id).await?;
            }
        }
        Ok(())
    }

    /// The next blobs whose grace is over, the oldest first, and from the beginning again after the last.
    async fn unnamed(&mut self, state: &AppState) -> Result<Vec<BlobName>, ApiError> {
        let before = grace(state);
        let mut tx = state.store.read().await?;
        let after = self.looked_at.take();
        let (found, last) = tx.blobs().unnamed(after.as_ref(), before, LOOKED_AT).await?;
        self.looked_at = last;
        Ok(found)
    }
}

/// Blobs that were stored until then have had their grace.
fn grace(state: &AppState) -> UnixMillis {
    let days = i64::from(state.config.objects.keep_unnamed_days);
    state.clock.now().plus(-days * DAY_MS)
}

/// Ends uploads whose time is over.
pub async fn expire(state: &AppState) -> Result<(), ApiError> {
    let now = state.clock.now();
    let mut tx = state.store.write().await?;
    for (tenant, id) in tx.uploads().expired(now, BATCH).await? {
        tx.uploads().close(&tenant, id, UploadState::Ended, now).await?;
        metrics::counter!("genba_uploads_expired_total").increment(1);
    }
    tx.commit().await?;
    Ok(())
}

/// Closed uploads of which something may be left, after their grace: a call that was writing has ended by then.
pub async fn unswept(state: &AppState) -> Result<Vec<UploadName>, ApiError> {
    let before = state.clock.now().plus(-i64::from(state.config.objects.keep_remains_s) * 1_000);
    let mut tx = state.store.read().await?;
    Ok(tx.uploads().unswept(before, BATCH).await?)
}

/// Removes the objects of a closed upload that no row names.
pub async fn sweep(state: &AppState, (tenant, id): &UploadName) -> Result<(), ApiError> {
    let mut tx = state.store.read().await?;
    let found = tx.uploads().find(tenant, *id).await?;
    let Some(upload) = found.filter(|upload| upload.state != UploadState::Open) else {
        return Ok(());
    };
    let Some(closed_at) = upload.closed_at else { return Ok(()) };
    let blob = tx.blobs().find(tenant, &upload.sha256).await?;
    let blob = blob.filter(|blob| blob.home == *id);
    if blob.as_ref().is_some_and(|blob| blob.state == BlobState::Deleting) {
        return Ok(());
    }
    let is_home = blob.is_some();
    let named = match blob {
        Some(blob) => {
            let parts = tx.uploads().parts(tenant, *id).await?;
            named(parts.into_iter().map(|part| part.key), blob)
        }
        None => BTreeSet::new(),
    };
    drop(tx);
    for key in state.objects.list(tenant, *id).await? {
        if !named.contains(&key) {
            state.objects.remove(&key).await?;
            metrics::counter!("genba_objects_removed_total", "why" => "unnamed").increment(1);
        }
    }
    crash_point("collect.swept");
    let mut tx = state.store.write().await?;
    if !is_home {
        tx.uploads().remove_parts(tenant, *id).await?;
    }
    tx.uploads().swept(tenant, *id, closed_at).await?;
    tx.commit().await?;
    Ok(())
}

/// All objects that rows name under the home of a blob.
fn named(parts: impl Iterator<Item = String>, blob: Blob) -> BTreeSet<String> {
    let smaller = [blob.thumb, blob.screen].into_iter().flatten();
    parts.chain(smaller.map(|derivative| derivative.key)).collect()
}

/// A blob that is being removed, with the home that it had when that was decided or read.
#[derive(Clone, Debug)]
pub struct Doomed {
    name: BlobName,
    home: UploadId,
}

/// Says of a blob that it is being removed, if its grace is over and no change names it at this moment.
pub async fn condemn(state: &AppState, name: &BlobName) -> Result<bool, ApiError> {
    let before = grace(state);
    let mut tx = state.store.write().await?;
    let condemned = tx.blobs().begin_removal(name, before).await?;
    tx.commit().await?;
    crash_point("collect.condemned");
    Ok(condemned)
}

/// Blobs that are being removed, by this process or another.
pub async fn doomed(state: &AppState) -> Result<Vec<Doomed>, ApiError> {
    let mut tx = state.store.read().await?;
    let mut doomed = Vec::new();
    for name in tx.blobs().removing(BATCH).await? {
        let blob = tx.blobs().find(&name.tenant, &name.sha256).await?;
        let blob = blob.filter(|blob| blob.state == BlobState::Deleting);
        doomed.extend(blob.map(|blob| Doomed { name, home: blob.home }));
    }
    Ok(doomed)
}

/// Removes all objects of a blob that is being removed. Who brings it back does so in another home.
pub async fn erase(state: &AppState, doomed: &Doomed) -> Result<(), ApiError> {
    for key in state.objects.list(&doomed.name.tenant, doomed.home).await? {
        state.objects.remove(&key).await?;
        metrics::counter!("genba_objects_removed_total", "why" => "collected").increment(1);
    }
    crash_point("collect.erased");
    Ok(())
}

/// Removes the rows of a blob whose objects are gone; those of its old home only, if it was brought back meanwhile.
pub async fn forget(state: &AppState, doomed: &Doomed) -> Result<(), ApiError> {
    let Doomed { name: BlobName { tenant, sha256, .. }, home } = doomed;
    let now = state.clock.now();
    let mut tx = state.store.write().await?;
    let gone = tx.blobs().remove(tenant, sha256, *home).await?;
    tx.uploads().remove_parts(tenant, *home).await?;
    // Whoever was writing a smaller picture may still do so: its home is swept once more after a grace.
    tx.uploads().sweep_again(tenant, *home, now).await?;
    tx.commit().await?;
    if gone {
        metrics::counter!("genba_blobs_collected_total").increment(1);
    }
    Ok(())
}

/// Removes old objects of a tenant that no upload knows: a call died after it wrote its first part and before its row.
pub async fn search(state: &AppState, tenant: &Tenant) -> Result<(), ApiError> {
    let before = state.clock.now().plus(-i64::from(state.config.objects.keep_remains_s) * 1_000);
    let mut found = pin!(state.objects.all(tenant).chunks(OBJECTS));
    while let Some(chunk) = found.next().await {
        let objects = chunk.into_iter().collect::<Result<Vec<_>, ObjectError>>()?;
        let ids: BTreeSet<UploadId> = objects.iter().filter_map(|object| object.upload).collect();
        let ids: Vec<UploadId> = ids.into_iter().collect();
        let known = state.store.read().await?.uploads().known(tenant, &ids).await?;
        let known: BTreeSet<UploadId> = known.into_iter().collect();
        for object in objects {
            let is_known = object.upload.is_none_or(|id| known.contains(&id));
            if !is_known && object.written_at <= before {
                state.objects.remove(&object.key).await?;
                metrics::counter!("genba_objects_removed_total", "why" => "unknown").increment(1);
            }
        }
    }
    Ok(())
}
