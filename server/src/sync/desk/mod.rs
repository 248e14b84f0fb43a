//! The desk: everything that a group of changes touches, locked and in memory, and what is to be written of it.
//!
//! Locks are taken in `open`, each set sorted, before anything is decided; the head row is locked last, in `close`.

mod blobs;
mod close;
mod judge;
mod open;

pub(crate) use close::Closed;
pub(crate) use judge::keeps_bases;
pub use open::read_record;
pub(crate) use open::{Wanted, read_state};

use super::forms::FormBook;
use super::incoming::{Claim, Incoming, Late, Source};
use super::rights::{GrantsByUser, Stay};
use crate::problem::ApiError;
use std::collections::{BTreeMap, BTreeSet};
use storage::{Quarantined, RecordRow};
use sync_protocol::change::Code;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Bucket, ChangeId, QuarantineId, RecordId, Seq, Tenant, UserId};
use sync_protocol::record::Record;
use sync_protocol::value::Hash;

/// The flag of a record with a change whose author no longer may write it.
pub(crate) const LEFT_SCOPE: &str = "left_scope";
/// The flag of a change, and of its record, whose author's clock was off by more than five minutes.
pub(crate) const CLOCK_SUSPECT: &str = "clock_suspect";

/// One record on the desk.
#[derive(Debug)]
pub(crate) struct File {
    /// The stored row; `None` for a record that does not exist yet.
    pub(crate) row: Option<RecordRow>,
    /// Its state; `None` until it exists.
    pub(crate) record: Option<Record>,
    /// Where it has been.
    pub(crate) stays: Vec<Stay>,
    /// Where it lies.
    pub(crate) buckets: BTreeSet<Bucket>,
    /// Flags that stay until somebody clears them.
    pub(crate) sticky: BTreeSet<String>,
    marks: Vec<(Marked, usize)>,
    entered: BTreeSet<Bucket>,
    left: BTreeSet<Bucket>,
    born: Option<UserId>,
}

#[derive(Debug)]
enum Marked {
    Fields(BTreeSet<String>),
    All,
}

/// A change that takes a seq.
#[derive(Debug)]
struct Taken {
    incoming: Incoming,
    source: Source,
    t_eff: UnixMillis,
    t_recv: UnixMillis,
    flags: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Journal { rec: RecordId, late: Option<Late> },
    Quarantine { q: QuarantineId, code: Code },
}

/// A seq that is already stored, or the index among those that this desk takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeqRef {
    /// Stored.
    Stored(Seq),
    /// The index among the seqs taken here, from 0.
    Taken(usize),
}

/// What is known of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The hash of its bytes.
    pub(crate) hash: Hash,
    /// Its seq.
    pub(crate) seq: SeqRef,
    /// Its effective time.
    pub(crate) t_eff: UnixMillis,
    /// With whose credentials it came.
    pub(crate) by: UserId,
    /// What became of it.
    pub(crate) state: KnownState,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KnownState {
    /// In the journal, marked late for this reason if for one.
    Applied(Option<String>),
    /// In quarantine.
    Open(QuarantineId, Code),
    /// Was in quarantine and not taken.
    Closed(QuarantineId, Code),
}

/// What this desk works on.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    tenant: &'a Tenant,
    book: &'a FormBook,
    now: UnixMillis,
    /// The records at hand.
    pub(crate) files: BTreeMap<RecordId, File>,
    /// The grants of every author at hand.
    pub(crate) grants: GrantsByUser,
    known: BTreeMap<ChangeId, Vec<Known>>,
    in_journal: BTreeSet<ChangeId>,
    waiting: Vec<Quarantined>,
    taken: Vec<Taken>,
    released: Vec<(QuarantineId, Option<UserId>, Option<String>)>,
    reserved: BTreeSet<RecordId>,
}

/// A change that left the quarantine, and the record that began with it.
#[derive(Debug)]
struct Released {
    created: Option<RecordId>,
}

/// What a change became, for the answer to its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Whether it was known before.
    pub(crate) repeated: bool,
    /// What is known of it now.
    pub(crate) known: Known,
}

