//! The stored and the travelling form of a record.
//!
//! The body is what a tablet receives, and the server stores these very bytes; [`Meta`] is what only the server needs.

use super::{Beside, Deletion, Placing, Record, Register, Row, Seal, Sibling, Slot, Stamp};
use crate::clock::UnixMillis;
use crate::id::{ChangeId, Dot, RecordId, RecordType, Seq, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A put as the wire writes it: index in `changes`, op.
type Ref = (usize, u16);
/// A put with its value.
type Valued<T> = (usize, u16, T);

/// What a tablet receives of a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordBody {
    /// The changes that the puts below name by index, with effective time and author.
    pub changes: Vec<(ChangeId, UnixMillis, UserId)>,
    /// Live values by field; an empty list means that the field became empty.
    pub fields: BTreeMap<String, Vec<Valued<Value>>>,
    /// Lists by field, each whole, elements by id.
    pub lists: BTreeMap<String, BTreeMap<String, RowBody>>,
    /// What live siblings replaced, by path, where the policy keeps it.
    pub bases: BTreeMap<String, Vec<BaseBody>>,
    /// Live deletions.
    pub del: Vec<Valued<DeletionBody>>,
    /// The live seal.
    pub seal: Option<SealBody>,
    /// Changes that stand beside the view.
    pub late: Vec<Beside>,
    /// The server's flags: `conflict`, `late`, `clock_suspect` …
    pub flags: Vec<String>,
}

/// One element of a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowBody {
    /// Presences.
    pub p: Vec<Ref>,
    /// Removals, with the reason.
    pub r: Vec<Valued<Option<String>>>,
    /// Payloads.
    pub v: Vec<Valued<Value>>,
    /// Positions.
    pub pos: Vec<Valued<String>>,
    /// Cells.
    pub cells: BTreeMap<String, Vec<Valued<Value>>>,
}

/// A put that live siblings replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseBody {
    /// The replaced put.
    pub dot: Dot,
    /// The live siblings that name it.
    pub of: Vec<Ref>,
    /// Its value; absent while it is not at hand.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "present")]
    pub v: Option<Value>,
}

/// A live deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeletionBody {
    /// The changes that its author saw live.
    pub seen: Vec<ChangeId>,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A live seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealBody {
    /// The change that sealed: what an author notes in `ss`.
    pub id: ChangeId,
    /// The op in it.
    pub op: u16,
    /// The revision that the approver saw.
    pub rv: Seq,
    /// The hash of the sealed view.
    pub view_hash: String,
    /// When.
    pub at: UnixMillis,
    /// The approver.
    pub by: UserId,
}

/// Keeps a `null` value apart from an absent one.
mod present {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use serde_json::Value;

    #[expect(clippy::ref_option, reason = "the shape that serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Value>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Value>, D::Error> {
        Value::deserialize(from).map(Some)
    }
}

/// What only the server keeps of a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// Seq of the last change by top-level field.
    pub seqs: BTreeMap<String, Seq>,
    /// Gone pairs whose put has not arrived.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub early: Vec<(String, Dot)>,
    /// Live `new` and `place` puts.
    pub homes: Vec<(Dot, Placing)>,
    /// Live verdicts: the judged change, the verdict's dot, whether it accepts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<(ChangeId, Dot, bool)>,
    /// Seals beyond the one in the body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seals: Vec<(Dot, Seq, String)>,
}

/// A stored body or meta that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored record is damaged: {0}")]
pub struct Damaged(pub String);

impl Record {
    /// The travelling form: whole, or only the fields that changed after `floor`.
    ///
    /// Deletions, the seal, what stands beside and the flags are always there.
    pub fn body(&self, floor: Option<Seq>, flags: Vec<String>) -> RecordBody {
        let wanted = |field: &str| {
            floor.is_none_or(|floor| self.field_seqs.get(field).is_some_and(|seq| *seq > floor))
        };
        let mut table = Table::default();
        for register in
            self.fields.iter().filter(|(field, _)| wanted(field)).map(|(_, register)| register)
        {
            table.note(register.live.keys());
        }
        for rows in self.lists.iter().filter(|(field, _)| wanted(field)).map(|(_, rows)| rows) {
            for row in rows.values() {
                table.note(row.presences.iter());
                table.note(row.removals.keys());
                table.note(row.payloads.keys());
                table.note(row.positions.keys());
                row.cells.values().for_each(|register| table.note(register.live.keys()));
            }
        }
        table.note(self.deletions.keys());
        let changes = table.number(&self.stamps);
        let mut bases = BTreeMap::new();
        let mut fields = BTreeMap::new();
        for (field, register) in self.fields.iter().filter(|(field, _)| wanted(field)) {
            fields.insert(field.clone(), table.values(register));
            table.bases_into(&mut bases, field, register);
        }
        let mut lists = BTreeMap::new();
        for (field, rows) in self.lists.iter().filter(|(field, _)| wanted(field)) {
            let mut elements = BTreeMap::new();
            for (id, row) in rows {
                elements.insert(id.clone(), table.row(row));
                for (cell, register) in &row.cells {
                    table.bases_into(&mut bases, &format!("{field}/{id}/{cell}"), register);
                }
            }
            lists.insert(field.clone(), elements);
        }
        let del = self
            .deletions
            .iter()
            .map(|(dot, deletion)| {
                let (change, op) = table.find(dot);
                let seen = deletion.seen.iter().copied().collect();
                (change, op, DeletionBody { seen, why: deletion.why.clone() })
            })
            .collect();
        RecordBody {
            changes,
            fields,
            lists,
            bases,
            del,
            seal: self.seal_body(),
            late: self.beside.clone(),
            flags,
        }
    }

