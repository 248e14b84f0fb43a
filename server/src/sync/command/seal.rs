//! Seals, and the verdicts on what stands beside them.

use super::{Done, finish, open_for, repeated, require_role, server_change, take_server_change};
use crate::problem::ApiError;
use crate::sync::blobs;
use crate::sync::desk::{Desk, LEFT_SCOPE, Receipt};
use crate::sync::forms::FormBook;
use crate::sync::ingest::Room;
use std::collections::BTreeSet;
use storage::{ChangeRow, SealSnapshot, Tx};
use sync_protocol::blob::BlobHash;
use sync_protocol::change::{Change, Op};
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::{Level, Problem, Role};
use sync_protocol::id::{ChangeId, Dot, RecordId, RecordType, Seq, UserId};
use sync_protocol::seal::{self as seals, Applied};
use sync_protocol::value::hash_of;
use sync_protocol::view::{self, View};

/// The most changes that one seal covers: their ids fit into one frozen text.
pub(super) const COVERED_MAX: usize = 5_000;
const APPROVER: &str = "the role approver where the record lies";
const OVERSEER: &str = "the role approver or supervisor where the record lies";

/// What an approver saw.
pub(super) struct Seen {
    pub(super) id: ChangeId,
    pub(super) rv: Seq,
    pub(super) view_hash: String,
}

/// A verdict on a change that stands beside the view.
pub(super) struct Judgement {
    pub(super) id: ChangeId,
    pub(super) change: ChangeId,
    pub(super) aside: Option<String>,
}

/// What a seal made now would freeze.
#[derive(Debug)]
pub struct SealView {
    /// The changes that it covers.
    pub covers: Vec<ChangeId>,
    /// The view.
    pub view: View,
    /// Its canonical text and hash.
    pub snapshot: view::Snapshot,
    /// What stands in the way of sealing.
    pub problems: Vec<Problem>,
    /// The version of the form.
    pub form_version: u32,
}

/// Computes what a seal made now would freeze; `journal` are all applied changes of the record in order of receipt,
/// `held` its blobs that hold.
pub fn seal_view(
    book: &FormBook,
    rec: RecordId,
    kind: &RecordType,
    journal: &[Applied],
    held: &BTreeSet<BlobHash>,
    at: UnixMillis,
) -> Result<SealView, ApiError> {
    let form = book.form(kind).ok_or_else(|| ApiError::internal("a record without a form"))?;
    let covers = seals::covers(kind, journal);
    let shown: BTreeSet<ChangeId> = covers.iter().copied().collect();
    let keeps = crate::sync::desk::keeps_bases(form);
    let record = seals::show(kind, journal, &shown, &keeps).map_err(ApiError::caused)?;
    let view = View::of(&record, form);
    let snapshot = view::snapshot(rec, kind, form.version, &view);
    let mut problems: Vec<Problem> = form
        .problems(&view, at)
        .into_iter()
        .filter(|problem| problem.level >= Level::Submit)
        .collect();
    problems.extend(view.conflicts().into_iter().map(|path| Problem {
        path,
        level: Level::Approve,
        code: "conflict".to_owned(),
        ja: "食い違いが解決されていません".to_owned(),
        en: "a disagreement is not resolved".to_owned(),
    }));
    problems.extend(blobs::missing(&record, held));
    Ok(SealView { covers, view, snapshot, problems, form_version: form.version })
}

/// The applied changes of a record, as the rules of seals read them.
pub fn read_journal(rows: Vec<ChangeRow>) -> Result<Vec<Applied>, ApiError> {
    rows.into_iter()
        .map(|row| {
            let text = String::from_utf8(row.body).map_err(ApiError::caused)?;
            let change = Change::parse(&text).map_err(ApiError::caused)?;
            Ok(Applied { ops: change.ops_json(), change, t_eff: row.t_eff, seq: row.seq })
        })
        .collect()
}

async fn journal_of(tx: &mut Tx, room: Room<'_>, rec: RecordId) -> Result<Vec<Applied>, ApiError> {
    read_journal(tx.journal().of_record(room.tenant, rec).await?)
}

