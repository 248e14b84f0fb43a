//! Takes the bytes of one call into an upload: part by part, each durable before it is claimed.
//!
//! While one part is being written the next one is received, so at most two are in memory. A part is cut only when more
//! bytes follow it: the last one is written and claimed when the body has ended, and in the same transaction the upload
//! is finished.

use super::finish::finish;
use super::hasher::Hasher;
use super::inflow::{Cut, Inflow};
use super::lease::{LEASE_MS, RENEW_MS};
use super::objects::ObjectError;
use super::quota;
use super::sender::Sender;
use super::tus::{self, Checksum};
use crate::fault::crash_point;
use crate::problem::ApiError;
use crate::state::AppState;
use axum::body::Bytes;
use std::time::Duration;
use storage::{Claim, StorageError, Upload, UploadLease, UploadPart, UploadState};
use sync_protocol::blob::{MediaType, SNIFF_BYTES};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, interval_at};
use uuid::Uuid;

/// The largest part: 8 MiB.
pub const PART_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A last part smaller than this is written once more together with what follows: 256 KiB. So an upload that breaks off
/// again and again still has few parts.
pub const TAIL_BYTES_MIN: i64 = 256 * 1024;
/// How often a call looks whether it may go on.
const LOOK: Duration = Duration::from_millis(500);
/// Every how many looks the sender is looked up again: every 3 seconds.
const LOOKS_PER_STANDING: u32 = 6;

/// Where the bytes of a call go.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    state: &'a AppState,
    sender: &'a Sender,
    owner: Uuid,
    /// The upload as its row is, or will be.
    row: Upload,
    /// Whether the row is there.
    begun: bool,
    checksum: Option<Checksum>,
    hasher: Hasher,
    /// How many bytes have come, durable or not.
    come: i64,
    /// The part that is being received, with its place and the offset where its new bytes begin.
    buffer: Vec<u8>,
    place: i64,
    new_from: i64,
    /// What has come and finds no room yet.
    spare: Bytes,
    /// Whether the first bytes were looked at.
    known: bool,
    /// What they are, if not what was declared. With a checksum it counts only once the whole body was proven.
    stranger: Option<ApiError>,
    writing: Option<JoinHandle<Put>>,
    /// The memory of the part that was written last: an upload holds that of two.
    spent: Vec<u8>,
    /// What is durable and not claimed.
    durable: Vec<Written>,
    /// The object that a longer one takes the place of.
    outdated: Option<String>,
}

/// A part that is durable, with the offset and the state of the SHA-256 at its end.
#[derive(Debug)]
struct Written {
    part: UploadPart,
    end: i64,
    hash_state: Vec<u8>,
}

/// A part that was put, with its bytes: their memory serves another part.
type Put = Result<(Written, Bytes), ObjectError>;

/// How the body of a call ended.
enum End {
    Whole,
    Cut(ApiError),
}

impl From<Cut> for ApiError {
    fn from(cut: Cut) -> Self {
        Self::bad_body(match cut {
            Cut::Broke => "the body broke off",
            Cut::Stalled => "the body stalled",
            Cut::Crawled => "the body came too slowly",
        })
    }
}

impl<'a> Intake<'a> {
    /// An intake into an upload whose row is still to be written.
    pub(super) fn fresh(
        state: &'a AppState,
        sender: &'a Sender,
        owner: Uuid,
        row: Upload,
        checksum: Option<Checksum>,
    ) -> Self {
        let come = row.received;
        Self {
            state,
            sender,
            owner,
            row,
            begun: false,
            checksum,
            hasher: Hasher::default(),
            come,
            buffer: Vec::new(),
            spent: Vec::new(),
            place: 0,
            new_from: come,
            spare: Bytes::new(),
            known: false,
            stranger: None,
            writing: None,
            durable: Vec::new(),
            outdated: None,
        }
    }

    /// An intake into an upload whose lease is held by `owner`.
    pub(super) async fn resumed(
        state: &'a AppState,
        sender: &'a Sender,
        owner: Uuid,
        row: Upload,
        checksum: Option<Checksum>,
    ) -> Result<Self, ApiError> {
        let mut intake = Self { begun: true, ..Self::fresh(state, sender, owner, row, checksum) };
        if let Some(saved) = &intake.row.hash_state {
            intake.hasher = Hasher::resume(saved)?;
        }
        let mut tx = state.store.read().await?;
        let last = tx.uploads().last_part(&sender.tenant, intake.row.id).await?;
        drop(tx);
        if let Some(last) = last {
            intake.take_up(last).await?;
        }
        Ok(intake)
    }

