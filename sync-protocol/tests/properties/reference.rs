//! The state of a record exactly as the protocol tells it: two sets that only grow, and nothing pruned.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::change::{Change, Home, Op, Path, RowPath};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{ChangeId, Dot};
use sync_protocol::record::{Deletion, Placing, Record, Register, Row, Seal, Sibling, Slot, Stamp};

/// A put of `A`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Put {
    Value(Value, Vec<Dot>),
    Presence,
    Removal(Option<String>),
    Payload(Value),
    Position(String),
    Deletion(Deletion),
    Home(Placing),
    Seal(Seal),
    Verdict(bool),
}

impl Put {
    /// The value of a field or a cell.
    pub(crate) fn value(&self) -> Option<&Value> {
        if let Self::Value(value, _) = self { Some(value) } else { None }
    }
}

/// `A` and `G`, with what the applied changes are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    pub(crate) puts: BTreeMap<(Slot, Dot), Put>,
    pub(crate) gone: BTreeSet<(Slot, Dot)>,
    pub(crate) applied: BTreeMap<ChangeId, Stamp>,
    places: BTreeSet<Slot>,
    about: Option<sync_protocol::id::RecordId>,
}

impl Reference {
    /// The state after these changes.
    pub(crate) fn of<'a>(changes: impl IntoIterator<Item = (&'a Change, UnixMillis)>) -> Self {
        let mut reference = Self::default();
        for (change, t_eff) in changes {
            reference.apply(change, t_eff);
        }
        reference
    }

    pub(crate) fn apply(&mut self, change: &Change, t_eff: UnixMillis) {
        self.applied.insert(change.id, Stamp { t_eff, by: change.by });
        for (index, op) in change.ops.iter().enumerate() {
            let dot = change.dot(index);
            self.gone.extend(names(op));
            self.places.extend(place(op));
            for (slot, dot, put) in puts(op, dot) {
                self.puts.insert((slot, dot), put);
            }
            if let Op::New { home: Home::About(subject) } = op {
                self.about = Some(*subject);
            }
        }
    }

    /// The live puts of a slot.
    pub(crate) fn live<'a>(&'a self, slot: &'a Slot) -> impl Iterator<Item = (Dot, &'a Put)> {
        self.all_live().filter(move |(at, _, _)| *at == slot).map(|(_, dot, put)| (dot, put))
    }

    /// Every live put.
    pub(crate) fn all_live(&self) -> impl Iterator<Item = (&Slot, Dot, &Put)> {
        let live = self.puts.iter().filter(|(pair, _)| !self.gone.contains(pair));
        live.map(|((slot, dot), put)| (slot, *dot, put))
    }

    /// The live dots of a slot.
    pub(crate) fn dots(&self, slot: &Slot) -> Vec<Dot> {
        self.live(slot).map(|(dot, _)| dot).collect()
    }

    /// What the stored form must be: only what is live, and the pairs whose put has not arrived.
    pub(crate) fn record(
        &self,
        empty: Record,
        keeps: &dyn Fn(&str, Option<&str>) -> bool,
    ) -> Record {
        let mut record = empty;
        record.about = self.about;
        for slot in &self.places {
            match slot {
                Slot::Field(field) => {
                    record.fields.entry(field.clone()).or_default();
                }
                Slot::Cell(at, cell) => {
                    row(&mut record, at).cells.entry(cell.clone()).or_default();
                }
                Slot::Payload(at) | Slot::Position(at) | Slot::Row(at) => {
                    row(&mut record, at);
                }
                Slot::Deletion | Slot::Seal | Slot::Home | Slot::Verdict(_) => {}
            }
        }
        for (slot, dot, put) in self.all_live() {
            match (slot, put) {
                (Slot::Field(field), Put::Value(value, x)) => {
                    let register = record.fields.entry(field.clone()).or_default();
                    self.value(register, slot, dot, value, x, keeps(field, None));
                }
                (Slot::Cell(at, cell), Put::Value(value, x)) => {
                    let register = row(&mut record, at).cells.entry(cell.clone()).or_default();
                    self.value(register, slot, dot, value, x, keeps(&at.field, Some(cell)));
                }
                (Slot::Row(at), Put::Presence) => drop(row(&mut record, at).presences.insert(dot)),
                (Slot::Row(at), Put::Removal(why)) => {
                    row(&mut record, at).removals.insert(dot, why.clone());
                }
                (Slot::Payload(at), Put::Payload(value)) => {
                    row(&mut record, at).payloads.insert(dot, value.clone());
                }
                (Slot::Position(at), Put::Position(pos)) => {
                    row(&mut record, at).positions.insert(dot, pos.clone());
                }
                (Slot::Deletion, Put::Deletion(put)) => {
                    record.deletions.insert(dot, put.clone());
                }
                (Slot::Home, Put::Home(put)) => drop(record.homes.insert(dot, put.clone())),
                (Slot::Seal, Put::Seal(put)) => drop(record.seals.insert(dot, put.clone())),
                (Slot::Verdict(judged), Put::Verdict(accept)) => {
                    record.verdicts.entry(*judged).or_default().insert(dot, *accept);
                }
                other => panic!("no such put: {other:?}"),
            }
        }
        record.early_gone = self
            .gone
            .iter()
            .filter(|(_, dot)| !self.applied.contains_key(&dot.change))
            .cloned()
            .collect();
        record.stamps.clone_from(&self.applied);
        record
    }

    fn value(
        &self,
        register: &mut Register,
        slot: &Slot,
        dot: Dot,
        value: &Value,
        x: &[Dot],
        keeps: bool,
    ) {
        let named: BTreeSet<Dot> = x.iter().copied().filter(|_| keeps).collect();
        for base in &named {
            let put = self.puts.get(&(slot.clone(), *base));
            register.bases.insert(*base, put.and_then(Put::value).cloned());
        }
        let replaced = named.into_iter().collect();
        register.live.insert(dot, Sibling { value: value.clone(), replaced });
    }
}

