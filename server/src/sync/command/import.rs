//! Changes from a file of the office: importing the same rows twice changes nothing.

use super::{Done, finish};
use crate::problem::ApiError;
use crate::sync::desk::{Desk, Stamp, Wanted};
use crate::sync::incoming::{Incoming, Source};
use crate::sync::ingest::Room;
use std::collections::BTreeSet;
use storage::{Tx, Via};
use sync_protocol::id::UserId;

/// The most changes of one import step.
pub(super) const IMPORT_CHANGES_MAX: usize = 2_000;

pub(super) async fn import(
    tx: &mut Tx,
    room: Room<'_>,
    user: UserId,
    texts: Vec<String>,
) -> Result<Done, ApiError> {
    if texts.len() > IMPORT_CHANGES_MAX {
        return Err(ApiError::unprocessable(
            "too-many",
            format!("at most {IMPORT_CHANGES_MAX} changes at a time"),
        ));
    }
    let incoming: Vec<Incoming> = texts.iter().map(|text| Incoming::read(text)).collect();
    let wanted = Wanted {
        incoming: incoming.iter().collect(),
        users: BTreeSet::from([user]),
        ..Wanted::default()
    };
    let mut desk = Desk::open(tx, room.tenant, room.book, room.now, wanted).await?;
    let mut made = Vec::with_capacity(incoming.len());
    for incoming in incoming {
        // The author of an imported row is whoever the file names; the importer answers for the file.
        let by = incoming.read.as_ref().map_or(user, |change| change.by);
        let t_eff = incoming.at().map_or(room.now, |at| at.min(room.now));
        let stamp = Stamp { t_eff, t_recv: room.now, clock_suspect: false };
        let source =
            Source { via: Via::Import, by, device: None, deposit: false, clock_offset_ms: None };
        let id = incoming.id;
        made.push((id, desk.take(incoming, source, stamp, &mut || room.quarantine_id())));
    }
    finish(tx, desk, made).await
}
