//! What people see of a record: a pure function of its live puts and its form. Nothing is deleted here.

mod blobs;
mod field;
mod snapshot;

pub use blobs::{ShownBlob, blobs};
pub use snapshot::{Snapshot, snapshot};

use crate::clock::UnixMillis;
use crate::form::{Form, RowValues, Values, ViewKind};
use crate::id::{ChangeId, Dot, UserId};
use crate::record::{Record, Register, Row, Verdict};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The field that holds the state of a record: a register of `{from, to}`.
pub const STATUS: &str = "status";

/// How far the live values of one place agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// One value, or equal ones.
    #[default]
    Agreed,
    /// One is shown, the others are shown as "also entered".
    Also,
    /// A person must decide.
    Conflict,
}

/// One version of a value: the dots that put it, and the newest of their authors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Version {
    /// The value.
    pub value: Value,
    /// Every live put of an equal value.
    pub dots: Vec<Dot>,
    /// The author of the greatest of these puts.
    pub by: Option<UserId>,
    /// Its effective time.
    pub t_eff: UnixMillis,
}

/// What is shown at a field or a cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldView {
    /// The shown value.
    pub shown: Value,
    /// The versions, the greatest in the order of ties first; one when all agree.
    pub versions: Vec<Version>,
    /// Whether they agree.
    pub mark: Mark,
    /// Whether the versions are to be shown whole, each under its author's name.
    pub attributed: bool,
}

/// A row or element of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowView {
    /// Its id; the code, in a multiple choice.
    pub id: String,
    /// Its immutable payload.
    pub value: Option<Value>,
    /// Its position among the rows.
    pub pos: Option<String>,
    /// Its cells.
    pub cells: BTreeMap<String, FieldView>,
    /// Somebody removed it, and somebody else touched it without having seen that.
    pub removed_and_edited: bool,
}

/// A list field.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ListView {
    /// The rows that are there, in order.
    pub rows: Vec<RowView>,
    /// Whether the list as such needs a decision: a code that stands alone beside others.
    pub mark: Mark,
}

/// Whether the record is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deleted {
    /// It is not.
    #[default]
    No,
    /// It is, and whoever deleted it had seen everything.
    Yes,
    /// It is, with edits that whoever deleted it had not seen: a person decides.
    Contested,
}

/// The view of a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct View {
    /// Fields by path.
    pub fields: BTreeMap<String, FieldView>,
    /// Lists by path.
    pub lists: BTreeMap<String, ListView>,
    /// Computed values by path.
    pub derived: BTreeMap<String, Value>,
    /// Whether it is deleted.
    pub deleted: Deleted,
}

impl View {
    /// The view of `record` under its form.
    pub fn of(record: &Record, form: &Form) -> Self {
        let mut view = Self { deleted: deleted(record), ..Self::default() };
        for (path, register) in
            record.fields.iter().filter(|(_, register)| !register.live.is_empty())
        {
            let kind = &form.policy(path, None).view;
            view.fields.insert(path.clone(), field::view(register, kind, record));
        }
        let lists = record.lists.iter().map(|(path, rows)| (path, list(path, rows, record, form)));
        view.lists.extend(
            lists
                .filter(|(_, list)| !list.rows.is_empty())
                .map(|(path, list)| (path.clone(), list)),
        );
        view.derived = form.derived(&view);
        view
    }

    /// Whether a person has to decide something here.
    pub fn has_conflict(&self) -> bool {
        self.deleted == Deleted::Contested
            || self.fields.values().any(|field| field.mark == Mark::Conflict)
            || self.lists.values().any(ListView::has_conflict)
    }

    /// The paths at which a person has to decide.
    pub fn conflicts(&self) -> Vec<String> {
        let fields = self
            .fields
            .iter()
            .filter(|(_, field)| field.mark == Mark::Conflict)
            .map(|(path, _)| path.clone());
        let mut paths: Vec<String> = fields.collect();
        for (path, list) in &self.lists {
            if list.mark == Mark::Conflict {
                paths.push(path.clone());
            }
            for row in &list.rows {
                if row.removed_and_edited {
                    paths.push(format!("{path}/{}", row.id));
                }
                let cells = row.cells.iter().filter(|(_, cell)| cell.mark == Mark::Conflict);
                paths.extend(cells.map(|(cell, _)| format!("{path}/{}/{cell}", row.id)));
            }
        }
        if self.deleted == Deleted::Contested {
            paths.push("deleted".to_owned());
        }
        paths
    }
}

impl ListView {
    fn has_conflict(&self) -> bool {
        self.mark == Mark::Conflict
            || self.rows.iter().any(|row| {
                row.removed_and_edited || row.cells.values().any(|cell| cell.mark == Mark::Conflict)
            })
    }
}

impl Values for View {
    fn field(&self, path: &str) -> Option<&Value> {
        self.fields.get(path).map(|field| &field.shown).or_else(|| self.derived.get(path))
    }