    fn seal_body(&self) -> Option<SealBody> {
        let (dot, seal) = self.seals.last_key_value()?;
        let stamp = self.stamps.get(&dot.change)?;
        Some(SealBody {
            id: dot.change,
            op: dot.op,
            rv: seal.rv,
            view_hash: seal.view_hash.clone(),
            at: stamp.t_eff,
            by: stamp.by,
        })
    }

    /// What the server stores beside the body.
    pub fn meta(&self) -> Meta {
        let newest_seal = self.seals.last_key_value().map(|(dot, _)| *dot);
        Meta {
            seqs: self.field_seqs.clone(),
            early: self.early_gone.iter().map(|(slot, dot)| (slot.to_string(), *dot)).collect(),
            homes: self.homes.iter().map(|(dot, placing)| (*dot, placing.clone())).collect(),
            verdicts: self
                .verdicts
                .iter()
                .flat_map(|(change, live)| {
                    live.iter().map(|(dot, accept)| (*change, *dot, *accept))
                })
                .collect(),
            seals: self
                .seals
                .iter()
                .filter(|(dot, _)| Some(**dot) != newest_seal)
                .map(|(dot, seal)| (*dot, seal.rv, seal.view_hash.clone()))
                .collect(),
        }
    }

    /// Reads a whole body; `meta` is empty on a tablet.
    pub fn read(
        kind: RecordType,
        about: Option<RecordId>,
        body: &RecordBody,
        meta: Meta,
    ) -> Result<Self, Damaged> {
        let mut record = Self::new(kind);
        record.about = about;
        record.receive(body)?;
        record.field_seqs = meta.seqs;
        record.homes = meta.homes.into_iter().collect();
        for (slot, dot) in meta.early {
            let slot: Slot = slot.parse().map_err(|_| Damaged(format!("slot {slot}")))?;
            record.early_gone.insert((slot, dot));
        }
        for (change, dot, accept) in meta.verdicts {
            record.verdicts.entry(change).or_default().insert(dot, accept);
        }
        for (dot, rv, view_hash) in meta.seals {
            record.seals.insert(dot, Seal { rv, view_hash });
        }
        Ok(record)
    }

    /// Takes over the fields and lists that a body holds, and all that always travels.
    pub fn receive(&mut self, body: &RecordBody) -> Result<(), Damaged> {
        let dots = Dots(body);
        for (id, t_eff, by) in &body.changes {
            self.stamps.insert(*id, Stamp { t_eff: *t_eff, by: *by });
        }
        for (field, values) in &body.fields {
            let register = dots.register(values, body.bases.get(field))?;
            self.fields.insert(field.clone(), register);
        }
        for (field, elements) in &body.lists {
            let mut rows = BTreeMap::new();
            for (id, row) in elements {
                rows.insert(id.clone(), dots.row(field, id, row)?);
            }
            self.lists.insert(field.clone(), rows);
        }
        self.deletions.clear();
        for (change, op, deletion) in &body.del {
            let seen = deletion.seen.iter().copied().collect();
            self.deletions
                .insert(dots.put(*change, *op)?, Deletion { seen, why: deletion.why.clone() });
        }
        self.seals.clear();
        if let Some(seal) = &body.seal {
            let put = Seal { rv: seal.rv, view_hash: seal.view_hash.clone() };
            self.seals.insert(Dot::put(seal.id, seal.op), put);
            self.stamps.insert(seal.id, Stamp { t_eff: seal.at, by: seal.by });
        }
        self.beside.clone_from(&body.late);
        Ok(())
    }
}

