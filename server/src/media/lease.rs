//! Who writes to an upload: one call at a time, on whatever node. A call that needs the lease asks its holder to stop.

use crate::problem::ApiError;
use crate::state::AppState;
use std::time::Duration;
use storage::{Upload, UploadState};
use sync_protocol::id::{Tenant, UploadId};
use tokio::time::Instant;
use uuid::Uuid;

/// How long a lease lasts unless it is renewed: 15 seconds.
pub(super) const LEASE_MS: i64 = 15_000;
/// A lease that lasts no longer than this is renewed: 10 seconds.
pub(super) const RENEW_MS: i64 = 10_000;
/// How long a call waits for the lease.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(20);
/// How often a call looks whether the lease is free.
const LOOK: Duration = Duration::from_millis(100);

/// Takes the lease of an open upload for `owner` and gives the upload as it stands then.
///
/// `None` when the upload is no longer open. [`ApiError::UploadLocked`] when its holder did not stop in time.
pub(super) async fn take(
    state: &AppState,
    tenant: &Tenant,
    id: UploadId,
    owner: Uuid,
) -> Result<Option<Upload>, ApiError> {
    let began = Instant::now();
    let mut asked = false;
    loop {
        let now = state.clock.now();
        let mut tx = state.store.write().await?;
        let taken = tx.uploads().take(tenant, id, owner, now, now.plus(LEASE_MS)).await?;
        if !taken && !asked {
            tx.uploads().ask(tenant, id, owner).await?;
            asked = true;
        }
        let upload = tx.uploads().find(tenant, id).await?;
        tx.commit().await?;
        match upload {
            Some(upload) if upload.state == UploadState::Open => {
                if taken {
                    return Ok(Some(upload));
                }
            }
            _ => return Ok(None),
        }
        if !wait(state, tenant, id, began).await? {
            return Err(ApiError::UploadLocked);
        }
    }
}

/// Waits until the lease looks free; false when that takes too long.
async fn wait(
    state: &AppState,
    tenant: &Tenant,
    id: UploadId,
    began: Instant,
) -> Result<bool, ApiError> {
    while began.elapsed() < WAIT_MAX {
        tokio::time::sleep(LOOK).await;
        let mut tx = state.store.read().await?;
        let upload = tx.uploads().find(tenant, id).await?;
        let lease = upload.and_then(|upload| upload.lease);
        if lease.is_none_or(|lease| lease.until <= state.clock.now()) {
            return Ok(true);
        }
    }
    Ok(false)
}
