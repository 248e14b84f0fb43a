//! States: a person takes a record from one to the next along the ways of its form, those that tablets may not make too.

use super::{Done, finish, open_for, repeated, require_role, server_change, take_server_change};
use crate::problem::ApiError;
use crate::sync::ingest::Room;
use serde_json::json;
use storage::Tx;
use sync_protocol::change::{Change, Op, Path};
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::{Form, Level, Offline, Statuses, Transition};
use sync_protocol::id::{ChangeId, Dot, RecordId, Seq, UserId};
use sync_protocol::record::Record;
use sync_protocol::view::{self, STATUS, View};

const NEEDED: &str = "a role that the form names for this step, where the record lies";

/// What the person wants.
pub(super) struct Step {
    pub(super) id: ChangeId,
    pub(super) to: String,
    pub(super) why: Option<String>,
    pub(super) seen_rv: Seq,
}

pub(super) async fn advance(
    tx: &mut Tx,
    room: Room<'_>,
    user: UserId,
    rec: RecordId,
    step: Step,
) -> Result<Done, ApiError> {
    let mut desk = open_for(tx, room, user, rec, step.id).await?;
    let record = desk.record(rec).ok_or(ApiError::NotFound { kind: "record" })?;
    let form = room.book.form(&record.kind);
    let form = form.ok_or_else(|| ApiError::internal("a record without a form"))?;
    let statuses =
        form.statuses.as_ref().ok_or_else(|| no_way("records of this kind have no states"))?;
    let from = present(record, form, statuses);
    let change = Change {
        // What the person saw was sealed, if it is: the step stands beside the seal as an amendment.
        ss: record.seal_ids(),
        ..server_change(room, user, rec, &record.kind, step.id, op(record, &from, &step))
    };
    if let Some(receipt) = repeated(tx, room, &desk, &change).await? {
        return finish(tx, desk, vec![(step.id, receipt)]).await;
    }
    let rv = desk.files.get(&rec).and_then(|file| file.row.as_ref()).map(|row| row.rv);
    if let Some(rv) = rv.filter(|rv| *rv != step.seen_rv) {
        return Err(ApiError::ChangedSinceSeen { rv, view_hash: None });
    }
    let way = statuses
        .transition(&from, &step.to)
        .ok_or_else(|| no_way(&format!("the form has no such step out of {from}")))?;
    require_role(&desk, room, user, rec, &way.roles, NEEDED)?;
    if way.why && step.why.is_none() {
        return Err(ApiError::unprocessable("why-missing", "this step needs `why`"));
    }
    require_ready(record, form, way, room.now)?;
    let receipt = take_server_change(&mut desk, room, &change)?;
    finish(tx, desk, vec![(step.id, receipt)]).await
}

fn no_way(detail: &str) -> ApiError {
    ApiError::unprocessable("transition", detail)
}

/// The state that people see.
fn present(record: &Record, form: &Form, statuses: &Statuses) -> String {
    let shown = view::field_view(record, form, STATUS).map(|field| field.shown);
    let to = shown.as_ref().and_then(|value| value.get("to")?.as_str());
    to.unwrap_or(&statuses.initial).to_owned()
}

/// Replaces every state that stands in the record, so that a person's step settles a disagreement too.
fn op(record: &Record, from: &str, step: &Step) -> Op {
    let live = record.fields.get(STATUS).into_iter().flat_map(|register| register.live.keys());
    let x: Vec<Dot> = live.copied().collect();
    let value = match &step.why {
        None => json!({ "from": from, "to": step.to }),
        Some(why) => json!({ "from": from, "to": step.to, "why": why }),
    };
    Op::Set { path: Path::Field(STATUS.to_owned()), value, x, px: Vec::new() }
}

/// What a tablet could only ask for is submitted: nothing may be missing or in conflict.
fn require_ready(
    record: &Record,
    form: &Form,
    way: &Transition,
    at: UnixMillis,
) -> Result<(), ApiError> {
    if way.offline != Offline::Request {
        return Ok(());
    }
    let view = View::of(record, form);
    let missing = form.problems(&view, at).into_iter().filter(|p| p.level <= Level::Submit);
    let mut listed: Vec<String> = missing.map(|p| format!("{}: {}", p.path, p.en)).collect();
    listed.extend(view.conflicts().iter().map(|path| format!("{path}: a disagreement")));
    if listed.is_empty() {
        return Ok(());
    }
    Err(ApiError::unprocessable("not-ready-to-submit", listed.join("; ")))
}
