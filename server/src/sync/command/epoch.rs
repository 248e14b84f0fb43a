//! A new epoch: after a restore the history of the server is another one, and every lease of before is void.

use super::Done;
use crate::fault::crash_point;
use crate::problem::ApiError;
use crate::sync::ingest::Room;
use storage::Tx;
use sync_protocol::id::{EpochId, Tenant};

/// Begins a new epoch, if the one that is to end has not ended already.
pub(super) async fn begin(tx: &mut Tx, room: Room<'_>, ends: EpochId) -> Result<Done, ApiError> {
    let head = tx.head().read(room.tenant).await?;
    if head.epoch == ends {
        new_epoch(tx, room.tenant, EpochId(room.random.uuid_v7(room.now))).await?;
    }
    Ok(Done { head: head.seq, ..Done::default() })
}

/// Begins an epoch and voids all leases.
pub async fn new_epoch(tx: &mut Tx, tenant: &Tenant, epoch: EpochId) -> Result<(), ApiError> {
    tx.replicas().void_all(tenant).await?;
    crash_point("epoch.leases_void");
    tx.head().new_epoch(tenant, epoch).await?;
    Ok(())
}