impl Desk<'_> {
    /// What is known of a change with these bytes; of one with other bytes if there is no such.
    pub(crate) fn known(&self, id: ChangeId, hash: Option<&Hash>) -> Option<&Known> {
        let all = self.known.get(&id)?;
        all.iter().find(|known| hash.is_none_or(|hash| known.hash == *hash))
    }

    /// What became of an author's change, unless it waits in quarantine, also under other bytes.
    pub(crate) fn settled(&self, id: ChangeId, by: UserId) -> Option<&Known> {
        let mut own = self.known.get(&id)?.iter().filter(|known| known.by == by);
        let is_open = own.clone().any(|known| matches!(known.state, KnownState::Open(..)));
        own.next().filter(|_| !is_open)
    }

    /// The record of this id, if it exists.
    pub(crate) fn record(&self, rec: RecordId) -> Option<&Record> {
        self.files.get(&rec)?.record.as_ref()
    }

    /// Takes a flag that stays until somebody clears it off a record.
    pub(crate) fn clear_flag(&mut self, rec: RecordId, flag: &str) {
        if let Some(file) = self.files.get_mut(&rec) {
            file.sticky.remove(flag);
        }
    }

    fn note_known(&mut self, id: ChangeId, known: Known) {
        let all = self.known.entry(id).or_default();
        all.retain(|other| other.hash != known.hash);
        all.push(known);
    }

    /// Takes a change in: applies it, or stores it in quarantine; a known one is told what became of it.
    ///
    /// `qs` gives a quarantine id when one is needed.
    pub(crate) fn take(
        &mut self,
        incoming: Incoming,
        source: Source,
        stamp: Stamp,
        qs: &mut dyn FnMut() -> QuarantineId,
    ) -> Receipt {
        if let Some(known) = self.known(incoming.id, Some(&incoming.hash)) {
            return Receipt { repeated: true, known: known.clone() };
        }
        let fate = self.judge(&incoming, &source);
        let created =
            fate.is_ok() && incoming.read.as_ref().is_ok_and(|change| change.home().is_some());
        let rec = incoming.claim.rec;
        let known = self.settle(incoming, source, stamp, fate, qs);
        if let Some(rec) = rec.filter(|_| created) {
            self.judge_waiting(rec);
        }
        Receipt { repeated: false, known }
    }

    /// Stores a change in quarantine without judging it.
    pub(crate) fn set_aside(
        &mut self,
        incoming: Incoming,
        source: Source,
        stamp: Stamp,
        code: Code,
        q: QuarantineId,
    ) -> Receipt {
        let known = self.settle(incoming, source, stamp, Err(code), &mut || q);
        Receipt { repeated: false, known }
    }

    fn settle(
        &mut self,
        incoming: Incoming,
        source: Source,
        stamp: Stamp,
        fate: Result<Option<Late>, Code>,
        qs: &mut dyn FnMut() -> QuarantineId,
    ) -> Known {
        let index = self.taken.len();
        let fate = match (fate, &incoming.read) {
            (Ok(late), Ok(change)) => self.apply(change, stamp, late, index, source),
            (Ok(_), Err(refusal)) => Err(refusal.code),
            (Err(code), _) => Err(code),
        };
        let (place, state) = match fate {
            Ok((rec, late)) => {
                self.in_journal.insert(incoming.id);
                (
                    Place::Journal { rec, late },
                    KnownState::Applied(late.map(|late| late.as_str().to_owned())),
                )
            }
            Err(code) => {
                let q = qs();
                (Place::Quarantine { q, code }, KnownState::Open(q, code))
            }
        };
        let known = Known {
            hash: incoming.hash,
            seq: SeqRef::Taken(index),
            t_eff: stamp.t_eff,
            by: source.by,
            state,
        };
        self.note_known(incoming.id, known.clone());
        let flags = if stamp.clock_suspect { CLOCK_SUSPECT.to_owned() } else { String::new() };
        self.taken.push(Taken {
            incoming,
            source,
            t_eff: stamp.t_eff,
            t_recv: stamp.t_recv,
            flags,
            place,
        });
        known
    }

    /// Judges again, in order of receipt, what waited for this record or is about it, and so on downwards.
    fn judge_waiting(&mut self, rec: RecordId) {
        let mut next = Vec::new();
        let mut at = 0;
        while let Some(waiting) = self.waiting.get(at) {
            let is_meant = waiting.rec == Some(rec) || waiting.about == Some(rec);
            if is_meant && let Some(released) = self.release(at, None, None) {
                next.extend(released.created);
                continue;
            }
            at += 1;
        }
        for index in 0..self.taken.len() {
            next.extend(self.take_after_all(index, rec));
        }
        for rec in next {
            self.judge_waiting(rec);
        }
    }

    /// Applies a change of this desk that came before what it waited for; tells which record it created, if one.
    fn take_after_all(&mut self, index: usize, rec: RecordId) -> Option<RecordId> {
        let taken = self.taken.get(index)?;
        let Place::Quarantine { code: Code::Forbidden | Code::UnknownType, .. } = taken.place
        else {
            return None;
        };
        let claim = &taken.incoming.claim;
        if claim.rec != Some(rec) && claim.about != Some(rec) {
            return None;
        }
        let (incoming, source) = (taken.incoming.clone(), taken.source);
        let clock_suspect = !taken.flags.is_empty();
        let stamp = Stamp { t_eff: taken.t_eff, t_recv: taken.t_recv, clock_suspect };
        let late = self.judge_as(&incoming, &source, None).ok()?;
        let change = incoming.read.as_ref().ok()?;
        let (rec, late) = self.apply(change, stamp, late, index, source).ok()?;
        self.note_applied(&incoming, stamp, source, late, index);
        self.taken.get_mut(index)?.place = Place::Journal { rec, late };
        change.home().map(|_| rec)
    }

    fn note_applied(
        &mut self,
        incoming: &Incoming,
        stamp: Stamp,
        source: Source,
        late: Option<Late>,
        index: usize,
    ) {
        self.in_journal.insert(incoming.id);
        let state = KnownState::Applied(late.map(|late| late.as_str().to_owned()));
        let (hash, seq) = (incoming.hash, SeqRef::Taken(index));
        let known = Known { hash, seq, t_eff: stamp.t_eff, by: source.by, state };
        self.note_known(incoming.id, known);
    }

    /// Tries to apply the quarantined change at `index` of those waiting; tells which record it created, if one.
    fn release(
        &mut self,
        index: usize,
        by: Option<UserId>,
        why: Option<String>,
    ) -> Option<Released> {
        let row = self.waiting.get(index).filter(|row| may_be_tried(&row.code, by.is_some()))?;
        let incoming = Incoming::read(str::from_utf8(&row.body).ok()?);
        let source = Source {
            via: row.via,
            by: row.by,
            device: row.device,
            deposit: false,
            clock_offset_ms: None,
        };
        let late = self.judge_as(&incoming, &source, by).ok()?;
        let stamp = Stamp { t_eff: row.t_eff, t_recv: self.now, clock_suspect: false };
        let (q, taken_at) = (row.q, self.taken.len());
        let change = incoming.read.as_ref().ok()?;
        let (rec, late) = self.apply(change, stamp, late, taken_at, source).ok()?;
        let created = change.home().map(|_| rec);
        self.note_applied(&incoming, stamp, source, late, taken_at);
        self.waiting.remove(index);
        self.released.push((q, by, why));
        self.taken.push(Taken {
            incoming,
            source,
            t_eff: stamp.t_eff,
            t_recv: stamp.t_recv,
            flags: String::new(),
            place: Place::Journal { rec, late },
        });
        Some(Released { created })
    }

    /// Releases one quarantined change at a person's word, then tries the later ones of its author and record.
    ///
    /// `false` when it still cannot be applied.
    pub(crate) fn release_by(&mut self, q: QuarantineId, by: UserId, why: Option<String>) -> bool {
        let Some((index, row)) = self.waiting.iter().enumerate().find(|(_, row)| row.q == q) else {
            return false;
        };
        let (author, rec, seq) = (row.by, row.rec, row.seq);
        let Some(Released { created }) = self.release(index, Some(by), why) else { return false };
        let mut at = 0;
        while let Some(row) = self.waiting.get(at) {
            let follows = row.by == author && row.rec == rec && row.seq > seq;
            if !(follows && self.release(at, None, None).is_some()) {
                at += 1;
            }
        }
        if let Some(rec) = created {
            self.judge_waiting(rec);
        }
        true
    }

    /// Judges everything that waits again, in order of receipt.
    pub(crate) fn judge_all_waiting(&mut self) {
        let mut at = 0;
        while at < self.waiting.len() {
            match self.release(at, None, None) {
                Some(Released { created: Some(created) }) => self.judge_waiting(created),
                Some(Released { created: None }) => {}
                None => at += 1,
            }
        }
    }

    /// How many seqs this desk takes.
    pub(crate) const fn taken(&self) -> usize {
        self.taken.len()
    }
}

