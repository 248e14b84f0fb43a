//! The state of a record: the live puts, and what must not come back to life.
//!
//! Conceptually a record is two grow-only sets, `A` of puts by dot and `G` of gone pairs (slot, dot), and applying a
//! change is a union. Here only what is live is kept, with the pairs whose put has not arrived yet; the journal keeps
//! the rest. Each accepted change is applied once.

mod apply;
mod body;
mod slot;

pub use body::{BaseBody, Damaged, DeletionBody, Meta, RecordBody, RowBody, SealBody};
pub use slot::Slot;

use crate::change::{Change, Op, Path, RowPath};
use crate::clock::UnixMillis;
use crate::id::{Bucket, ChangeId, Dot, RecordId, RecordType, Seq, UserId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The most gone pairs of a record whose put has not arrived.
pub const EARLY_GONE_MAX: usize = 1_000;

/// When a change counts as made, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The effective time.
    pub t_eff: UnixMillis,
    /// The author.
    pub by: UserId,
}

/// A change with its effective time.
#[derive(Clone, Copy, Debug)]
pub struct Stamped<'a> {
    /// The change.
    pub change: &'a Change,
    /// Stamped once, at its receipt.
    pub t_eff: UnixMillis,
}

/// One live value of a field or a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Sibling {
    /// The value.
    pub value: Value,
    /// The puts that it replaced, where the policy keeps them as bases.
    pub replaced: Vec<Dot>,
}

/// The live values of one field or cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Register {
    /// By dot; more than one means that nobody has seen them all.
    pub live: BTreeMap<Dot, Sibling>,
    /// What the live siblings replaced, as far as the policy keeps it; `None` while the put is not at hand.
    pub bases: BTreeMap<Dot, Option<Value>>,
}

/// One element of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The row is there while one of these is live.
    pub presences: BTreeSet<Dot>,
    /// Live removals, with their reasons.
    pub removals: BTreeMap<Dot, Option<String>>,
    /// Immutable payloads of its adds.
    pub payloads: BTreeMap<Dot, Value>,
    /// Live positions.
    pub positions: BTreeMap<Dot, String>,
    /// The cells.
    pub cells: BTreeMap<String, Register>,
}

/// A live deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The changes whose puts its author saw live.
    pub seen: BTreeSet<ChangeId>,
    /// The reason.
    pub why: Option<String>,
}

/// Where a live `new` or `place` puts the record.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placing {
    /// In these buckets.
    In(Vec<Bucket>),
    /// Wherever the subject lies.
    About(RecordId),
}

/// A live seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The revision that the approver saw.
    pub rv: Seq,
    /// The hash of the view that was sealed.
    pub view_hash: String,
}

/// How an approver judged a change that stands beside a seal.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nobody has judged, or two people differ.
    Open,
    /// It joins the next seal's view.
    Accepted,
    /// It is in no view.
    Aside,
}

/// Why an applied change stands beside the view of its record.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum SealClass {
    /// Its author had not seen the seal.
    Late,
    /// Its author had seen the seal.
    Amendment,
}

/// A change that stands beside the view, because it came while a seal was live that does not cover it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Beside {
    /// The change.
    pub id: ChangeId,
    /// Its class.
    pub class: SealClass,
    /// Its effective time.
    pub t_eff: UnixMillis,
    /// Its author.
    pub by: UserId,
    /// How it was judged.
    pub verdict: Verdict,
    /// Its ops, as authored.
    pub ops: Value,
}

/// The state of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its kind.
    pub kind: RecordType,
    /// Its subject.
    pub about: Option<RecordId>,
    /// Fields by path.
    pub fields: BTreeMap<String, Register>,
    /// Lists by field, elements by id.
    pub lists: BTreeMap<String, BTreeMap<String, Row>>,
    /// Live deletions.
    pub deletions: BTreeMap<Dot, Deletion>,
    /// Live `new` and `place` puts.
    pub homes: BTreeMap<Dot, Placing>,
    /// Live seals.
    pub seals: BTreeMap<Dot, Seal>,
    /// Live verdicts by the change that they judge.
    pub verdicts: BTreeMap<ChangeId, BTreeMap<Dot, bool>>,
    /// Changes that stand beside the view, in order of receipt.
    pub beside: Vec<Beside>,
    /// Pairs whose put has not arrived.
    pub early_gone: BTreeSet<(Slot, Dot)>,
    /// Stamps of the changes that have something live.
    pub stamps: BTreeMap<ChangeId, Stamp>,
    /// The seq of the last change of each top-level field.
    pub field_seqs: BTreeMap<String, Seq>,
}

/// A change would leave more early gone pairs than [`EARLY_GONE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {EARLY_GONE_MAX} of the named puts have not arrived")]
pub struct TooManyEarly;

