//! Takes the bytes of one call into an upload: part by part, each durable before it is claimed.
//!
//! While one part is being written the next one is received, so at most two are in memory. A part is cut only when more
//! bytes follow it: the last one is written and claimed when the body has ended, and in the same transaction the upload
//! is finished.

mod claim;
mod receive;

use super::buffer::Buffer;
use super::hasher::Hasher;
use super::inflow::{Cut, Inflow};
use super::objects::ObjectError;
use super::sender::Sender;
use super::tus::Checksum;
use crate::problem::ApiError;
use crate::state::AppState;
use axum::body::Bytes;
use storage::{Upload, UploadPart, UploadState};
use sync_protocol::blob::SNIFF_BYTES;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

/// A last part smaller than this is written once more together with what follows: 256 KiB. So an upload that breaks off
/// again and again still has few parts.
pub const TAIL_BYTES_MIN: i64 = 256 * 1024;
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
    buffer: Buffer,
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
    spent: Buffer,
    /// When the last part was cut.
    cut_at: Instant,
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
type Put = Result<(Written, Buffer), ObjectError>;

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
            buffer: Buffer::default(),
            spent: Buffer::default(),
            cut_at: Instant::now(),
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
            self.buffer = Buffer::of(read?.to_vec());
            self.place = last.idx;
            self.known = last.idx > 0 || self.buffer.bytes.len() >= SNIFF_BYTES;
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
}
