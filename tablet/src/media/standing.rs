//! How each photo and video of the tablet stands, and why one waits.

use super::upload::Network;
use crate::profile::MediaOn;
use crate::tablet::Tablet;
use std::fmt;
use sync_protocol::blob::BlobRef;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::RecordId;
use sync_protocol::replica::BlobState;

/// Why a photo or a video is still on the tablet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The change that names it has not been received.
    Text,
    /// It is sent with the next sync.
    Next,
    /// It waits for Wi-Fi.
    Wifi,
    /// It did not go through so many times, and is tried again at this instant.
    Retry(u32, UnixMillis),
    /// The server does not take it.
    Stopped(String),
    /// It was uploaded, and the server is to confirm that it has it.
    Confirm,
    /// The server has it; it is kept until a backup has it too.
    Backup,
    /// Its bytes are not here.
    Lost,
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => out.write_str("its change is not received yet: `sync`"),
            Self::Next => out.write_str("goes with the next sync"),
            Self::Wifi => out.write_str("waits for Wi-Fi (or `policy --media-on mobile`)"),
            Self::Retry(times, at) => {
                write!(out, "did not go through {times} times, again at {at}")
            }
            Self::Stopped(why) => {
                write!(out, "not taken ({why}): tell the office, or `uploads --retry`")
            }
            Self::Confirm => out.write_str("uploaded, to be confirmed with the next sync"),
            Self::Backup => out.write_str("on the server; kept here until a backup has it"),
            Self::Lost => out.write_str("its bytes are not on this tablet: photograph it again"),
        }
    }
}

/// How a photo or a video stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaStanding {
    /// What it is.
    pub blob: BlobRef,
    /// The record that names it.
    pub rec: RecordId,
    /// How it stands with the server.
    pub state: BlobState,
    /// How many of its bytes the server has.
    pub sent: u64,
    /// Why it is still here.
    pub why: Why,
}

impl Tablet {
    /// How every photo and video stands whose record may be shown, the smallest first.
    pub fn media_standing(&self) -> Vec<MediaStanding> {
        let shown = self.replica().blobs().filter(|own| !own.sealed);
        let mut standing: Vec<MediaStanding> = shown
            .filter_map(|own| {
                let (sent, why) = self.sent_and_why(own.blob, own.state);
                Some(MediaStanding { blob: own.blob, rec: own.rec?, state: own.state, sent, why })
            })
            .collect();
        standing.sort_by_key(|standing| (standing.blob.bytes, standing.blob.sha256));
        standing
    }

    /// How many photos and videos of records that are not the user's any more are still to be sent.
    pub fn sealed_media(&self) -> usize {
        let unsent = |state| matches!(state, BlobState::Had | BlobState::Lost);
        self.replica().blobs().filter(|own| own.sealed && !unsent(own.state)).count()
    }

    fn sent_and_why(&self, blob: BlobRef, state: BlobState) -> (u64, Why) {
        let row = self.queue.get(blob.sha256);
        match state {
            BlobState::Waiting => (0, Why::Text),
            BlobState::Uploaded => (blob.bytes, Why::Confirm),
            BlobState::Had => (blob.bytes, Why::Backup),
            BlobState::Lost => (0, Why::Lost),
            BlobState::Needed => {
                let sent = row.upload.as_ref().map_or(0, |_| row.offset.min(blob.bytes));
                let mobile = self.uploader.network == Network::Mobile;
                let why = match row.stopped {
                    Some(why) => Why::Stopped(why),
                    None if mobile && self.profile().media_on == MediaOn::Wifi => Why::Wifi,
                    None if row.attempts > 0 => Why::Retry(row.attempts, row.next_try),
                    None => Why::Next,
                };
                (sent, why)
            }
        }
    }
}