/// The table of changes of a body being written.
#[derive(Default)]
struct Table {
    index: BTreeMap<ChangeId, usize>,
}

impl Table {
    fn note<'a>(&mut self, dots: impl Iterator<Item = &'a Dot>) {
        for dot in dots {
            self.index.insert(dot.change, 0);
        }
    }

    fn number(
        &mut self,
        stamps: &BTreeMap<ChangeId, Stamp>,
    ) -> Vec<(ChangeId, UnixMillis, UserId)> {
        let mut changes = Vec::with_capacity(self.index.len());
        for (id, index) in &mut self.index {
            let stamp = stamps.get(id).expect("every live put was applied with its stamp");
            *index = changes.len();
            changes.push((*id, stamp.t_eff, stamp.by));
        }
        changes
    }

    fn find(&self, dot: &Dot) -> Ref {
        (self.index.get(&dot.change).copied().expect("noted above"), dot.op)
    }

    fn values(&self, register: &Register) -> Vec<Valued<Value>> {
        register.live.iter().map(|(dot, sibling)| self.valued(dot, sibling.value.clone())).collect()
    }

    fn valued<T>(&self, dot: &Dot, value: T) -> Valued<T> {
        let (change, op) = self.find(dot);
        (change, op, value)
    }

    fn row(&self, row: &Row) -> RowBody {
        RowBody {
            p: row.presences.iter().map(|dot| self.find(dot)).collect(),
            r: row.removals.iter().map(|(dot, why)| self.valued(dot, why.clone())).collect(),
            v: row.payloads.iter().map(|(dot, value)| self.valued(dot, value.clone())).collect(),
            pos: row.positions.iter().map(|(dot, pos)| self.valued(dot, pos.clone())).collect(),
            cells: row
                .cells
                .iter()
                .map(|(cell, register)| (cell.clone(), self.values(register)))
                .collect(),
        }
    }

    fn bases_into(
        &self,
        bases: &mut BTreeMap<String, Vec<BaseBody>>,
        path: &str,
        register: &Register,
    ) {
        if register.bases.is_empty() {
            return;
        }
        let of = |base: &Dot| {
            let naming =
                register.live.iter().filter(|(_, sibling)| sibling.replaced.contains(base));
            naming.map(|(dot, _)| self.find(dot)).collect()
        };
        let puts =
            register.bases.iter().map(|(dot, v)| BaseBody { dot: *dot, of: of(dot), v: v.clone() });
        bases.insert(path.to_owned(), puts.collect());
    }
}

/// Turns the indices of a body back into dots.
struct Dots<'a>(&'a RecordBody);

impl Dots<'_> {
    fn change(&self, index: usize) -> Result<ChangeId, Damaged> {
        let (id, _, _) =
            self.0.changes.get(index).ok_or_else(|| Damaged(format!("change index {index}")))?;
        Ok(*id)
    }

    fn put(&self, change: usize, op: u16) -> Result<Dot, Damaged> {
        Ok(Dot::put(self.change(change)?, op))
    }

    fn register(
        &self,
        values: &[Valued<Value>],
        bases: Option<&Vec<BaseBody>>,
    ) -> Result<Register, Damaged> {
        let mut register = Register::default();
        for (change, op, value) in values {
            let sibling = Sibling { value: value.clone(), replaced: Vec::new() };
            register.live.insert(self.put(*change, *op)?, sibling);
        }
        for base in bases.into_iter().flatten() {
            register.bases.insert(base.dot, base.v.clone());
            for (change, op) in &base.of {
                let sibling = register.live.get_mut(&self.put(*change, *op)?);
                sibling
                    .ok_or_else(|| Damaged("a base of no sibling".to_owned()))?
                    .replaced
                    .push(base.dot);
            }
        }
        Ok(register)
    }

    fn row(&self, field: &str, id: &str, body: &RowBody) -> Result<Row, Damaged> {
        let mut row = Row::default();
        for (change, op) in &body.p {
            row.presences.insert(Dot::presence(self.change(*change)?, *op));
        }
        for (change, op, why) in &body.r {
            row.removals.insert(self.put(*change, *op)?, why.clone());
        }
        for (change, op, value) in &body.v {
            row.payloads.insert(self.put(*change, *op)?, value.clone());
        }
        for (change, op, pos) in &body.pos {
            row.positions.insert(self.put(*change, *op)?, pos.clone());
        }
        for (cell, values) in &body.cells {
            let bases = self.0.bases.get(&format!("{field}/{id}/{cell}"));
            row.cells.insert(cell.clone(), self.register(values, bases)?);
        }
        Ok(row)
    }
}
