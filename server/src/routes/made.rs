//! What a command answers, whichever route it came by.

use crate::sync::Done;
use serde::Serialize;
use sync_protocol::id::{ChangeId, Seq};
use utoipa::ToSchema;

/// What a command made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Made {
    /// The changes, with their seqs; those of an earlier, equal command among them.
    changes: Vec<MadeChange>,
    /// Why the change stands beside a seal or is marked, if so.
    late: Option<String>,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
struct MadeChange {
    #[schema(value_type = String)]
    id: ChangeId,
    #[schema(value_type = i64)]
    seq: Seq,
}

impl From<Done> for Made {
    fn from(done: Done) -> Self {
        let changes = done.changes.into_iter().map(|(id, seq)| MadeChange { id, seq }).collect();
        Self { changes, late: done.late }
    }
}
