//! Uploading: one call at a time, the smallest blob first, in pieces that the link can carry.

use super::queue::Queued;
use super::tus::Told;
use crate::chance::OsChance;
use crate::error::TabletError;
use crate::profile::MediaOn;
use crate::tablet::Tablet;
use std::collections::VecDeque;
use std::time::Duration;
use sync_protocol::blob::{BlobHash, BlobRef};
use sync_protocol::replica::{
    BACKOFF_BASE_MS, BACKOFF_CAP_MS, BlobState, Chance as _, Input, RETRY_AFTER_MAX_MS,
};

/// The largest piece that is sent at a time: 8 MiB.
const PIECE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The smallest piece, for a link that breaks every few seconds: 64 KiB.
const PIECE_BYTES_MIN: usize = 64 * 1024;
/// The first piece: 512 KiB.
const PIECE_BYTES_FIRST: usize = 512 * 1024;
/// A piece that took less than this is doubled the next time, one that took more than four times as long is halved.
const PIECE_QUICK_MS: i64 = 2_000;
/// How often one piece is sent again because it arrived damaged, before the bytes here are looked at.
const DAMAGED_MAX: u32 = 3;
/// How often all bytes are uploaded, when the server asks for them again and again.
const FINISHED_MAX: u32 = 3;
/// Beyond this many failures in a row the wait is at its cap anyway.
const EXPONENT_MAX: u32 = 16;
/// News that nobody has taken are kept up to this number.
const NEWS_MAX: usize = 1_000;

/// What a tablet is connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// A network that costs nothing.
    #[default]
    Wifi,
    /// A mobile network.
    Mobile,
}

/// What has happened to a photo or a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaNews {
    /// All its bytes are on the server, which is to confirm that it has them.
    Uploaded(BlobRef),
    /// The server does not take it: a person has to look.
    Stopped(BlobRef, String),
    /// Its bytes are gone or damaged on this tablet.
    Lost(BlobRef),
}

/// How far the upload under way has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploading {
    /// What is uploaded.
    pub blob: BlobRef,
    /// How many of its bytes the server has.
    pub sent: u64,
    /// How many others wait.
    pub others: usize,
}

/// What is not stored.
#[derive(Debug)]
pub(crate) struct Uploader {
    pub(crate) network: Network,
    /// Whether the last round of text went through.
    pub(crate) text_through: bool,
    pub(crate) uploading: Option<Uploading>,
    piece_bytes: usize,
    /// The offset that the server told of an upload in this run.
    known: Option<(BlobHash, u64)>,
    damaged: u32,
    news: VecDeque<MediaNews>,
}

impl Default for Uploader {
    fn default() -> Self {
        Self {
            network: Network::default(),
            text_through: false,
            uploading: None,
            piece_bytes: PIECE_BYTES_FIRST,
            known: None,
            damaged: 0,
            news: VecDeque::new(),
        }
    }
}

/// What one call to the server came to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The server has all bytes.
    Finished,
    /// The server has more bytes than before.
    Moved,
    /// The server said where the upload stands.
    Asked,
    /// Nothing more is done about this blob.
    GivenUp,
    /// It is tried again later.
    Failed(String),
}

impl Tablet {
    /// Says what the tablet is connected to.
    pub const fn set_network(&mut self, network: Network) {
        self.uploader.network = network;
    }

    /// What has happened to photos and videos since this was last called.
    pub fn take_media_news(&mut self) -> Vec<MediaNews> {
        self.uploader.news.drain(..).collect()
    }

    /// How far the upload under way has come.
    pub const fn uploading(&self) -> Option<Uploading> {
        self.uploader.uploading
    }

    /// Tries again what the server did not take. Tells how many there are.
    pub async fn retry_stopped(&mut self) -> Result<usize, TabletError> {
        let stopped = self.queue.stopped();
        for sha256 in &stopped {
            self.queue.put(&mut self.database, *sha256, Queued::default()).await?;
        }
        Ok(stopped.len())
    }

