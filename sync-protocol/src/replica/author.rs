//! Authoring: edits of what is displayed become ops that name the exact dots they replace.

use super::{Chance, OWN_CHANGES_MAX, Replica, Step};
use crate::change::{Change, Home, Op, Path, RowPath, op_index};
use crate::clock::ClockReading;
use crate::id::{ChangeId, Dot, RecordId, RecordType};
use crate::record::{Record, Slot};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a person did to one record in one go.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The record.
    pub rec: RecordId,
    /// Its kind.
    pub kind: RecordType,
    /// The version of the form that was filled in.
    pub sv: u32,
    /// What was done, in this order.
    pub edits: Vec<Edit>,
}

/// One thing that a person did.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Begins the record; the first edit or none.
    New(Home),
    /// Answers a field or a cell.
    Set(Path, Value),
    /// Adds a row or an element.
    Add {
        /// The row.
        at: RowPath,
        /// Its position in an ordered list.
        pos: Option<String>,
        /// Its immutable payload.
        value: Option<Value>,
    },
    /// Removes a row or an element.
    Rem {
        /// The row.
        at: RowPath,
        /// The reason.
        why: Option<String>,
    },
    /// Moves a row.
    Pos {
        /// The row.
        at: RowPath,
        /// The new position.
        pos: String,
    },
    /// Deletes the record.
    Del {
        /// The reason.
        why: Option<String>,
    },
    /// Takes back every deletion that is displayed.
    Undel,
}

/// Why nothing was authored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The record is not on this tablet.
    #[error("the record {0} is not on this tablet")]
    NotHere(RecordId),
    /// There is a record with this id already.
    #[error("the record {0} exists already")]
    Exists(RecordId),
    /// The record is of another kind.
    #[error("the record is a {0}")]
    OtherKind(RecordType),
    /// The row is not displayed.
    #[error("there is no row {0}")]
    NoRow(String),
    /// Nothing is deleted here.
    #[error("the record is not deleted")]
    NotDeleted,
    /// The change says nothing.
    #[error("the change is empty")]
    Empty,
    /// `New` stands at the first place or nowhere.
    #[error("a record begins with its first edit")]
    NewNotFirst,
    /// The server would not read it, or it exceeds a limit.
    #[error("{0}")]
    Unfit(String),
    /// The tablet keeps as many own changes as it may.
    #[error("{OWN_CHANGES_MAX} changes are kept already: sync first")]
    Full,
}

impl Replica {
    /// Authors one change: it is frozen, numbered and displayed at once.
    pub fn author(
        &mut self,
        draft: &Draft,
        clock: &ClockReading,
        chance: &mut dyn Chance,
    ) -> Result<(ChangeId, Step), Refused> {
        if self.own.len() >= OWN_CHANGES_MAX {
            return Err(Refused::Full);
        }
        let shown = self.base_of(draft)?;
        let id = chance.change_id(clock.now.0);
        let mut draught =
            Draught { id, shown: &shown, replica: self, now: BTreeMap::new(), ops: Vec::new() };
        for edit in &draft.edits {
            draught.push(edit)?;
        }
        let authored = Change {
            id,
            rec: draft.rec,
            kind: draft.kind.clone(),
            sv: draft.sv,
            at: clock.now.0,
            mono: Some(clock.mono),
            boot: Some(clock.boot.clone()),
            by: self.state.identity.user,
            ss: shown.seal_ids(),
            ops: draught.ops,
        };
        let text = authored.freeze().text().to_owned();
        let read = Change::parse(&text).map_err(|refusal| Refused::Unfit(refusal.why))?;
        let bytes_max = self.state.limits.max_change;
        if text.len() > bytes_max {
            return Err(Refused::Unfit(format!(
                "the change has {} bytes, over {bytes_max}",
                text.len()
            )));
        }
        self.append(read, text, clock.now.0.plus(self.state.offset_ms));
        Ok((id, self.finish(clock, chance)))
    }

    fn base_of(&self, draft: &Draft) -> Result<Record, Refused> {
        match draft.edits.first() {
            None => Err(Refused::Empty),
            Some(Edit::New(home)) => {
                if self.held.contains_key(&draft.rec) || self.index.shown.contains_key(&draft.rec) {
                    return Err(Refused::Exists(draft.rec));
                }
                match home {
                    Home::About(subject) if !self.is_shown(*subject) => {
                        Err(Refused::NotHere(*subject))
                    }
                    Home::About(_) | Home::In(_) => Ok(Record::new(draft.kind.clone())),
                }
            }
            Some(_) => {
                let shown = self.displayed(draft.rec).ok_or(Refused::NotHere(draft.rec))?;
                if shown.kind == draft.kind {
                    Ok(shown)
                } else {
                    Err(Refused::OtherKind(shown.kind))
                }
            }
        }
    }
}

/// A change in the making.
struct Draught<'a> {
    id: ChangeId,
    shown: &'a Record,
    replica: &'a Replica,
    /// What is live where this change has put something already.
    now: BTreeMap<Slot, Vec<Dot>>,
    ops: Vec<Op>,
}

