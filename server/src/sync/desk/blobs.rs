//! What the changes of a desk say of blobs.

use super::{Desk, Place, Taken};
use crate::problem::ApiError;
use std::collections::{BTreeMap, BTreeSet};
use storage::{BlobReference, Tx};
use sync_protocol::blob::{BlobHash, BlobRef};
use sync_protocol::change::Code;

impl Desk<'_> {
    /// Notes which blobs the changes name, applied and quarantined ones; nothing when they name none.
    ///
    /// The blobs are locked first, so that none of them is collected by someone who has not seen the reference.
    pub(super) async fn write_blob_refs(&self, tx: &mut Tx) -> Result<(), ApiError> {
        let references = references(&self.taken);
        if references.is_empty() {
            return Ok(());
        }
        let hashes: BTreeSet<BlobHash> =
            references.iter().map(|reference| reference.sha256).collect();
        tx.blob_refs().lock(self.tenant, &hashes).await?;
        tx.blob_refs().append(self.tenant, &references).await?;
        Ok(())
    }
}

/// The references, each once, in the order of their keys.
fn references(taken: &[Taken]) -> Vec<BlobReference> {
    let mut references = BTreeMap::new();
    for taken in taken {
        let Ok(change) = &taken.incoming.read else { continue };
        let applied = match taken.place {
            Place::Journal { .. } => true,
            // Stored without being looked at: what it names is read when a person releases it.
            Place::Quarantine { code: Code::BadOp, .. } => continue,
            Place::Quarantine { .. } => false,
        };
        for blob in BlobRef::named(change) {
            let (rec, sha256, change, author) =
                (change.rec, blob.sha256, change.id, taken.source.by);
            let clock_offset_ms = taken.source.clock_offset_ms;
            let reference = BlobReference { rec, sha256, change, author, clock_offset_ms, applied };
            let known = references.entry((rec, sha256, change, author)).or_insert(reference);
            known.applied |= applied;
        }
    }
    references.into_values().collect()
}