    fn rows(&self, list: &str) -> Vec<RowValues<'_>> {
        let rows = self.lists.get(list).into_iter().flat_map(|list| &list.rows);
        rows.map(|row| RowValues {
            id: &row.id,
            value: row.value.as_ref(),
            cells: row.cells.iter().map(|(cell, view)| (cell.as_str(), &view.shown)).collect(),
        })
        .collect()
    }
}

/// The words by which a record is found in lists and inboxes, sorted.
///
/// `conflict`: a person has to decide; `also`: concurrent values without need of a decision; `deleted`;
/// `delete_conflict`; `sealed`; `late`: a change beside the seal that nobody has judged.
pub fn flags(record: &Record, form: &Form) -> Vec<String> {
    let mut flags = BTreeSet::new();
    if !record.seals.is_empty() {
        flags.insert("sealed");
    }
    if record.beside.iter().any(|beside| beside.verdict == Verdict::Open) {
        flags.insert("late");
    }
    match deleted(record) {
        Deleted::No => {}
        Deleted::Yes => drop(flags.insert("deleted")),
        Deleted::Contested => flags.extend(["conflict", "delete_conflict"]),
    }
    if may_disagree(record) {
        let view = View::of(record, form);
        if view.has_conflict() {
            flags.insert("conflict");
        }
        let cells =
            view.lists.values().flat_map(|list| &list.rows).flat_map(|row| row.cells.values());
        if view.fields.values().chain(cells).any(|field| field.mark == Mark::Also) {
            flags.insert("also");
        }
    }
    flags.into_iter().map(str::to_owned).collect()
}

/// What is shown at one field; `None` when it is empty.
pub fn field_view(record: &Record, form: &Form, path: &str) -> Option<FieldView> {
    let register = record.fields.get(path).filter(|register| !register.live.is_empty())?;
    Some(field::view(register, &form.policy(path, None).view, record))
}

/// Whether anything in the state could be more than one value; the view is computed only then.
fn may_disagree(record: &Record) -> bool {
    let several = |register: &Register| register.live.len() > 1;
    record.fields.iter().any(|(path, register)| several(register) || path == STATUS)
        || record.lists.values().any(|rows| {
            rows.values().any(|row| {
                (!row.presences.is_empty() && !row.removals.is_empty())
                    || row.cells.values().any(several)
            }) || rows
                .values()
                .filter(|row| !row.presences.is_empty() && row.cells.is_empty())
                .count()
                > 1
        })
}

fn list(path: &str, rows: &BTreeMap<String, Row>, record: &Record, form: &Form) -> ListView {
    let mut shown: Vec<RowView> = rows
        .iter()
        .filter(|(_, row)| !row.presences.is_empty())
        .map(|(id, row)| RowView {
            id: id.clone(),
            value: greatest(&row.payloads, record).cloned(),
            pos: greatest(&row.positions, record).cloned(),
            cells: cells(path, row, record, form),
            removed_and_edited: !row.removals.is_empty(),
        })
        .collect();
    shown.sort_by(|a, b| order(a).cmp(&order(b)));
    let alone = |exclusive: &[String]| {
        shown.len() > 1 && shown.iter().any(|row| exclusive.contains(&row.id))
    };
    let mark = if let ViewKind::Elements { exclusive } = &form.policy(path, None).view
        && alone(exclusive)
    {
        Mark::Conflict
    } else {
        Mark::Agreed
    };
    ListView { rows: shown, mark }
}

/// Rows without a position come first, then by (position, id).
fn order(row: &RowView) -> (Option<&str>, &str) {
    (row.pos.as_deref(), &row.id)
}

fn cells(path: &str, row: &Row, record: &Record, form: &Form) -> BTreeMap<String, FieldView> {
    row.cells
        .iter()
        .filter(|(_, register)| !register.live.is_empty())
        .map(|(cell, register)| {
            let kind = &form.policy(path, Some(cell)).view;
            (cell.clone(), field::view(register, kind, record))
        })
        .collect()
}

/// The place of a put in the order of ties: (effective time, change, op).
fn tie(dot: Dot, record: &Record) -> (UnixMillis, ChangeId, u16) {
    let t_eff = record.stamps.get(&dot.change).map_or(UnixMillis(i64::MIN), |stamp| stamp.t_eff);
    (t_eff, dot.change, dot.op)
}

fn greatest<'a, T>(puts: &'a BTreeMap<Dot, T>, record: &Record) -> Option<&'a T> {
    puts.iter().max_by_key(|(dot, _)| tie(**dot, record)).map(|(_, put)| put)
}

/// A live deletion whose authors have seen every live value deletes; otherwise it is contested.
fn deleted(record: &Record) -> Deleted {
    if record.deletions.is_empty() {
        return Deleted::No;
    }
    let seen = |id: &ChangeId| record.deletions.values().any(|deletion| deletion.seen.contains(id));
    if record.live_values().all(|dot| seen(&dot.change)) {
        Deleted::Yes
    } else {
        Deleted::Contested
    }
}
