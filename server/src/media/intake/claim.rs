//! What is durable is claimed in one transaction, as long as the call may go on.

use super::{Intake, Put};
use crate::fault::crash_point;
use crate::media::finish::finish;
use crate::media::lease::{LEASE_MS, RENEW_MS};
use crate::media::{quota, tus};
use crate::problem::ApiError;
use axum::body::Bytes;
use storage::{Claim, StorageError, UploadLease, UploadPart, UploadState};
use tokio::task::JoinError;

/// Every how many looks the sender is looked up again: every 3 seconds.
const LOOKS_PER_STANDING: u32 = 6;

impl Intake<'_> {
    /// A part is durable: it is claimed, unless the body has still to be proven.
    pub(super) async fn written(
        &mut self,
        written: Result<Put, JoinError>,
    ) -> Result<(), ApiError> {
        let (written, spent) = written.map_err(ApiError::caused)??;
        self.spent = spent;
        crash_point("upload.part_written");
        self.durable.push(written);
        if self.checksum.is_none() { self.claim(false).await } else { Ok(()) }
    }

    /// Writes what is left of the body, claims all, and gives the lease back.
    pub(super) async fn last(&mut self) -> Result<(), ApiError> {
        self.sniff().await?;
        if self.come == self.row.bytes && self.hasher.hash() != self.row.sha256 {
            return self.fail(ApiError::HashMismatch).await;
        }
        if self.come > self.new_from {
            let bytes = Bytes::from(std::mem::take(&mut self.buffer.bytes));
            let key = self.key();
            self.state.objects.put(&key, bytes.clone()).await?;
            crash_point("upload.part_written");
            let written = self.describe(key, bytes.len());
            self.durable.push(written);
        }
        self.claim(true).await
    }

    /// Says in one transaction what is durable, and that the upload is finished when it is.
    async fn claim(&mut self, last: bool) -> Result<(), ApiError> {
        let now = self.state.clock.now();
        let from = self.row.received;
        let parts: Vec<UploadPart> =
            self.durable.iter().map(|written| written.part.clone()).collect();
        let mut row = self.row.clone();
        if let Some(written) = self.durable.last() {
            row.received = written.end;
            row.hash_state = Some(written.hash_state.clone());
        }
        let until = (!last).then(|| now.plus(LEASE_MS));
        row.lease = until.map(|until| UploadLease { owner: self.owner, until, asked: None });
        row.expires_at = tus::expiry(now, row.received);
        let mut tx = self.state.store.write().await?;
        if self.begun {
            let claim = Claim {
                owner: self.owner,
                from,
                to: row.received,
                parts: &parts,
                hash_state: row.hash_state.as_deref(),
                lease_until: until,
                expires_at: row.expires_at,
            };
            let claimed = tx.uploads().claim(&self.sender.tenant, row.id, &claim).await;
            if matches!(claimed, Err(StorageError::Stale)) {
                drop(tx);
                return Err(self.overtaken().await?);
            }
            claimed?;
        } else {
            quota::admit(&mut tx, self.sender, row.bytes, now).await?;
            tx.uploads().insert(&self.sender.tenant, &row).await?;
            tx.uploads().put_parts(&self.sender.tenant, row.id, &parts).await?;
        }
        if row.received == row.bytes {
            let alone = !self.begun && parts.len() == 1;
            finish(&mut tx, &self.sender.tenant, &mut row, alone, now).await?;
            metrics::counter!("genba_uploads_finished_total").increment(1);
        }
        tx.commit().await?;
        if row.received == row.bytes {
            self.state.bell.ring();
        }
        crash_point("upload.claimed");
        metrics::counter!("genba_upload_bytes_total")
            .increment(u64::try_from(row.received - from).unwrap_or_default());
        self.row = row;
        self.begun = true;
        self.durable.clear();
        if let Some(key) = self.outdated.take().filter(|_| !parts.is_empty()) {
            // What is not removed here is swept when the upload is closed.
            let _swept_later = self.state.objects.remove(&key).await;
        }
        Ok(())
    }

    /// Closes the upload for good: its bytes are not what was declared.
    pub(super) async fn fail(&mut self, why: ApiError) -> Result<(), ApiError> {
        if self.begun {
            self.close(UploadState::Failed).await?;
        }
        metrics::counter!("genba_uploads_failed_total", "why" => why.name()).increment(1);
        Err(why)
    }

    pub(super) async fn close(&self, state: UploadState) -> Result<(), ApiError> {
        let now = self.state.clock.now();
        let mut tx = self.state.store.write().await?;
        tx.uploads().close(&self.sender.tenant, self.row.id, state, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Throws away what was written and not claimed.
    pub(super) async fn discard(&mut self) {
        for written in self.durable.drain(..) {
            // What is not removed here is swept when the upload is closed.
            let _swept_later = self.state.objects.remove(&written.part.key).await;
        }
    }

    /// Looks whether the call may go on. A reason to stop in order comes back; one to stop at once is an error.
    pub(super) async fn look(&self, looks: u32) -> Result<Option<ApiError>, ApiError> {
        if self.state.stop.is_cancelled() {
            return Ok(Some(ApiError::NotReady));
        }
        if looks.is_multiple_of(LOOKS_PER_STANDING) {
            self.sender.may_go_on(self.state).await?;
        }
        if !self.begun {
            return Ok(None);
        }
        let tenant = &self.sender.tenant;
        let mut tx = self.state.store.read().await?;
        let found = tx.uploads().find(tenant, self.row.id).await?;
        drop(tx);
        let lease = found.and_then(|upload| upload.lease).filter(|lease| lease.owner == self.owner);
        let Some(lease) = lease else { return Err(self.overtaken().await?) };
        if lease.asked.is_some() {
            return Ok(Some(ApiError::UploadLocked));
        }
        let now = self.state.clock.now();
        if lease.until.since(now) <= RENEW_MS {
            // A call that still sends is activity, also when nothing of it can be claimed yet.
            let (until, expires_at) = (now.plus(LEASE_MS), tus::expiry(now, self.row.received));
            let mut tx = self.state.store.write().await?;
            tx.uploads().renew(tenant, self.row.id, self.owner, until, expires_at).await?;
            tx.commit().await?;
        }
        Ok(None)
    }

    /// Why a call can no longer claim anything.
    async fn overtaken(&self) -> Result<ApiError, ApiError> {
        let mut tx = self.state.store.read().await?;
        let found = tx.uploads().find(&self.sender.tenant, self.row.id).await?;
        Ok(match found.map(|upload| upload.state) {
            Some(UploadState::Open) => ApiError::UploadLocked,
            Some(UploadState::Finished | UploadState::Failed | UploadState::Ended) | None => {
                ApiError::UploadGone
            }
        })
    }
}
