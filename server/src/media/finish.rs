//! The end of an upload, within the transaction that claims its last bytes.

use storage::{Blob, BlobState, Render, StorageError, Tx, Upload, UploadState};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::Tenant;

/// Finishes an upload whose bytes are durable and proven: the blob is there, and its sender has shown it.
///
/// `alone`: one object by one call brought everything, so that nothing is left which would have to be swept. Where the
/// blob is there already, these bytes take the place of those, which are swept: they may have been damaged or lost, and
/// whoever sent them last may not keep them much longer.
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
    if let Some(old) = tx.blobs().show(tenant, &blob, upload.user).await? {
        tx.uploads().sweep_again(tenant, old, now).await?;
    }
    tx.uploads().close(tenant, upload.id, UploadState::Finished, now).await?;
    if alone {
        tx.uploads().swept(tenant, upload.id, now).await?;
    }
    upload.state = UploadState::Finished;
    upload.lease = None;
    upload.closed_at = Some(now);
    Ok(())
}
