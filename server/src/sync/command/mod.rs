//! Commands: what cannot wait for a merge. The server writes an ordinary change in the name of the user.

mod edit;
mod epoch;
mod import;
mod place;
mod quarantine;
mod seal;
mod status;

pub use epoch::new_epoch;
pub use seal::{SealView, read_journal, seal_view};

use super::desk::{Desk, Receipt, Stamp, Wanted};
use super::incoming::{Incoming, Source};
use super::ingest::Room;
use super::rights;
use crate::problem::ApiError;
use std::collections::BTreeSet;
use storage::{Tx, Via};
use sync_protocol::change::{Change, Op};
use sync_protocol::form::Role;
use sync_protocol::id::{
    Bucket, ChangeId, EpochId, QuarantineId, RecordId, RecordType, Seq, UserId,
};

/// What a person, or the server itself, wants done.
#[derive(Clone, Debug)]
pub enum Command {
    /// An edit from the console.
    Edit {
        /// The person.
        user: UserId,
        /// The record.
        rec: RecordId,
        /// The id of the change, made by the client.
        id: ChangeId,
        /// The kind; needed for a new record only.
        kind: Option<RecordType>,
        /// The ops, as the wire writes them.
        ops: serde_json::Value,
        /// The revision that the person saw.
        seen_rv: Option<Seq>,
    },
    /// A record and those about it move to other buckets.
    Move {
        /// The person.
        user: UserId,
        /// The record.
        rec: RecordId,
        /// The id of the change.
        id: ChangeId,
        /// Where to.
        to: BTreeSet<Bucket>,
    },
    /// An approver seals what she read.
    Seal {
        /// The person.
        user: UserId,
        /// The record.
        rec: RecordId,
        /// The id of the change.
        id: ChangeId,
        /// The revision that she saw.
        rv: Seq,
        /// The hash of the view that she saw.
        view_hash: String,
    },
    /// A record goes to another state.
    Status {
        /// The person.
        user: UserId,
        /// The record.
        rec: RecordId,
        /// The id of the change.
        id: ChangeId,
        /// The state that it goes to.
        to: String,
        /// The reason, where the form asks for one.
        why: Option<String>,
        /// The revision that the person saw.
        seen_rv: Seq,
    },
    /// An approver opens the seal.
    Unseal {
        /// The person.
        user: UserId,
        /// The record.
        rec: RecordId,
        /// The id of the change.
        id: ChangeId,
        /// The reason.
        why: String,
    },
    /// An approver judges a change that stands beside the view.
    Judge {
        /// The person.
        user: UserId,
        /// The record.
        rec: RecordId,
        /// The id of the verdict.
        id: ChangeId,
        /// The judged change.
        change: ChangeId,
        /// `None` accepts; a reason sets aside.
        aside: Option<String>,
    },
    /// A supervisor releases a quarantined change.
    Release {
        /// The person.
        user: UserId,
        /// Which.
        q: QuarantineId,
        /// A remark.
        why: Option<String>,
    },
    /// A supervisor closes a quarantined change without applying it.
    Close {
        /// The person.
        user: UserId,
        /// Which.
        q: QuarantineId,
        /// The reason.
        why: String,
    },
    /// A form was published: a piece of what waited for it is judged again.
    FormPublished {
        /// The kind.
        kind: RecordType,
        /// Where the piece begins: what was received after this seq.
        after: Seq,
    },
    /// Changes from a file of the office.
    Import {
        /// In whose name.
        user: UserId,
        /// The frozen texts.
        texts: Vec<String>,
    },
    /// The store was set back: the history begins anew, unless it did already.
    NewEpoch {
        /// The epoch that ends.
        ends: EpochId,
    },
}

/// What a command did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The changes that it made, with their seqs; those that were there already are among them.
    pub changes: Vec<(ChangeId, Seq)>,
    /// How many of them are new.
    pub fresh: usize,
    /// How many went to quarantine.
    pub quarantined: usize,
    /// Why an edit is late.
    pub late: Option<String>,
    /// Where the next piece begins, when there was more than one transaction should take.
    pub next: Option<Seq>,
    /// The head after it.
    pub head: Seq,
    /// The buckets that have news.
    pub buckets: BTreeSet<Bucket>,
}

