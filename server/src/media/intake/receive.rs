//! The body as it comes: hashed, looked at, cut into parts that are written while the next one comes.

use super::{End, Intake, PART_BYTES_MAX, Put, Written};
use crate::media::inflow::Inflow;
use crate::problem::ApiError;
use axum::body::Bytes;
use std::time::Duration;
use storage::UploadPart;
use sync_protocol::blob::{MediaType, SNIFF_BYTES};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, interval_at};

/// How often a call looks whether it may go on.
const LOOK: Duration = Duration::from_millis(500);

impl Intake<'_> {
    pub(super) async fn receive(&mut self, inflow: &mut Inflow) -> Result<End, ApiError> {
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
    pub(super) fn room(&self, there: usize) -> usize {
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
    pub(super) async fn sniff(&mut self) -> Result<(), ApiError> {
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

    pub(super) fn key(&self) -> String {
        self.state.objects.fresh(&self.sender.tenant, self.row.id, &*self.state.random)
    }

    pub(super) fn describe(&mut self, key: String, bytes: usize) -> Written {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let part = UploadPart { idx: self.place, key, bytes };
        self.place += 1;
        self.new_from = self.come;
        Written { part, end: self.come, hash_state: self.hasher.save() }
    }
}

/// Waits for a part that is being written, or for ever where none is.
async fn done(writing: &mut Option<JoinHandle<Put>>) -> Result<Put, JoinError> {
    match writing {
        Some(writing) => writing.await,
        None => std::future::pending().await,
    }
}