impl Draught<'_> {
    fn push(&mut self, edit: &Edit) -> Result<(), Refused> {
        // The reader of the frozen text refuses more ops than a change may hold; dots count them in 16 bits.
        if self.ops.len() >= crate::change::OPS_MAX {
            return Err(Refused::Unfit(format!("more than {} ops", crate::change::OPS_MAX)));
        }
        let index = op_index(self.ops.len());
        let (put, presence) = (Dot::put(self.id, index), Dot::presence(self.id, index));
        let op = match edit {
            Edit::New(_) if !self.ops.is_empty() => return Err(Refused::NewNotFirst),
            Edit::New(home) => Op::New { home: home.clone() },
            Edit::Set(path, value) => {
                let (slot, px) = match path {
                    Path::Field(field) => (Slot::Field(field.clone()), Vec::new()),
                    Path::Cell(at, cell) => {
                        let px = self.touch(at, presence)?;
                        (Slot::Cell(at.clone(), cell.clone()), px)
                    }
                };
                let x = self.replace(slot, vec![put]);
                Op::Set { path: path.clone(), value: value.clone(), x, px }
            }
            Edit::Add { at, pos, value } => {
                let mut x =
                    self.replace(Slot::Payload(at.clone()), value.iter().map(|_| put).collect());
                x.extend(
                    self.replace(Slot::Position(at.clone()), pos.iter().map(|_| put).collect()),
                );
                let px = self.replace(Slot::Row(at.clone()), vec![presence]);
                Op::Add { at: at.clone(), pos: pos.clone(), value: value.clone(), x: unique(x), px }
            }
            Edit::Rem { at, why } => {
                self.row_is_there(at)?;
                let x = self.replace(Slot::Row(at.clone()), vec![put]);
                Op::Rem { at: at.clone(), x, why: why.clone() }
            }
            Edit::Pos { at, pos } => {
                let px = self.touch(at, presence)?;
                let x = self.replace(Slot::Position(at.clone()), vec![put]);
                Op::Pos { at: at.clone(), pos: pos.clone(), x, px }
            }
            Edit::Del { why } => {
                let mut seen = self.shown.live_changes();
                if !self.now.is_empty() {
                    seen.insert(self.id);
                }
                Op::Del { seen: seen.into_iter().collect(), why: why.clone() }
            }
            Edit::Undel if self.shown.deletions.is_empty() => return Err(Refused::NotDeleted),
            Edit::Undel => Op::Undel { x: self.replace(Slot::Deletion, Vec::new()) },
        };
        self.ops.push(op);
        Ok(())
    }

    /// Renews the presence of a row that is displayed.
    fn touch(&mut self, at: &RowPath, presence: Dot) -> Result<Vec<Dot>, Refused> {
        self.row_is_there(at)?;
        Ok(self.replace(Slot::Row(at.clone()), vec![presence]))
    }

    fn row_is_there(&self, at: &RowPath) -> Result<(), Refused> {
        let live = self.live(&Slot::Row(at.clone()));
        if live.iter().any(|dot| dot.presence) {
            Ok(())
        } else {
            Err(Refused::NoRow(at.to_string()))
        }
    }

    fn live(&self, slot: &Slot) -> Vec<Dot> {
        self.now.get(slot).cloned().unwrap_or_else(|| live_at(self.shown, slot))
    }

    /// The dots that an op at this slot replaces; from now on `by` is what is live there.
    fn replace(&mut self, slot: Slot, by: Vec<Dot>) -> Vec<Dot> {
        let named = self.with_carried(&slot, self.live(&slot));
        self.now.insert(slot, by);
        named
    }

    /// Adds, transitively, what own ops named at this slot that the server has not answered as applied: should one
    /// of them end in quarantine, what it replaced must not come back as a sibling.
    fn with_carried(&self, slot: &Slot, live: Vec<Dot>) -> Vec<Dot> {
        let mut named: BTreeSet<Dot> = BTreeSet::new();
        let mut open = live;
        while let Some(dot) = open.pop() {
            if named.insert(dot)
                && let Some(op) = self.unapplied_op(dot)
            {
                open.extend(named_at(op, slot));
            }
        }
        named.into_iter().collect()
    }

    fn unapplied_op(&self, dot: Dot) -> Option<&Op> {
        if dot.change == self.id {
            return self.ops.get(usize::from(dot.op));
        }
        let own = self.replica.own_by_id(dot.change)?;
        if own.meta.outcome.as_ref().is_some_and(super::Outcome::is_applied) {
            return None;
        }
        own.change.as_ref()?.ops.get(usize::from(dot.op))
    }
}

fn unique(dots: Vec<Dot>) -> Vec<Dot> {
    dots.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// What an op names at a slot.
fn named_at<'a>(op: &'a Op, slot: &Slot) -> &'a [Dot] {
    match (op, slot) {
        (Op::Set { x, .. }, Slot::Field(_) | Slot::Cell(..))
        | (Op::Add { x, .. }, Slot::Payload(_) | Slot::Position(_))
        | (Op::Pos { x, .. }, Slot::Position(_))
        | (Op::Rem { x, .. }, Slot::Row(_)) => x,
        (Op::Set { px, .. } | Op::Add { px, .. } | Op::Pos { px, .. }, Slot::Row(_)) => px,
        _ => &[],
    }
}

fn live_at(record: &Record, slot: &Slot) -> Vec<Dot> {
    let row = |at: &RowPath| record.lists.get(&at.field).and_then(|rows| rows.get(&at.row));
    match slot {
        Slot::Field(field) => record.fields.get(field).map(|r| r.live.keys().copied().collect()),
        Slot::Cell(at, cell) => {
            row(at).and_then(|row| row.cells.get(cell)).map(|r| r.live.keys().copied().collect())
        }
        Slot::Payload(at) => row(at).map(|row| row.payloads.keys().copied().collect()),
        Slot::Position(at) => row(at).map(|row| row.positions.keys().copied().collect()),
        Slot::Row(at) => {
            row(at).map(|row| row.presences.iter().chain(row.removals.keys()).copied().collect())
        }
        Slot::Deletion => Some(record.deletions.keys().copied().collect()),
        Slot::Seal | Slot::Home | Slot::Verdict(_) => None,
    }
    .unwrap_or_default()
}