/// Carries out a command in a transaction, which is still open afterwards.
pub(super) async fn carry_out(
    tx: &mut Tx,
    room: Room<'_>,
    command: Command,
) -> Result<Done, ApiError> {
    match command {
        Command::Edit { user, rec, id, kind, ops, seen_rv } => {
            edit::edit(tx, room, user, edit::Edit { rec, id, kind, ops, seen_rv }).await
        }
        Command::Move { user, rec, id, to } => place::relocate(tx, room, user, rec, id, to).await,
        Command::Seal { user, rec, id, rv, view_hash } => {
            seal::seal(tx, room, user, rec, seal::Seen { id, rv, view_hash }).await
        }
        Command::Status { user, rec, id, to, why, seen_rv } => {
            status::advance(tx, room, user, rec, status::Step { id, to, why, seen_rv }).await
        }
        Command::Unseal { user, rec, id, why } => seal::unseal(tx, room, user, rec, id, why).await,
        Command::Judge { user, rec, id, change, aside } => {
            seal::judge(tx, room, user, rec, seal::Judgement { id, change, aside }).await
        }
        Command::Release { user, q, why } => quarantine::release(tx, room, user, q, why).await,
        Command::Close { user, q, why } => quarantine::close(tx, room, user, q, why).await,
        Command::FormPublished { kind, after } => {
            quarantine::judge_kind_again(tx, room, &kind, after).await
        }
        Command::Import { user, texts } => import::import(tx, room, user, texts).await,
        Command::NewEpoch { ends } => epoch::begin(tx, room, ends).await,
    }
}

/// Opens a desk for one record that the user may read; a foreign and an unknown one look the same.
async fn open_for<'a>(
    tx: &mut Tx,
    room: Room<'a>,
    user: UserId,
    rec: RecordId,
    id: ChangeId,
) -> Result<Desk<'a>, ApiError> {
    let wanted = Wanted {
        asked: vec![id],
        records: BTreeSet::from([rec]),
        users: BTreeSet::from([user]),
        ..Wanted::default()
    };
    let desk = Desk::open(tx, room.tenant, room.book, room.now, wanted).await?;
    require_readable(&desk, room, user, rec)?;
    Ok(desk)
}

fn require_readable(
    desk: &Desk<'_>,
    room: Room<'_>,
    user: UserId,
    rec: RecordId,
) -> Result<(), ApiError> {
    let grants = desk.grants.get(&user).map(Vec::as_slice).unwrap_or_default();
    let readable = rights::readable(grants, room.now);
    let file = desk.files.get(&rec).filter(|file| !file.buckets.is_disjoint(&readable));
    file.map(|_| ()).ok_or(ApiError::NotFound { kind: "record" })
}

/// Whether the user has one of the roles where the record lies.
fn require_role(
    desk: &Desk<'_>,
    room: Room<'_>,
    user: UserId,
    rec: RecordId,
    roles: &[Role],
    reason: &'static str,
) -> Result<(), ApiError> {
    let grants = desk.grants.get(&user).map(Vec::as_slice).unwrap_or_default();
    let allowed = desk
        .files
        .get(&rec)
        .is_some_and(|file| rights::has_role(grants, &file.buckets, roles, room.now));
    if allowed { Ok(()) } else { Err(ApiError::Forbidden { reason }) }
}

/// The change of a command: frozen now, in the name of the user.
fn server_change(
    room: Room<'_>,
    user: UserId,
    rec: RecordId,
    kind: &RecordType,
    id: ChangeId,
    op: Op,
) -> Change {
    Change {
        id,
        rec,
        kind: kind.clone(),
        sv: room.book.form(kind).map_or(0, |form| form.version),
        at: room.now,
        mono: None,
        boot: None,
        by: user,
        ss: Vec::new(),
        ops: vec![op],
    }
}