/// The times of a change at its receipt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// Its effective time.
    pub(crate) t_eff: UnixMillis,
    /// When it was received.
    pub(crate) t_recv: UnixMillis,
    /// Whether its author's clock was off by more than five minutes.
    pub(crate) clock_suspect: bool,
}

impl Stamp {
    /// The stamp of a change that the server makes now.
    pub(crate) const fn of_server(now: UnixMillis) -> Self {
        Self { t_eff: now, t_recv: now, clock_suspect: false }
    }
}

fn quarantine_row(taken: &Taken, q: QuarantineId, code: Code, seq: Seq) -> Quarantined {
    let Claim { rec, kind, bucket, about, .. } = taken.incoming.claim.clone();
    Quarantined {
        q,
        seq,
        id: Some(taken.incoming.id),
        hash: taken.incoming.hash,
        body: taken.incoming.text.as_bytes().to_vec(),
        rec,
        about,
        type_: kind,
        claims: bucket,
        via: taken.source.via,
        by: taken.source.by,
        device: taken.source.device,
        t_recv: taken.t_recv,
        t_eff: taken.t_eff,
        code: code.as_str().to_owned(),
        state: storage::QuarantineState::Open,
        closed_by: None,
        closed_at: None,
        why: taken.incoming.read.as_ref().err().map(|refusal| refusal.why.clone()),
    }
}

/// Whether a quarantined change is judged again: by itself when what it lacked may have come, or at a person's word.
fn may_be_tried(code: &str, by_person: bool) -> bool {
    match Code::parse(code) {
        Some(Code::Forbidden | Code::UnknownType | Code::TooBig) => true,
        Some(Code::Revoked | Code::BadOp) => by_person,
        Some(Code::IdReuse) | None => false,
    }
}

fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> ApiError {
    ApiError::caused(error)
}