    /// Goes on behind the last part, or in it when it is small.
    async fn take_up(&mut self, last: UploadPart) -> Result<(), ApiError> {
        self.known = true;
        self.place = last.idx + 1;
        if last.bytes < TAIL_BYTES_MIN {
            let bytes = u64::try_from(last.bytes).unwrap_or_default();
            let read = self.state.objects.read(&last.key, 0..bytes).await;
            if matches!(read, Err(ObjectError::Gone)) {
                // A restored database may name a part that had been written anew: nothing can go on from here.
                self.close(UploadState::Ended).await?;
                return Err(ApiError::UploadGone);
            }
            self.buffer = read?.to_vec();
            self.buffer.reserve_exact(self.room(self.buffer.len()));
            self.place = last.idx;
            self.known = last.idx > 0 || self.buffer.len() >= SNIFF_BYTES;
            self.outdated = Some(last.key);
        }
        Ok(())
    }

    /// Takes the body in, claims what is durable, gives the lease back, and gives the upload as its row is then.
    ///
    /// What came of a body that broke off is kept, unless it has a checksum: then the whole body or nothing is taken.
    pub(super) async fn run(&mut self, inflow: &mut Inflow) -> Result<Upload, ApiError> {
        let end = self.receive(inflow).await?;
        if let Some(writing) = self.writing.take() {
            self.written(writing.await).await?;
        }
        if let Some(checksum) = self.checksum.take() {
            let refusal = match end {
                End::Cut(why) => Some(why),
                End::Whole if checksum.holds() => None,
                End::Whole => Some(ApiError::ChecksumMismatch),
            };
            if let Some(refusal) = refusal {
                self.discard().await;
                return Err(refusal);
            }
            self.last().await?;
            return Ok(self.row.clone());
        }
        match end {
            End::Whole => self.last().await.map(|()| self.row.clone()),
            // Nobody learns the address of an upload whose first call broke off.
            End::Cut(why) if !self.begun => Err(why),
            End::Cut(why) => {
                self.last().await?;
                if self.row.state == UploadState::Finished {
                    Ok(self.row.clone())
                } else {
                    Err(why)
                }
            }
        }
    }

    /// Whether its row is there.
    pub(super) const fn has_begun(&self) -> bool {
        self.begun
    }

    async fn receive(&mut self, inflow: &mut Inflow) -> Result<End, ApiError> {
        let mut clock = interval_at(Instant::now() + LOOK, LOOK);
        let mut looks = 0;
        inflow.begin();
        loop {
            if self.absorb().await? {
                inflow.begin();
            }
            tokio::select! {
                biased;
                written = done(&mut self.writing) => {
                    self.writing = None;
                    self.written(written).await?;
                    inflow.begin();
                }
                _ = clock.tick() => {
                    looks += 1;
                    if let Some(why) = self.look(looks).await? {
                        return Ok(End::Cut(why));
                    }
                }
                next = inflow.next(), if self.spare.is_empty() => match next {
                    Ok(Some(bytes)) => self.take(bytes)?,
                    Ok(None) => return Ok(End::Whole),
                    Err(cut) => return Ok(End::Cut(cut.into())),
                },
            }
        }
    }

    /// How many bytes a part of which so many are there may still get.
    fn room(&self, there: usize) -> usize {
        let left = usize::try_from(self.row.bytes - self.come).unwrap_or(usize::MAX);
        left.min(PART_BYTES_MAX - there)
    }

    fn take(&mut self, bytes: Bytes) -> Result<(), ApiError> {
        let more = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        if self.come.saturating_add(more) > self.row.bytes {
            return Err(ApiError::MediaTooLarge { max_bytes: self.row.bytes });
        }
        self.spare = bytes;
        Ok(())
    }

    /// Moves what has come into the part; says whether that made room where there was none.
    async fn absorb(&mut self) -> Result<bool, ApiError> {
        let mut cut = false;
        while !self.spare.is_empty() {
            if self.buffer.len() == PART_BYTES_MAX {
                if self.writing.is_some() {
                    return Ok(false);
                }
                self.cut().await?;
                cut = true;
            }
            if self.buffer.capacity() == 0 {
                self.buffer = std::mem::take(&mut self.spent);
                self.buffer.reserve_exact(self.room(0));
            }
            let room = PART_BYTES_MAX - self.buffer.len();
            let piece = self.spare.split_to(self.spare.len().min(room));
            self.hasher.update(&piece);
            if let Some(checksum) = &mut self.checksum {
                checksum.update(&piece);
            }
            self.buffer.extend_from_slice(&piece);
            self.come += i64::try_from(piece.len()).unwrap_or(i64::MAX);
        }
        self.sniff().await?;
        Ok(cut)
    }