fn live_seals(desk: &Desk<'_>, rec: RecordId) -> Vec<Dot> {
    desk.record(rec).map(|record| record.seals.keys().copied().collect()).unwrap_or_default()
}

fn kind_of(desk: &Desk<'_>, rec: RecordId) -> Result<RecordType, ApiError> {
    desk.record(rec).map(|record| record.kind.clone()).ok_or(ApiError::NotFound { kind: "record" })
}

pub(super) async fn seal(
    tx: &mut Tx,
    room: Room<'_>,
    user: UserId,
    rec: RecordId,
    seen: Seen,
) -> Result<Done, ApiError> {
    let mut desk = open_for(tx, room, user, rec, seen.id).await?;
    require_role(&desk, room, user, rec, &[Role::Approver], APPROVER)?;
    let kind = kind_of(&desk, rec)?;
    let asked = Op::Seal {
        rv: seen.rv,
        covers: Vec::new(),
        view_hash: seen.view_hash.clone(),
        x: Vec::new(),
    };
    let asked = server_change(room, user, rec, &kind, seen.id, asked);
    if let Some(receipt) = repeated(tx, room, &desk, &asked).await? {
        return finish(tx, desk, vec![(seen.id, receipt)]).await;
    }
    let mut journal = journal_of(tx, room, rec).await?;
    let holding = tx.blob_refs().holding(room.tenant, &[rec]).await?;
    let held = holding.into_iter().map(|(_, blob)| blob).collect();
    let sealed = seal_view(room.book, rec, &kind, &journal, &held, room.now)?;
    let rv = desk
        .files
        .get(&rec)
        .and_then(|file| file.row.as_ref())
        .map(|row| row.rv)
        .unwrap_or_default();
    if rv != seen.rv || sealed.snapshot.view_hash != seen.view_hash {
        return Err(ApiError::ChangedSinceSeen { rv, view_hash: Some(sealed.snapshot.view_hash) });
    }
    if !sealed.problems.is_empty() {
        let listed: Vec<String> =
            sealed.problems.iter().map(|p| format!("{}: {}", p.path, p.en)).collect();
        return Err(ApiError::unprocessable("not-ready-to-seal", listed.join("; ")));
    }
    if sealed.covers.len() > COVERED_MAX {
        return Err(ApiError::unprocessable(
            "too-many",
            format!("a seal covers at most {COVERED_MAX} changes"),
        ));
    }
    let op = Op::Seal {
        rv,
        covers: sealed.covers,
        view_hash: seen.view_hash,
        x: live_seals(&desk, rec),
    };
    let change = server_change(room, user, rec, &kind, seen.id, op);
    let receipt = command(&mut desk, room, &kind, &mut journal, change)?;
    let done = finish(tx, desk, vec![(seen.id, receipt)]).await?;
    let snapshot = SealSnapshot {
        rec,
        change: seen.id,
        view_hash: hash_of(sealed.snapshot.text.as_bytes()),
        form_version: i64::from(sealed.form_version),
        body: sealed.snapshot.text.into_bytes(),
        sealed_at: room.now,
        by: user,
    };
    tx.seals().insert(room.tenant, &snapshot).await?;
    Ok(done)
}

pub(super) async fn unseal(
    tx: &mut Tx,
    room: Room<'_>,
    user: UserId,
    rec: RecordId,
    id: ChangeId,
    why: String,
) -> Result<Done, ApiError> {
    let mut desk = open_for(tx, room, user, rec, id).await?;
    require_role(&desk, room, user, rec, &[Role::Approver], APPROVER)?;
    let kind = kind_of(&desk, rec)?;
    let x = live_seals(&desk, rec);
    let is_sealed = !x.is_empty();
    let change = server_change(room, user, rec, &kind, id, Op::Unseal { x, why });
    if let Some(receipt) = repeated(tx, room, &desk, &change).await? {
        return finish(tx, desk, vec![(id, receipt)]).await;
    }
    if !is_sealed {
        return Err(ApiError::Conflict { what: "the record is not sealed" });
    }
    let mut journal = journal_of(tx, room, rec).await?;
    let receipt = command(&mut desk, room, &kind, &mut journal, change)?;
    finish(tx, desk, vec![(id, receipt)]).await
}

