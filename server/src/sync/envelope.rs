//! The envelope of a sync request: read once, its changes cut out as raw slices.

use super::cursor::Cursor;
use super::incoming::Incoming;
use super::ingest::Push;
use super::pull::Holdings;
use crate::auth::access::Scope;
use crate::extract::{BodyRule, TabletCaller, limits, misread};
use crate::problem::ApiError;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::EpochId;
use sync_protocol::wire::{
    ANSWER_BYTES_DEFAULT, ANSWER_BYTES_MAX, BLOBS_MAX, BUCKETS_MAX, OPEN_MAX, PURGED_MAX,
    PUSH_CHANGES_MAX, SyncRequest, VERSION,
};

/// A request whose envelope could be read.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    request: SyncRequest<'a>,
    /// The history that the tablet knows.
    pub(crate) epoch: Option<EpochId>,
    /// The text of its cursor.
    pub(crate) cursor: Option<String>,
}

impl<'a> Envelope<'a> {
    /// Reads an envelope within its bounds.
    pub(crate) fn read(text: &'a str) -> Result<Self, ApiError> {
        let request: SyncRequest<'a> =
            serde_json::from_str(text).map_err(|_| ApiError::bad_body(told(text)))?;
        if request.v != VERSION {
            return Err(ApiError::bad_body(format!("`v` is {VERSION}")));
        }
        for (what, count, most) in [
            ("the changes of a push", request.push.changes.len(), PUSH_CHANGES_MAX),
            ("the stamps of a push", request.push.stamps.len(), PUSH_CHANGES_MAX),
            ("the buckets that are named", request.have.len() + request.snap.len(), BUCKETS_MAX),
            ("the changes that are asked about", request.open.len(), OPEN_MAX),
            ("the purges that are reported", request.purged.len(), PURGED_MAX),
            ("the blobs that are asked about", request.blobs.len(), BLOBS_MAX),
        ] {
            if count > most {
                return Err(ApiError::TooLarge { what, limits: limits(BodyRule::Sync) });
            }
        }
        Ok(Self { epoch: request.epoch, cursor: request.cursor.clone(), request })
    }

    /// The push: every change read and hashed.
    pub(crate) fn push(
        &self,
        caller: &TabletCaller,
        cursor: Option<Cursor>,
        now: UnixMillis,
    ) -> Push {
        let request = &self.request;
        Push {
            user: caller.user,
            device: caller.device,
            deposit: caller.scope == Scope::Deposit,
            enrolled_at: caller.enrolled_at,
            received_at: now,
            replica: request.replica,
            attempt: request.attempt,
            lease: request.lease,
            clock: request.clock.clone(),
            epoch: request.epoch,
            cursor,
            from: request.push.from,
            changes: request.push.changes.iter().map(|raw| Incoming::read(raw.get())).collect(),
            stamps: request.push.stamps.clone(),
            open: request.open.clone(),
            purged: request.purged.clone(),
        }
    }

    /// What the tablet says of its holdings.
    pub(crate) fn holdings(&self, caller: &TabletCaller, cursor: Option<Cursor>) -> Holdings {
        let request = &self.request;
        Holdings {
            user: caller.user,
            device: caller.device,
            cursor,
            have: request.have.clone(),
            snap: request.snap.clone(),
            bytes_max: request.want.max_bytes.unwrap_or(ANSWER_BYTES_DEFAULT).min(ANSWER_BYTES_MAX),
            sums: request.want.sums,
            blobs: request.blobs.clone(),
        }
    }
}

/// What is wrong with an envelope; it is read again for that, so that those without fault are read once.
fn told(text: &str) -> String {
    misread::<SyncRequest<'_>>(text).unwrap_or_else(|| "the envelope cannot be read".to_owned())
}
