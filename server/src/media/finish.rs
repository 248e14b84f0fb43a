//! The end of an upload, within the transaction that claims its last bytes.

use storage::{Blob, BlobState, Render, StorageError, Tx, Upload, UploadState};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::Tenant;

/// Finishes an upload whose bytes are durable and proven: the blob is there, and its sender has shown it.
///
/// `alone`: one object by one call brought everything, so that nothing is left which would have to be swept. Where the
/// blob is there already, its bytes stay where they are, and those of this upload are swept.
pub async fn finish(
    tx: &mut Tx,
    tenant: &Tenant,
    upload: &mut Upload,
    alone: bool,
    now: UnixMillis,
) -> Result<(), StorageError> {
    let blob = Blob {
        sha256: upload.sha256,
        home: upload.id,
        bytes: upload.bytes,
        mime: upload.mime.clone(),
        state: BlobState::Have,
        stored_at: now,
        facts: None,
        render: Render::Pending,
        thumb: None,
        screen: None,
    };
    let before = tx.blobs().find(tenant, &upload.sha256).await?;
    let home = tx.blobs().show(tenant, &blob, upload.user).await?;
    if let Some(old) = before.filter(|_| home) {
        // Whoever was removing the blob removes no more than what it had seen.
        tx.uploads().sweep_again(tenant, old.home, now).await?;
    }
    tx.uploads().close(tenant, upload.id, UploadState::Finished, now).await?;
    if home && alone {
        tx.uploads().swept(tenant, upload.id, now).await?;
    }
    upload.state = UploadState::Finished;
    upload.lease = None;
    upload.closed_at = Some(now);
    Ok(())
}