/// What applying needs to know of the world around one record.
#[expect(missing_debug_implementations, reason = "it borrows two closures for the time of a call")]
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Whether the policy of a field (or of a cell of it) keeps what its siblings replaced.
    pub keeps_bases: &'a dyn Fn(&str, Option<&str>) -> bool,
    /// Whether a change has been applied to this record already, so that a put of it that is not live is gone.
    pub applied: &'a dyn Fn(ChangeId) -> bool,
}

impl Record {
    /// An empty record of this kind: no change has been applied.
    pub const fn new(kind: RecordType) -> Self {
        Self {
            kind,
            about: None,
            fields: BTreeMap::new(),
            lists: BTreeMap::new(),
            deletions: BTreeMap::new(),
            homes: BTreeMap::new(),
            seals: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            beside: Vec::new(),
            early_gone: BTreeSet::new(),
            stamps: BTreeMap::new(),
            field_seqs: BTreeMap::new(),
        }
    }

    fn row_opt_mut(&mut self, at: &RowPath) -> Option<&mut Row> {
        self.lists.get_mut(&at.field)?.get_mut(&at.row)
    }

    fn row_mut(&mut self, at: &RowPath) -> &mut Row {
        self.lists.entry(at.field.clone()).or_default().entry(at.row.clone()).or_default()
    }

    fn register_mut(&mut self, path: &Path) -> &mut Register {
        match path {
            Path::Field(field) => self.fields.entry(field.clone()).or_default(),
            Path::Cell(at, cell) => self.row_mut(at).cells.entry(cell.clone()).or_default(),
        }
    }

    /// The dots of the live puts that a deletion must have seen: values, presences, payloads and positions.
    pub fn live_values(&self) -> impl Iterator<Item = Dot> {
        let fields = self.fields.values().flat_map(|register| register.live.keys().copied());
        let rows = self.lists.values().flat_map(BTreeMap::values).flat_map(|row| {
            let cells = row.cells.values().flat_map(|register| register.live.keys().copied());
            row.presences
                .iter()
                .copied()
                .chain(row.payloads.keys().copied())
                .chain(row.positions.keys().copied())
                .chain(cells)
        });
        fields.chain(rows)
    }

    /// The changes that have something live here: what a deletion lists as `seen`.
    pub fn live_changes(&self) -> BTreeSet<ChangeId> {
        self.live_values().chain(self.homes.keys().copied()).map(|dot| dot.change).collect()
    }

    /// The bases that the state does not hold: the journal has them, if their change has arrived.
    pub fn missing_bases(&self) -> BTreeSet<Dot> {
        let of = |register: &Register| -> Vec<Dot> {
            register.bases.iter().filter(|(_, base)| base.is_none()).map(|(dot, _)| *dot).collect()
        };
        let cells =
            self.lists.values().flat_map(BTreeMap::values).flat_map(|row| row.cells.values());
        self.fields.values().chain(cells).flat_map(of).collect()
    }

    /// Gives the values that a change of the journal once put, where siblings name them as bases.
    pub fn supply_bases(&mut self, change: &Change) {
        for (index, op) in change.ops.iter().enumerate() {
            if let Op::Set { path, value, .. } = op {
                let dot = change.dot(index);
                let register = match path {
                    Path::Field(field) => self.fields.get_mut(field),
                    Path::Cell(at, cell) => {
                        self.row_opt_mut(at).and_then(|row| row.cells.get_mut(cell))
                    }
                };
                if let Some(base @ None) =
                    register.and_then(|register| register.bases.get_mut(&dot))
                {
                    *base = Some(value.clone());
                }
            }
        }
    }

    /// Notes that the change with this seq touched these fields.
    pub fn mark(&mut self, touched: impl IntoIterator<Item = String>, seq: Seq) {
        for field in touched {
            let known = self.field_seqs.entry(field).or_default();
            *known = seq.max(*known);
        }
    }

    /// Notes that the change with this seq may have changed every field: a seal, an unsealing, a verdict.
    pub fn mark_all(&mut self, seq: Seq) {
        let fields: Vec<String> = self
            .fields
            .keys()
            .chain(self.lists.keys())
            .chain(self.field_seqs.keys())
            .cloned()
            .collect();
        self.mark(fields, seq);
    }

    /// The verdict on a change that stands beside the view.
    pub fn verdict(&self, change: ChangeId) -> Verdict {
        let Some(live) = self.verdicts.get(&change) else { return Verdict::Open };
        match (live.values().any(|accept| *accept), live.values().any(|accept| !*accept)) {
            (true, false) => Verdict::Accepted,
            (false, true) => Verdict::Aside,
            (true, true) | (false, false) => Verdict::Open,
        }
    }

    /// The live seals, as an author notes them in `ss`.
    pub fn seal_ids(&self) -> Vec<ChangeId> {
        self.seals.keys().map(|dot| dot.change).collect()
    }
}
