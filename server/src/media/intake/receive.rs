//! The body as it comes: hashed, looked at, cut into parts that are written while the next one comes.

use super::{End, Intake, Put, TAIL_BYTES_MIN, Written};
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
/// How long bytes may wait for a part to be full: what comes slowly is lost with the server by so much.
const PART_AGE_MAX: Duration = Duration::from_secs(10);

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
                    if self.is_due() {
                        self.cut().await?;
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

    /// Whether what has come is to be claimed although more would fit. A body with a checksum is claimed at its end.
    fn is_due(&self) -> bool {
        let there = i64::try_from(self.buffer.bytes.len()).unwrap_or(i64::MAX);
        there >= TAIL_BYTES_MIN
            && self.come < self.row.bytes
            && self.cut_at.elapsed() >= PART_AGE_MAX
            && self.writing.is_none()
            && self.checksum.is_none()
    }

    /// Whether the part takes more, with memory for it; at the end of a part the next one is begun.
    async fn has_room(&mut self) -> Result<bool, ApiError> {
        if self.buffer.room() > 0 {
            return Ok(true);
        }
        let missing = usize::try_from(self.row.bytes - self.come).unwrap_or(usize::MAX);
        if self.buffer.grow(&self.state.growth, missing) {
            return Ok(true);
        }
        if self.writing.is_some() {
            return Ok(false);
        }
        self.cut().await?;
        Ok(true)
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
        let began = self.place;
        while !self.spare.is_empty() {
            if !self.has_room().await? {
                return Ok(false);
            }
            let piece = self.spare.split_to(self.spare.len().min(self.buffer.room()));
            self.hasher.update(&piece);
            if let Some(checksum) = &mut self.checksum {
                checksum.update(&piece);
            }
            self.buffer.bytes.extend_from_slice(&piece);
            self.come += i64::try_from(piece.len()).unwrap_or(i64::MAX);
        }
        self.sniff().await?;
        Ok(self.place > began)
    }

    /// Looks at the first bytes, once they are there: what they are must be what was declared.
    pub(super) async fn sniff(&mut self) -> Result<(), ApiError> {
        let there = &self.buffer.bytes;
        let enough = there.len() >= SNIFF_BYTES || self.come == self.row.bytes;
        if !self.known && enough && !there.is_empty() {
            self.known = true;
            let head = there.get(..SNIFF_BYTES).unwrap_or(there);
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
        let mut part = std::mem::replace(&mut self.buffer, std::mem::take(&mut self.spent));
        let (state, key) = (self.state.clone(), self.key());
        let written = self.describe(key.clone(), part.bytes.len());
        self.cut_at = Instant::now();
        self.writing = Some(tokio::spawn(async move {
            let bytes = Bytes::from(part.bytes);
            state.objects.put(&key, bytes.clone()).await?;
            part.bytes = Vec::from(bytes);
            Ok((written, part.emptied()))
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