fn row<'a>(record: &'a mut Record, at: &RowPath) -> &'a mut Row {
    record.lists.entry(at.field.clone()).or_default().entry(at.row.clone()).or_default()
}

pub(crate) fn slot_of(path: &Path) -> Slot {
    match path {
        Path::Field(field) => Slot::Field(field.clone()),
        Path::Cell(at, cell) => Slot::Cell(at.clone(), cell.clone()),
    }
}

/// The field, cell or row that an op stands at, whether its put lives or not.
fn place(op: &Op) -> Option<Slot> {
    match op {
        Op::Set { path, .. } => Some(slot_of(path)),
        Op::Add { at, .. } | Op::Rem { at, .. } | Op::Pos { at, .. } => Some(Slot::Row(at.clone())),
        Op::New { .. }
        | Op::Del { .. }
        | Op::Undel { .. }
        | Op::Place { .. }
        | Op::Seal { .. }
        | Op::Unseal { .. }
        | Op::Accept { .. }
        | Op::Aside { .. } => None,
    }
}

/// `{path of op} × x ∪ {its element} × px`.
pub(crate) fn names(op: &Op) -> Vec<(Slot, Dot)> {
    let pairs =
        |slot: Slot, dots: &[Dot]| dots.iter().map(|dot| (slot.clone(), *dot)).collect::<Vec<_>>();
    match op {
        Op::New { .. } | Op::Del { .. } => Vec::new(),
        Op::Set { path, x, px, .. } => {
            let mut named = pairs(slot_of(path), x);
            if let Path::Cell(at, _) = path {
                named.extend(pairs(Slot::Row(at.clone()), px));
            }
            named
        }
        Op::Add { at, x, px, .. } => [
            pairs(Slot::Payload(at.clone()), x),
            pairs(Slot::Position(at.clone()), x),
            pairs(Slot::Row(at.clone()), px),
        ]
        .concat(),
        Op::Pos { at, x, px, .. } => {
            [pairs(Slot::Position(at.clone()), x), pairs(Slot::Row(at.clone()), px)].concat()
        }
        Op::Rem { at, x, .. } => pairs(Slot::Row(at.clone()), x),
        Op::Undel { x } => pairs(Slot::Deletion, x),
        Op::Seal { x, .. } | Op::Unseal { x, .. } => pairs(Slot::Seal, x),
        Op::Place { x, .. } => pairs(Slot::Home, x),
        Op::Accept { change, x } | Op::Aside { change, x, .. } => pairs(Slot::Verdict(*change), x),
    }
}

fn puts(op: &Op, dot: Dot) -> Vec<(Slot, Dot, Put)> {
    let presence =
        |at: &RowPath| (Slot::Row(at.clone()), Dot::presence(dot.change, dot.op), Put::Presence);
    match op {
        Op::New { home: Home::In(bucket) } => {
            vec![(Slot::Home, dot, Put::Home(Placing::In(vec![bucket.clone()])))]
        }
        Op::New { home: Home::About(rec) } => {
            vec![(Slot::Home, dot, Put::Home(Placing::About(*rec)))]
        }
        Op::Place { buckets, .. } => {
            vec![(Slot::Home, dot, Put::Home(Placing::In(buckets.clone())))]
        }
        Op::Set { path, value, x, .. } => {
            let mut made = vec![(slot_of(path), dot, Put::Value(value.clone(), x.clone()))];
            if let Path::Cell(at, _) = path {
                made.push(presence(at));
            }
            made
        }
        Op::Add { at, pos, value, .. } => {
            let mut made = vec![presence(at)];
            made.extend(
                value
                    .iter()
                    .map(|value| (Slot::Payload(at.clone()), dot, Put::Payload(value.clone()))),
            );
            made.extend(
                pos.iter().map(|pos| (Slot::Position(at.clone()), dot, Put::Position(pos.clone()))),
            );
            made
        }
        Op::Pos { at, pos, .. } => {
            vec![presence(at), (Slot::Position(at.clone()), dot, Put::Position(pos.clone()))]
        }
        Op::Rem { at, why, .. } => vec![(Slot::Row(at.clone()), dot, Put::Removal(why.clone()))],
        Op::Del { seen, why } => {
            let put = Deletion { seen: seen.iter().copied().collect(), why: why.clone() };
            vec![(Slot::Deletion, dot, Put::Deletion(put))]
        }
        Op::Seal { rv, view_hash, .. } => {
            vec![(Slot::Seal, dot, Put::Seal(Seal { rv: *rv, view_hash: view_hash.clone() }))]
        }
        Op::Accept { change, .. } => vec![(Slot::Verdict(*change), dot, Put::Verdict(true))],
        Op::Aside { change, .. } => vec![(Slot::Verdict(*change), dot, Put::Verdict(false))],
        Op::Undel { .. } | Op::Unseal { .. } => Vec::new(),
    }
}
