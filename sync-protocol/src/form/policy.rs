//! How concurrent answers are shown, and who may write.

use super::{Builtin, Field, Form, Kind, Merge, Role};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a form says of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How concurrent answers are shown.
    pub view: ViewKind,
    /// Who may write; `None`: the form's writers; empty: only the server.
    pub write: Option<Vec<Role>>,
}

impl Policy {
    /// The policy of a path that the form does not know: a plain register for the form's writers.
    pub const fn raw() -> Self {
        Self { view: ViewKind::Raw, write: None }
    }
}

/// The view over the live siblings of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewKind {
    /// The greatest in the order of ties; the others stand beside it.
    Register,
    /// A disagreement until a person decides; the value of the greatest rank is shown for the time being.
    Strict {
        /// Ranks of values; a value without one ranks below them all.
        rank: Vec<(Value, i64)>,
    },
    /// A narrative.
    KeepBoth {
        /// Whether versions that do not touch are shown as one text.
        merged: bool,
    },
    /// A set of codes.
    Elements {
        /// Codes that stand alone.
        exclusive: Vec<String>,
    },
    /// Rows with cells.
    Rows,
    /// Elements that only come; each may leave with a reason.
    AddOnly,
    /// A legal date: the earliest, and a person always looks at it.
    Legal,
    /// A number: the greatest in the order of ties.
    Number {
        /// How far two numbers may differ without a mark, as decimal text.
        tolerance: Option<String>,
    },
    /// The state of the record.
    Status {
        /// The rank of each state.
        ranks: BTreeMap<String, i64>,
    },
    /// A computed value; what a change says here is not shown.
    Derived(Builtin),
    /// The form does not know the path.
    Raw,
}

/// The ranks of a check's results: the graver is shown while people disagree.
pub(super) const RESULT_RANKS: [(&str, i64); 4] =
    [("bad", 3), ("unchecked", 2), ("na", 1), ("good", 0)];

/// What a form says of every path that it knows, worked out once when it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policies(BTreeMap<String, OfField>);

/// What a form says of one field and its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OfField {
    whole: Policy,
    cells: BTreeMap<String, Policy>,
    other_cells: Policy,
}

impl Policies {
    pub(super) fn of(form: &Form) -> Self {
        let mut known = BTreeMap::new();
        for field in form.fields.iter().filter(|field| field.kind == Kind::Check) {
            for (part, view) in parts_of_check(form) {
                let whole = Policy { view, write: field.write.clone() };
                known.insert(format!("{}.{part}", field.path), OfField::without_cells(whole));
            }
        }
        // A declared field goes before the part of a check of the same path.
        known.extend(form.fields.iter().map(|field| (field.path.clone(), of_field(form, field))));
        Self(known)
    }

    pub(super) fn get(&self, path: &str, cell: Option<&str>) -> &Policy {
        static RAW: Policy = Policy::raw();
        let Some(field) = self.0.get(path) else { return &RAW };
        match cell {
            None => &field.whole,
            Some(cell) => field.cells.get(cell).unwrap_or(&field.other_cells),
        }
    }
}

impl OfField {
    const fn without_cells(whole: Policy) -> Self {
        Self { whole, cells: BTreeMap::new(), other_cells: Policy::raw() }
    }
}

fn of_field(form: &Form, field: &Field) -> OfField {
    let cells = field.cells.iter().map(|cell| {
        let write = cell.write.clone().or_else(|| field.write.clone());
        (cell.path.clone(), Policy { view: view(form, cell), write })
    });
    OfField {
        whole: Policy { view: view(form, field), write: writers(form, field) },
        cells: cells.collect(),
        other_cells: Policy { view: ViewKind::Raw, write: field.write.clone() },
    }
}

fn parts_of_check(form: &Form) -> [(&'static str, ViewKind); 4] {
    let rank = RESULT_RANKS.map(|(code, rank)| (json!(code), rank)).to_vec();
    [
        ("result", ViewKind::Strict { rank }),
        ("remark", ViewKind::KeepBoth { merged: form.merged_view }),
        ("photos", ViewKind::AddOnly),
        ("finding_ref", ViewKind::Register),
    ]
}

fn writers(form: &Form, field: &Field) -> Option<Vec<Role>> {
    match field.merge {
        Merge::Derived => Some(Vec::new()),
        Merge::Status => {
            Some(form.statuses.as_ref().map(super::Statuses::writers).unwrap_or_default())
        }
        Merge::Field
        | Merge::Strict
        | Merge::KeepBoth
        | Merge::Item
        | Merge::Union
        | Merge::Rows
        | Merge::AddOnly
        | Merge::Legal => field.write.clone(),
    }
}

fn view(form: &Form, field: &Field) -> ViewKind {
    match field.merge {
        Merge::Field if field.kind == Kind::Number => {
            ViewKind::Number { tolerance: field.tolerance.clone() }
        }
        Merge::Field => ViewKind::Register,
        Merge::Strict => {
            let ranked =
                |choice: &super::Choice| choice.rank.map(|rank| (json!(choice.code), rank));
            ViewKind::Strict { rank: field.choices.iter().filter_map(ranked).collect() }
        }
        Merge::KeepBoth => ViewKind::KeepBoth { merged: form.merged_view },
        Merge::Item => ViewKind::Raw,
        Merge::Union => {
            let alone = field.choices.iter().filter(|choice| choice.exclusive);
            ViewKind::Elements { exclusive: alone.map(|choice| choice.code.clone()).collect() }
        }
        Merge::Rows => ViewKind::Rows,
        Merge::AddOnly => ViewKind::AddOnly,
        Merge::Legal => ViewKind::Legal,
        Merge::Derived => field.builtin.map_or(ViewKind::Raw, ViewKind::Derived),
        Merge::Status => {
            let states = form.statuses.iter().flat_map(|statuses| &statuses.states);
            ViewKind::Status {
                ranks: states.map(|state| (state.code.clone(), state.rank)).collect(),
            }
        }
    }
}
