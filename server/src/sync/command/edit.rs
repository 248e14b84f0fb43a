//! An edit from a browser: the server freezes the text and passes it through the same judgement as a tablet's.

use super::{Done, finish};
use crate::problem::ApiError;
use crate::sync::desk::{Desk, KnownState, Receipt, Stamp, Wanted};
use crate::sync::incoming::{Incoming, Source};
use crate::sync::ingest::Room;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use storage::{Tx, Via};
use sync_protocol::change::{Change, Code};
use sync_protocol::id::{ChangeId, RecordId, RecordType, Seq, UserId};
use sync_protocol::record::Record;

/// What the person sent.
pub(super) struct Edit {
    pub(super) rec: RecordId,
    pub(super) id: ChangeId,
    pub(super) kind: Option<RecordType>,
    pub(super) ops: Value,
    pub(super) seen_rv: Option<Seq>,
}

pub(super) async fn edit(
    tx: &mut Tx,
    room: Room<'_>,
    user: UserId,
    edit: Edit,
) -> Result<Done, ApiError> {
    let creates = edit.ops.get(0).and_then(|op| op.get("o")).and_then(Value::as_str) == Some("new");
    let probe = Incoming::read(&text(room, user, &edit, edit.kind.as_ref(), &[]));
    let wanted = Wanted {
        incoming: vec![&probe],
        records: BTreeSet::from([edit.rec]),
        users: BTreeSet::from([user]),
        ..Wanted::default()
    };
    let mut desk = Desk::open(tx, room.tenant, room.book, room.now, wanted).await?;
    if let Some(known) = desk.known(edit.id, None).cloned() {
        let receipt = Receipt { repeated: true, known };
        return repeated(tx, room, user, &edit, desk, receipt).await;
    }
    if !creates {
        super::require_readable(&desk, room, user, edit.rec)?;
    }
    let record = desk.record(edit.rec);
    let kind = record.map(|record| record.kind.clone()).or_else(|| edit.kind.clone());
    let kind =
        kind.ok_or_else(|| ApiError::unprocessable("type-missing", "a new record needs `type`"))?;
    let seals = record.map(Record::seal_ids).unwrap_or_default();
    let rv = desk.files.get(&edit.rec).and_then(|file| file.row.as_ref()).map(|row| row.rv);
    let seen = if edit.seen_rv.is_some() && edit.seen_rv >= rv { seals } else { Vec::new() };
    let incoming = Incoming::read(&text(room, user, &edit, Some(&kind), &seen));
    if let Err(refusal) = &incoming.read {
        return Err(ApiError::unprocessable(refusal.code.as_str(), refusal.why.clone()));
    }
    let source =
        Source { via: Via::Console, by: user, device: None, deposit: false, clock_offset_ms: None };
    let receipt =
        desk.take(incoming, source, Stamp::of_server(room.now), &mut || room.quarantine_id());
    match receipt.known.state {
        KnownState::Applied(_) => finish(tx, desk, vec![(edit.id, receipt)]).await,
        KnownState::Open(_, code) | KnownState::Closed(_, code) => Err(refused(code)),
    }
}

/// A browser is told at once what a tablet would find in quarantine; nothing is stored.
fn refused(code: Code) -> ApiError {
    match code {
        Code::Forbidden => {
            ApiError::Forbidden { reason: "your roles do not allow every part of this edit" }
        }
        Code::IdReuse => ApiError::Conflict { what: "the record exists already" },
        Code::UnknownType => ApiError::unprocessable("unknown_type", "no form describes this type"),
        Code::TooBig => ApiError::unprocessable("too_big", "the edit exceeds a limit"),
        Code::BadOp | Code::Revoked => {
            ApiError::unprocessable("bad_op", "the edit is not a change")
        }
    }
}

/// The same edit again is answered as before; another under the same id is a conflict.
async fn repeated(
    tx: &mut Tx,
    room: Room<'_>,
    user: UserId,
    edit: &Edit,
    desk: Desk<'_>,
    receipt: Receipt,
) -> Result<Done, ApiError> {
    let stored = tx.journal().bodies(room.tenant, &[edit.id]).await?;
    let same = stored.into_iter().any(|(_, body)| {
        let Ok(text) = String::from_utf8(body) else { return false };
        let ops =
            serde_json::from_str::<Value>(&text).ok().and_then(|value| value.get("ops").cloned());
        Change::parse(&text).is_ok_and(|change| change.rec == edit.rec && change.by == user)
            && ops.as_ref() == Some(&edit.ops)
    });
    if same {
        finish(tx, desk, vec![(edit.id, receipt)]).await
    } else {
        Err(ApiError::Conflict { what: "this id was used for another change" })
    }
}

fn text(
    room: Room<'_>,
    user: UserId,
    edit: &Edit,
    kind: Option<&RecordType>,
    seals: &[ChangeId],
) -> String {
    let version = kind.and_then(|kind| room.book.form(kind)).map_or(0, |form| form.version);
    let mut change = json!({
        "id": edit.id, "rec": edit.rec, "type": kind, "sv": version, "at": room.now.to_string(), "by": user,
        "ops": edit.ops,
    });
    if let Some(members) = change.as_object_mut().filter(|_| !seals.is_empty()) {
        members.insert("ss".to_owned(), json!(seals));
    }
    change.to_string()
}