    /// Looks at the first bytes, once they are there: what they are must be what was declared.
    async fn sniff(&mut self) -> Result<(), ApiError> {
        let enough = self.buffer.len() >= SNIFF_BYTES || self.come == self.row.bytes;
        if !self.known && enough && !self.buffer.is_empty() {
            self.known = true;
            let head = self.buffer.get(..SNIFF_BYTES).unwrap_or(&self.buffer);
            let found = MediaType::of_bytes(head).map(MediaType::mime);
            if found != Some(self.row.mime.as_str()) {
                let declared = self.row.mime.clone();
                self.stranger = Some(ApiError::MediaTypeMismatch { declared, found });
            }
        }
        match self.stranger.take_if(|_| self.checksum.is_none()) {
            Some(why) => self.fail(why).await,
            None => Ok(()),
        }
    }

    /// Has the part written while the next one is received.
    async fn cut(&mut self) -> Result<(), ApiError> {
        self.sniff().await?;
        let bytes = Bytes::from(std::mem::take(&mut self.buffer));
        let (state, key) = (self.state.clone(), self.key());
        let written = self.describe(key.clone(), bytes.len());
        self.writing = Some(tokio::spawn(async move {
            state.objects.put(&key, bytes.clone()).await?;
            Ok((written, bytes))
        }));
        Ok(())
    }

    fn key(&self) -> String {
        self.state.objects.fresh(&self.sender.tenant, self.row.id, &*self.state.random)
    }

    fn describe(&mut self, key: String, bytes: usize) -> Written {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let part = UploadPart { idx: self.place, key, bytes };
        self.place += 1;
        self.new_from = self.come;
        Written { part, end: self.come, hash_state: self.hasher.save() }
    }

    /// A part is durable: it is claimed, unless the body has still to be proven.
    async fn written(&mut self, written: Result<Put, JoinError>) -> Result<(), ApiError> {
        let (written, bytes) = written.map_err(ApiError::caused)??;
        self.spent = Vec::from(bytes);
        self.spent.clear();
        crash_point("upload.part_written");
        self.durable.push(written);
        if self.checksum.is_none() { self.claim(false).await } else { Ok(()) }
    }

    /// Writes what is left of the body, claims all, and gives the lease back.
    async fn last(&mut self) -> Result<(), ApiError> {
        self.sniff().await?;
        if self.come == self.row.bytes && self.hasher.hash() != self.row.sha256 {
            return self.fail(ApiError::HashMismatch).await;
        }
        if self.come > self.new_from {
            let bytes = Bytes::from(std::mem::take(&mut self.buffer));
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
        row.expires_at = tus::expiry(now);
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
    async fn fail(&mut self, why: ApiError) -> Result<(), ApiError> {
        if self.begun {
            self.close(UploadState::Failed).await?;
        }
        metrics::counter!("genba_uploads_failed_total", "why" => why.name()).increment(1);
        Err(why)
    }

    async fn close(&self, state: UploadState) -> Result<(), ApiError> {
        let now = self.state.clock.now();
        let mut tx = self.state.store.write().await?;
        tx.uploads().close(&self.sender.tenant, self.row.id, state, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Throws away what was written and not claimed.
    async fn discard(&mut self) {
        for written in self.durable.drain(..) {
            // What is not removed here is swept when the upload is closed.
            let _swept_later = self.state.objects.remove(&written.part.key).await;
        }
    }

    /// Looks whether the call may go on. A reason to stop in order comes back; one to stop at once is an error.
    async fn look(&self, looks: u32) -> Result<Option<ApiError>, ApiError> {
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
            let mut tx = self.state.store.write().await?;
            tx.uploads().renew(tenant, self.row.id, self.owner, now.plus(LEASE_MS)).await?;
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

/// Waits for a part that is being written, or for ever where none is.
async fn done(writing: &mut Option<JoinHandle<Put>>) -> Result<Put, JoinError> {
    match writing {
        Some(writing) => writing.await,
        None => std::future::pending().await,
    }
}
