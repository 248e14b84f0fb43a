//! Reads blobs back: only through a record that the reader may see now, and a reference that holds.
//!
//! Whoever may not know of a blob is told the same as when there were none.

use super::hasher::Hasher;
use super::objects::ObjectError;
use crate::fault::planted;
use crate::problem::ApiError;
use crate::state::AppState;
use crate::sync::rights;
use axum::body::{Body, Bytes};
use futures_util::{Stream, stream};
use std::collections::VecDeque;
use std::ops::Range;
use storage::{Blob, Derivative, Hash, Render, Tx};
use sync_protocol::blob::BlobHash;
use sync_protocol::id::{RecordId, Tenant, UserId};

const NO_MEDIA: ApiError = ApiError::NotFound { kind: "media" };
/// How much of a blob is in memory for one reader: 512 KiB, twice.
const BLOCK_BYTES: u64 = 512 * 1024;

/// Which picture of a blob is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// The blob as it came.
    Original,
    /// The small picture for lists.
    Thumb,
    /// The picture for a screen.
    Screen,
}

/// Finds a blob for a reader.
pub async fn find(
    state: &AppState,
    tenant: &Tenant,
    user: UserId,
    rec: RecordId,
    sha256: Hash,
) -> Result<Found, ApiError> {
    let now = state.clock.now();
    let mut tx = state.store.read().await?;
    let grants = tx.grants().of_users(tenant, &[user]).await?;
    let readable = rights::readable(&grants, now);
    let pointers = tx.pointers().buckets_of(tenant, &[rec]).await?;
    let seen = pointers.iter().any(|pointer| pointer.live && readable.contains(&pointer.bucket));
    if !seen && !planted("read-scope-unchecked") {
        return Err(NO_MEDIA);
    }
    let blob = tx.blobs().find_readable(tenant, rec, &sha256).await?.ok_or(NO_MEDIA)?;
    let parts = parts(&mut tx, tenant, &blob).await?;
    Ok(Found { blob, parts })
}

/// A blob with its objects, for those who make something of it: nobody asks what they may see.
pub(super) async fn of_blob(tx: &mut Tx, tenant: &Tenant, blob: Blob) -> Result<Found, ApiError> {
    let parts = parts(tx, tenant, &blob).await?;
    Ok(Found { blob, parts })
}

async fn parts(tx: &mut Tx, tenant: &Tenant, blob: &Blob) -> Result<Vec<(String, u64)>, ApiError> {
    let parts = tx.uploads().parts(tenant, blob.home).await?;
    let bytes: i64 = parts.iter().map(|part| part.bytes).sum();
    if bytes != blob.bytes {
        return Err(ApiError::internal("the parts of a blob are not all of it"));
    }
    let sized = |bytes: i64| u64::try_from(bytes).unwrap_or_default();
    Ok(parts.into_iter().map(|part| (part.key, sized(part.bytes))).collect())
}

/// A blob with the objects that its bytes lie in.
#[derive(Debug)]
pub struct Found {
    /// The blob.
    pub blob: Blob,
    parts: Vec<(String, u64)>,
}

impl Found {
    /// The smaller picture, which is one object; `None` for the original.
    pub fn derivative(&self, size: Size) -> Result<Option<&Derivative>, ApiError> {
        let derivative = match size {
            Size::Original => return Ok(None),
            Size::Thumb => self.blob.thumb.as_ref(),
            Size::Screen => self.blob.screen.as_ref(),
        };
        match (derivative, self.blob.render) {
            (Some(derivative), _) => Ok(Some(derivative)),
            (None, Render::Pending) => Err(ApiError::NotRendered),
            (None, Render::None | Render::Made | Render::Unrenderable) => {
                Err(ApiError::Unrenderable)
            }
        }
    }

    /// A body of these bytes. The first are read before it is given, so that a store that is down is told as such.
    ///
    /// A whole blob is hashed on its way; when it is not what was proven, the body breaks off before its end.
    pub async fn body(&self, state: &AppState, range: Range<u64>) -> Result<Body, ApiError> {
        let mut walk = self.walk(state, &range);
        let first = walk.next().await?;
        let first = stream::iter(first.map(Ok));
        Ok(Body::from_stream(futures_util::StreamExt::chain(first, walk.rest())))
    }

    /// These bytes, block by block. A whole blob is hashed on its way.
    pub(super) fn pieces(
        &self,
        state: &AppState,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, ObjectError>> + Send + use<> {
        self.walk(state, &range).rest()
    }

    fn walk(&self, state: &AppState, range: &Range<u64>) -> Walk {
        let bytes = u64::try_from(self.blob.bytes).unwrap_or_default();
        let proof = (*range == (0..bytes)).then(Hasher::default);
        let (state, sha256) = (state.clone(), self.blob.sha256);
        Walk { state, sha256, blocks: self.blocks(range), proof, held: None }
    }

    /// The ranges of objects that hold a range of the blob.
    fn blocks(&self, range: &Range<u64>) -> VecDeque<(String, Range<u64>)> {
        let mut blocks = VecDeque::new();
        let mut begin = 0;
        for (key, bytes) in &self.parts {
            let within = range.start.max(begin)..range.end.min(begin + bytes);
            let mut at = within.start;
            while at < within.end {
                let to = within.end.min(at + BLOCK_BYTES);
                blocks.push_back((key.clone(), at - begin..to - begin));
                at = to;
            }
            begin += bytes;
        }
        blocks
    }
}

/// Walks over the objects of a blob, block by block.
struct Walk {
    state: AppState,
    sha256: Hash,
    blocks: VecDeque<(String, Range<u64>)>,
    proof: Option<Hasher>,
    /// The block that is given only when the next one, or the proof, is there.
    held: Option<Bytes>,
}

impl Walk {
    fn rest(self) -> impl Stream<Item = Result<Bytes, ObjectError>> + Send + use<> {
        stream::try_unfold(self, |mut walk| async move {
            Ok::<_, ObjectError>(walk.next().await?.map(|block| (block, walk)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        loop {
            let Some((key, range)) = self.blocks.pop_front() else {
                if self.proof.take().is_some_and(|hasher| hasher.hash() != self.sha256) {
                    return Err(damaged(self.sha256));
                }
                return Ok(self.held.take());
            };
            let block = match self.state.objects.read(&key, range).await {
                Err(ObjectError::Gone) => return Err(missing(self.sha256, &key)),
                block => block?,
            };
            let Some(hasher) = &mut self.proof else { return Ok(Some(block)) };
            hasher.update(&block);
            if let Some(before) = self.held.replace(block) {
                return Ok(Some(before));
            }
        }
    }
}

fn missing(sha256: Hash, key: &str) -> ObjectError {
    let sha256 = BlobHash(sha256);
    tracing::error!(alarm = "object_missing", blob.sha256 = %sha256, object.key = key, "an object that a row names is gone");
    metrics::counter!("genba_alarms_total", "alarm" => "object_missing").increment(1);
    ObjectError::Gone
}

fn damaged(sha256: Hash) -> ObjectError {
    let sha256 = BlobHash(sha256);
    tracing::error!(alarm = "blob_damaged", blob.sha256 = %sha256, "a blob is not what was proven");
    metrics::counter!("genba_alarms_total", "alarm" => "blob_damaged").increment(1);
    ObjectError::Damaged
}