/// Takes a change of the server; its form and its ops are ours, so nothing but a bound can be in the way.
fn take_server_change(
    desk: &mut Desk<'_>,
    room: Room<'_>,
    change: &Change,
) -> Result<Receipt, ApiError> {
    use super::desk::KnownState;
    let incoming = Incoming::read(change.freeze().text());
    if let Err(refusal) = &incoming.read {
        return Err(ApiError::unprocessable("too-big", refusal.why.clone()));
    }
    let source = Source {
        via: Via::Server,
        by: change.by,
        device: None,
        deposit: false,
        clock_offset_ms: None,
    };
    let receipt =
        desk.take(incoming, source, Stamp::of_server(room.now), &mut || room.quarantine_id());
    match receipt.known.state {
        KnownState::Applied(_) => Ok(receipt),
        KnownState::Open(..) | KnownState::Closed(..) => {
            Err(ApiError::Conflict { what: "the id of this command was used for something else" })
        }
    }
}

/// The receipt of a command that was carried out before under this id; another change under it is a conflict.
async fn repeated(
    tx: &mut Tx,
    room: Room<'_>,
    desk: &Desk<'_>,
    command: &Change,
) -> Result<Option<Receipt>, ApiError> {
    let Some(known) = desk.known(command.id, None).cloned() else { return Ok(None) };
    let stored = tx.journal().bodies(room.tenant, &[command.id]).await?;
    let is_same = |text: &str| {
        Change::parse(text).is_ok_and(|stored| {
            stored.rec == command.rec
                && stored.by == command.by
                && same_command(&stored.ops, &command.ops)
        })
    };
    let mut texts = stored.into_iter().filter_map(|(_, body)| String::from_utf8(body).ok());
    if texts.any(|text| is_same(&text)) {
        Ok(Some(Receipt { repeated: true, known }))
    } else {
        Err(ApiError::Conflict { what: "this id was used for another change" })
    }
}

/// Whether two commands ask for the same; what the server added to them is left out.
fn same_command(stored: &[Op], asked: &[Op]) -> bool {
    match (stored, asked) {
        ([Op::Place { buckets: a, .. }], [Op::Place { buckets: b, .. }]) => a == b,
        ([Op::Seal { rv: rv_a, view_hash: a, .. }], [Op::Seal { rv: rv_b, view_hash: b, .. }]) => {
            rv_a == rv_b && a == b
        }
        ([Op::Unseal { why: a, .. }], [Op::Unseal { why: b, .. }]) => a == b,
        ([Op::Set { path: a, value: of_a, .. }], [Op::Set { path: b, value: of_b, .. }]) => {
            // Where it led from is no longer where the record is.
            a == b && ["to", "why"].iter().all(|member| of_a.get(member) == of_b.get(member))
        }
        ([Op::Accept { change: a, .. }], [Op::Accept { change: b, .. }]) => a == b,
        ([Op::Aside { change: a, why: why_a, .. }], [Op::Aside { change: b, why: why_b, .. }]) => {
            a == b && why_a == why_b
        }
        _ => false,
    }
}

/// Closes the desk and tells what was made.
async fn finish(
    tx: &mut Tx,
    desk: Desk<'_>,
    made: Vec<(ChangeId, Receipt)>,
) -> Result<Done, ApiError> {
    use super::desk::KnownState;
    let closed = desk.close(tx).await?;
    let mut done = Done { head: closed.head, buckets: closed.buckets.clone(), ..Done::default() };
    for (id, receipt) in made {
        done.fresh += usize::from(!receipt.repeated);
        match &receipt.known.state {
            KnownState::Applied(late) => done.late = late.clone().or(done.late),
            KnownState::Open(..) | KnownState::Closed(..) => done.quarantined += 1,
        }
        done.changes.push((id, closed.seq(receipt.known.seq)));
    }
    Ok(done)
}
