//! What a shell asks a replica about itself and its own changes.

use super::{Identity, Outcome, Replica};
use crate::change::Change;
use crate::clock::UnixMillis;
use crate::id::{ChangeId, EpochId, LeaseId, RecordId, ReplicaId, Seq};

/// One of the tablet's own changes, as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct OwnChange<'a> {
    /// The change.
    pub id: ChangeId,
    /// Its record.
    pub rec: RecordId,
    /// Its number under the present replica.
    pub n: Option<i64>,
    /// The frozen text; none once it is durable and its record was erased.
    pub text: Option<&'a str>,
    /// What it says.
    pub change: Option<&'a Change>,
    /// Whether it is still to be sent, or its result has not come.
    pub waits: bool,
    /// What became of it.
    pub outcome: Option<&'a Outcome>,
    /// Whether its record was left: kept for the server's sake, and not to be shown.
    pub sealed: bool,
}

impl Replica {
    /// The tablet's own changes, in the order in which they were authored.
    pub fn own_changes(&self) -> impl Iterator<Item = OwnChange<'_>> {
        self.own.values().map(|own| OwnChange {
            id: own.meta.id,
            rec: own.meta.rec,
            n: own.meta.n,
            text: own.text.as_deref(),
            change: own.change.as_ref(),
            waits: own.meta.n.is_some() && !own.meta.answered,
            outcome: own.meta.outcome.as_ref(),
            sealed: own.meta.sealed || self.is_hidden(own.meta.rec),
        })
    }

    /// Who this database is in its present incarnation.
    pub fn replica_id(&self) -> ReplicaId {
        self.state.replica
    }

    /// Whose tablet this is.
    pub fn identity(&self) -> Identity {
        self.state.identity
    }

    /// What the next new attempt shows.
    pub fn lease(&self) -> Option<LeaseId> {
        self.state.lease
    }

    /// The server's history that is known.
    pub fn epoch(&self) -> Option<EpochId> {
        self.state.epoch
    }

    /// The server's clock at the last answer.
    pub fn synced_at(&self) -> Option<UnixMillis> {
        self.state.server_now
    }

    /// The greatest seq that the server has named in this epoch.
    pub fn head(&self) -> Seq {
        self.state.head
    }

    /// The hash of the list of forms that the server named last.
    pub fn bundle(&self) -> &str {
        &self.state.bundle
    }

    /// Whether a round with the server is under way.
    pub fn is_syncing(&self) -> bool {
        self.run.in_flight.is_some()
    }

    /// How many changes wait for their result.
    pub fn outbox_len(&self) -> usize {
        self.index.unanswered.len()
    }
}