    /// Whether photos and videos may use the present network.
    pub(crate) fn media_may_travel(&self) -> bool {
        match (self.uploader.network, self.profile().media_on) {
            (Network::Wifi, _) | (Network::Mobile, MediaOn::Mobile) => true,
            (Network::Mobile, MediaOn::Wifi) => false,
        }
    }

    /// The blob to send next, and how long it is to wait: what is ready before what waits, the smallest first.
    ///
    /// Text goes first: there is none before a round went through and everything written has its result.
    pub(crate) fn next_upload(&self) -> Option<(BlobRef, Duration)> {
        let through = self.uploader.text_through && self.replica().outbox_len() == 0;
        if !through || !self.media_may_travel() {
            return None;
        }
        let needed = self.replica().blobs().filter(|own| own.state == BlobState::Needed);
        let open = needed.filter(|own| self.queue.get(own.blob.sha256).stopped.is_none());
        let waits = open.map(|own| (self.upload_wait(own.blob.sha256), own.blob));
        let next = waits.min_by_key(|(wait, blob)| (*wait, blob.bytes, blob.sha256))?;
        Some((next.1, next.0))
    }

    /// How long a blob is to wait. A clock that was set back makes nothing wait for longer than the longest wait.
    fn upload_wait(&self, sha256: BlobHash) -> Duration {
        let left = self.queue.get(sha256).next_try.since(self.clock().read().now.0);
        let longest = RETRY_AFTER_MAX_MS + BACKOFF_CAP_MS;
        Duration::from_millis(if left > longest { 0 } else { u64::try_from(left).unwrap_or(0) })
    }

    /// One call for a blob: creates its upload, asks how far it is, or sends a piece.
    pub(crate) async fn upload_step(&mut self, blob: BlobRef) -> Result<Turn, TabletError> {
        if !self.media.has(&blob) {
            return self.lose(blob).await;
        }
        let row = self.queue.get(blob.sha256);
        if row.finished >= FINISHED_MAX {
            let why = format!("it was uploaded {FINISHED_MAX} times, and the server lacks it");
            return self.give_up(blob, row, why).await;
        }
        self.show_progress(blob, row.offset);
        let now = self.clock().read().now.0;
        let known = self.uploader.known.filter(|(sha256, _)| *sha256 == blob.sha256);
        match (&row.upload, known) {
            (None, _) if !self.is_whole(blob).await? => self.lose(blob).await,
            (None, _) => match self.api.create_upload(&blob, now).await {
                Ok(told) => self.created(blob, row, told).await,
                Err(failed) => self.unanswered(blob, row, &failed).await,
            },
            (Some(upload), None) => match self.api.upload_offset(upload, now).await {
                Ok(told) => self.found(blob, row, told).await,
                Err(failed) => self.unanswered(blob, row, &failed).await,
            },
            (Some(upload), Some((_, offset))) => {
                let piece = self.piece(blob, offset).await?;
                let began = self.clock().read().mono;
                match self.api.send_piece(upload, offset, &piece, now).await {
                    Ok(told) => {
                        self.pace(self.clock().read().mono.saturating_sub(began));
                        self.took(blob, row, offset, told).await
                    }
                    Err(failed) => self.unanswered(blob, row, &failed).await,
                }
            }
        }
    }

    async fn piece(&self, blob: BlobRef, offset: u64) -> Result<Vec<u8>, TabletError> {
        let left = usize::try_from(blob.bytes - offset).unwrap_or(usize::MAX);
        let bytes = left.min(self.uploader.piece_bytes);
        let media = self.media.clone();
        let read = tokio::task::spawn_blocking(move || media.piece(&blob, offset, bytes)).await;
        read.expect("reading a file does not panic")
    }