pub(super) async fn judge(
    tx: &mut Tx,
    room: Room<'_>,
    user: UserId,
    rec: RecordId,
    judgement: Judgement,
) -> Result<Done, ApiError> {
    let Judgement { id, change: judged, aside } = judgement;
    let mut desk = open_for(tx, room, user, rec, id).await?;
    let record = desk.record(rec).ok_or(ApiError::NotFound { kind: "record" })?;
    let x: Vec<Dot> =
        record.verdicts.get(&judged).into_iter().flat_map(|live| live.keys().copied()).collect();
    let kind = record.kind.clone();
    let is_beside = record.beside.iter().any(|beside| beside.id == judged);
    if is_beside {
        require_role(&desk, room, user, rec, &[Role::Approver], APPROVER)?;
    } else {
        require_role(&desk, room, user, rec, &[Role::Approver, Role::Supervisor], OVERSEER)?;
    }
    let accepts = aside.is_none();
    let op = match aside {
        None => Op::Accept { change: judged, x },
        Some(why) => Op::Aside { change: judged, x, why },
    };
    let change = server_change(room, user, rec, &kind, id, op);
    if let Some(receipt) = repeated(tx, room, &desk, &change).await? {
        return finish(tx, desk, vec![(id, receipt)]).await;
    }
    let receipt = if is_beside {
        let mut journal = journal_of(tx, room, rec).await?;
        command(&mut desk, room, &kind, &mut journal, change)?
    } else {
        acknowledge(tx, room, &mut desk, judged, accepts, &change).await?
    };
    finish(tx, desk, vec![(id, receipt)]).await
}

/// Somebody looked at a change whose author no longer may write here: its mark goes. It is in the view already, so
/// setting it aside would be an edit.
async fn acknowledge(
    tx: &mut Tx,
    room: Room<'_>,
    desk: &mut Desk<'_>,
    judged: ChangeId,
    accepts: bool,
    change: &Change,
) -> Result<Receipt, ApiError> {
    let journal = tx.journal().of_record(room.tenant, change.rec).await?;
    let is_marked = |row: &&ChangeRow| row.late.as_deref() == Some(LEFT_SCOPE);
    let marked: Vec<ChangeId> = journal.iter().filter(is_marked).map(|row| row.id).collect();
    if !marked.contains(&judged) {
        return Err(ApiError::NotFound { kind: "change beside the seal" });
    }
    if !accepts {
        let detail = "the change is applied: edit the record instead";
        return Err(ApiError::unprocessable("applied", detail));
    }
    let receipt = take_server_change(desk, room, change)?;
    tx.journal().set_late(room.tenant, judged, None).await?;
    if marked.len() == 1 {
        desk.clear_flag(change.rec, LEFT_SCOPE);
    }
    Ok(receipt)
}

/// Takes the change of a command about seals, and shows the record as its journal now makes it.
fn command(
    desk: &mut Desk<'_>,
    room: Room<'_>,
    kind: &RecordType,
    journal: &mut Vec<Applied>,
    change: Change,
) -> Result<Receipt, ApiError> {
    let receipt = take_server_change(desk, room, &change)?;
    let form = room.book.form(kind).ok_or_else(|| ApiError::internal("a record without a form"))?;
    let rec = change.rec;
    let last = journal.last().map_or(Seq(0), |applied| applied.seq);
    journal.push(Applied { ops: change.ops_json(), change, t_eff: room.now, seq: last.next() });
    let keeps = crate::sync::desk::keeps_bases(form);
    let rebuilt = seals::rebuild(kind, journal, &keeps).map_err(ApiError::caused)?;
    desk.replace_record(rec, rebuilt);
    Ok(receipt)
}
