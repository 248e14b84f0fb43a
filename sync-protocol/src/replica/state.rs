//! The small state of a replica, each struct one stored row.

use crate::blob::BlobHash;
use crate::clock::UnixMillis;
use crate::id::{AttemptId, Bucket, ChangeId, DeviceId, EpochId, LeaseId, ReplicaId, Seq, UserId};
use crate::wire::{Known, Limits, Purged, SnapToken};
use serde::{Deserialize, Serialize};

/// Whose tablet this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The enrolment.
    pub device: DeviceId,
    /// The person who writes.
    pub user: UserId,
}

/// What a tablet knows of itself and of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) identity: Identity,
    pub(super) replica: ReplicaId,
    /// The hash of the secret outside the database.
    pub(super) secret: String,
    pub(super) lease: Option<LeaseId>,
    pub(super) epoch: Option<EpochId>,
    pub(super) cursor: Option<String>,
    /// Counts what was authored here, through all replicas.
    pub(super) next_order: u64,
    /// Numbers the uploads of this replica.
    pub(super) next_n: i64,
    pub(super) known: Known,
    pub(super) durable: Option<i64>,
    pub(super) limits: Limits,
    /// The most changes in the next push; halved when a push is too much.
    pub(super) push_max: usize,
    /// The greatest seq seen in this epoch.
    pub(super) head: Seq,
    /// The server's clock minus the tablet's, at the last answer.
    pub(super) offset_ms: i64,
    /// The server's clock at the last answer.
    pub(super) server_now: Option<UnixMillis>,
    /// Erased, and not yet told to the server.
    pub(super) purged: Vec<Purged>,
    /// Deleted, and perhaps still readable on the disk; with the round that ends it.
    pub(super) erasing: Vec<(u64, Purged)>,
    pub(super) round: u64,
    /// When the sums were last compared, in the server's time.
    pub(super) sums_at: Option<UnixMillis>,
    pub(super) sums_due: bool,
    /// The list of forms that the server named last, and the one that the shell has stored.
    pub(super) bundle: String,
    pub(super) bundle_stored: String,
}

impl State {
    pub(super) fn new(identity: Identity, replica: ReplicaId, secret: String) -> Self {
        let limits = Limits::default();
        Self {
            identity,
            replica,
            secret,
            lease: None,
            epoch: None,
            cursor: None,
            next_order: 0,
            next_n: 1,
            known: Known::default(),
            durable: None,
            limits,
            push_max: limits.max_push,
            head: Seq(0),
            offset_ms: 0,
            server_now: None,
            purged: Vec::new(),
            erasing: Vec::new(),
            round: 0,
            sums_at: None,
            sums_due: false,
            bundle: String::new(),
            bundle_stored: String::new(),
        }
    }
}

/// One attempt to sync: saved before it is sent, and sent again until an answer has been applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) lease: Option<LeaseId>,
    pub(super) epoch: Option<EpochId>,
    pub(super) cursor: Option<String>,
    pub(super) have: Vec<Bucket>,
    pub(super) snap: Vec<SnapToken>,
    pub(super) from: i64,
    pub(super) count: usize,
    /// The largest n that existed when the attempt was made.
    pub(super) top: i64,
    pub(super) purged: Vec<Purged>,
    pub(super) open: Vec<ChangeId>,
    #[serde(default)]
    pub(super) blobs: Vec<BlobHash>,
    pub(super) sums: bool,
}

/// Where a bucket stands on the tablet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Held completely.
    Held,
    /// Being paged; what was held before stays until the last page has come.
    Paging {
        /// Where the next page begins.
        token: String,
    },
    /// Something is wrong with what is held: to be entered again.
    Anew,
    /// Not granted any more: hidden, to be erased when everything pending has a result.
    Leaving,
}