    /// A piece should take seconds: what breaks off after it was sent is sent again as a whole.
    fn pace(&mut self, took_ms: i64) {
        let bytes = &mut self.uploader.piece_bytes;
        if took_ms < PIECE_QUICK_MS {
            *bytes = bytes.saturating_mul(2).min(PIECE_BYTES_MAX);
        } else if took_ms > 4 * PIECE_QUICK_MS {
            *bytes = (*bytes / 2).max(PIECE_BYTES_MIN);
        }
    }

    async fn created(
        &mut self,
        blob: BlobRef,
        row: Queued,
        told: Told,
    ) -> Result<Turn, TabletError> {
        match (told.status, told.location) {
            (201, Some(upload)) => {
                let row = Queued { upload: Some(upload), offset: 0, ..row };
                self.queue.put(&mut self.database, blob.sha256, row).await?;
                self.uploader.known = Some((blob.sha256, 0));
                Ok(Turn::Asked)
            }
            (201, None) => {
                self.give_up(blob, row, "the server's answer names no upload".to_owned()).await
            }
            (status, location) => self.refused(blob, row, Told { status, location, ..told }).await,
        }
    }

    async fn found(&mut self, blob: BlobRef, row: Queued, told: Told) -> Result<Turn, TabletError> {
        match (told.status, told.offset) {
            (200 | 204, Some(offset)) if offset == blob.bytes => self.finished(blob, row).await,
            (200 | 204, Some(offset)) if offset < blob.bytes => {
                let moved = offset > row.offset;
                self.uploader.known = Some((blob.sha256, offset));
                self.queue.put(&mut self.database, blob.sha256, Queued { offset, ..row }).await?;
                self.show_progress(blob, offset);
                Ok(if moved { Turn::Moved } else { Turn::Asked })
            }
            (200 | 204, _) => self.begin_anew(blob, row, "its offset cannot be read").await,
            _ => self.refused(blob, row, told).await,
        }
    }

    async fn took(
        &mut self,
        blob: BlobRef,
        row: Queued,
        from: u64,
        told: Told,
    ) -> Result<Turn, TabletError> {
        match (told.status, told.offset) {
            (200 | 204, Some(offset)) if offset == blob.bytes => self.finished(blob, row).await,
            (200 | 204, Some(offset)) if offset > from && offset < blob.bytes => {
                self.uploader.known = Some((blob.sha256, offset));
                self.uploader.damaged = 0;
                let row = Queued { offset, attempts: 0, ..row };
                self.queue.put(&mut self.database, blob.sha256, row).await?;
                self.show_progress(blob, offset);
                Ok(Turn::Moved)
            }
            (200 | 204, _) => self.later(blob, row, None, "its offset cannot be read").await,
            _ => self.refused(blob, row, told).await,
        }
    }

    /// All bytes are there. The next sync tells whether the server has them.
    async fn finished(&mut self, blob: BlobRef, row: Queued) -> Result<Turn, TabletError> {
        self.uploader.known = None;
        self.uploader.damaged = 0;
        let finished = row.finished + 1;
        let row = Queued { upload: None, offset: blob.bytes, attempts: 0, finished, ..row };
        self.queue.put(&mut self.database, blob.sha256, row).await?;
        self.input(Input::BlobUploaded { sha256: blob.sha256 }).await?;
        self.show_progress(blob, blob.bytes);
        self.tell(MediaNews::Uploaded(blob));
        Ok(Turn::Finished)
    }

    /// What the statuses mean that are no success.
    async fn refused(
        &mut self,
        blob: BlobRef,
        row: Queued,
        told: Told,
    ) -> Result<Turn, TabletError> {
        let wait = told.retry_after_ms;
        match told.status {
            404 | 410 if row.upload.is_some() => self.begin_anew(blob, row, &told.problem).await,
            460 => {
                self.uploader.damaged += 1;
                if self.uploader.damaged >= DAMAGED_MAX {
                    return self.look_at_bytes(blob, row, told.problem).await;
                }
                self.later(blob, row, wait, &told.problem).await
            }
            401 | 403 | 408 | 409 | 423 | 425 | 429 | 500.. => {
                self.later(blob, row, wait, &told.problem).await
            }
            _ => self.look_at_bytes(blob, row, told.problem).await,
        }
    }

    /// The server will never take this: either the bytes here are damaged, or a person has to look.
    async fn look_at_bytes(
        &mut self,
        blob: BlobRef,
        row: Queued,
        why: String,
    ) -> Result<Turn, TabletError> {
        if self.is_whole(blob).await? {
            return self.give_up(blob, row, why).await;
        }
        self.lose(blob).await
    }

    async fn is_whole(&self, blob: BlobRef) -> Result<bool, TabletError> {
        let media = self.media.clone();
        let whole = tokio::task::spawn_blocking(move || media.is_whole(&blob)).await;
        whole.expect("reading a file does not panic")
    }

    async fn give_up(
        &mut self,
        blob: BlobRef,
        row: Queued,
        why: String,
    ) -> Result<Turn, TabletError> {
        self.uploader.known = None;
        self.uploader.damaged = 0;
        let row = Queued { upload: None, stopped: Some(why.clone()), ..row };
        self.queue.put(&mut self.database, blob.sha256, row).await?;
        self.tell(MediaNews::Stopped(blob, why));
        Ok(Turn::GivenUp)
    }

    async fn lose(&mut self, blob: BlobRef) -> Result<Turn, TabletError> {
        self.uploader.known = None;
        self.uploader.damaged = 0;
        self.queue.remove(&mut self.database, blob.sha256).await?;
        self.input(Input::BlobLost { sha256: blob.sha256 }).await?;
        self.tell(MediaNews::Lost(blob));
        Ok(Turn::GivenUp)
    }

    async fn unanswered(
        &mut self,
        blob: BlobRef,
        row: Queued,
        failed: &TabletError,
    ) -> Result<Turn, TabletError> {
        let bytes = &mut self.uploader.piece_bytes;
        *bytes = (*bytes / 2).max(PIECE_BYTES_MIN);
        let mut wait = None;
        if let TabletError::Problem { retry_after_ms, .. } = failed {
            wait = *retry_after_ms;
        }
        self.later(blob, row, wait, &failed.to_string()).await
    }

    /// The upload is not there any more: the next call creates another.
    async fn begin_anew(
        &mut self,
        blob: BlobRef,
        row: Queued,
        why: &str,
    ) -> Result<Turn, TabletError> {
        let row = Queued { upload: None, offset: 0, ..row };
        self.later(blob, row, None, why).await
    }

    /// Waits as the server asks, and at random on top, longer each time.
    async fn later(
        &mut self,
        blob: BlobRef,
        row: Queued,
        retry_after_ms: Option<i64>,
        why: &str,
    ) -> Result<Turn, TabletError> {
        self.uploader.known = None;
        let bound = BACKOFF_CAP_MS.min(BACKOFF_BASE_MS << row.attempts.min(EXPONENT_MAX));
        let bits = OsChance.bits() % u128::from(bound.unsigned_abs().max(1));
        let jitter = i64::try_from(bits).unwrap_or(0);
        let asked = retry_after_ms.unwrap_or(0).clamp(0, RETRY_AFTER_MAX_MS);
        let next_try = self.clock().read().now.0.plus(asked + jitter);
        let row = Queued { attempts: row.attempts.saturating_add(1), next_try, ..row };
        self.queue.put(&mut self.database, blob.sha256, row).await?;
        Ok(Turn::Failed(why.to_owned()))
    }

    fn show_progress(&mut self, blob: BlobRef, sent: u64) {
        let needed = self.replica().blobs().filter(|own| own.state == BlobState::Needed);
        let others = needed.filter(|own| own.blob.sha256 != blob.sha256).count();
        self.uploader.uploading = Some(Uploading { blob, sent, others });
    }

    fn tell(&mut self, news: MediaNews) {
        if self.uploader.news.len() == NEWS_MAX {
            self.uploader.news.pop_front();
        }
        self.uploader.news.push_back(news);
    }
}
