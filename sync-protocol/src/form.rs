//! Forms: what a kind of record holds, who may write it, how concurrent answers are shown and when a record is whole.
//!
//! A form is versioned JSON, published once and never changed. [`Form::parse`] reads it and checks it against itself:
//! a word, a field or a state that it does not know is refused with the place where it stands. A form never refuses
//! a change: what it finds wrong are [`Problem`]s, shown to people and required to be empty before an approval.
//!
//! ```json
//! { "type": "trial", "version": 1, "ja": "試行", "en": "Trial", "title": "name",
//!   "home": {"about": ["household"]},
//!   "write": ["inspector"],
//!   "sections": [{"code": "A", "ja": "概要", "en": "Summary"}],
//!   "fields": [
//!     {"path": "name", "section": "A", "kind": "text", "ja": "名称", "en": "Name", "required": true, "max": "200"},
//!     {"path": "visits", "section": "A", "kind": "rows", "ja": "訪問", "en": "Visits", "cells": [
//!       {"path": "on", "kind": "date", "ja": "日", "en": "Day", "required": {"present": "../name"}}
//!     ]}
//!   ],
//!   "rules": [
//!     {"code": "visit_in_the_future", "path": "on", "list": "visits", "level": "submit",
//!      "when": {"lt": [{"now": 0}, "on"]}, "ja": "未来の日です", "en": "The day is in the future"}
//!   ] }
//! ```
//!
//! `home` is `about` or `bucket`; `statuses` holds `initial`, `states` and `transitions`; `lists` holds choices that
//! several fields share by name; a `rule` is a problem while its `when` is true. An operand is a name, an integer or one
//! of `{"value": …}`, `{"now": minutes}`, `{"sum": [list, cell]}`. An empty `write` means: only the server.
//!
//! To add a form: write `fixtures/forms/<type>.json`, one field a line, and run the tests named `form`.

mod bundle;
mod decimal;
mod derived;
mod error;
mod field;
mod my_number;
mod policy;
mod predicate;
mod problems;
mod read;
mod status;
mod values;
mod video_url;

pub use bundle::bundle;
pub use decimal::Decimal;
pub use derived::Builtin;
pub use error::{FormError, Why};
pub use field::{Check, Choice, Field, Kind, Merge, Need};
pub use my_number::holds_my_number;
pub use policy::{Policy, ViewKind};
pub use predicate::{Operand, Predicate};
pub use problems::{Level, Problem};
pub use status::{Offline, State, Statuses, Transition};
pub use values::{RowValues, Values};

use crate::{clock::UnixMillis, id::RecordType};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most fields and cells that a form may have.
pub const FIELDS_MAX: usize = 500;
/// How deep a predicate may nest.
pub const PREDICATE_DEPTH_MAX: usize = 8;

/// One version of the form of one kind of record.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// The kind of record; `type` in JSON.
    pub kind: RecordType,
    /// 1, 2, 3 …; the `sv` of a change names it.
    pub version: u32,
    /// What people call it.
    pub label: Label,
    /// Where its records begin.
    pub home: Home,
    /// Who may write, unless a field says otherwise.
    pub write: Vec<Role>,
    /// Whether narratives that do not touch are shown as one text; `false` in welfare: always whole and attributed.
    pub merged_view: bool,
    /// The parts in which it is filled in.
    pub sections: Vec<Section>,
    /// The fields, in the order of the form.
    pub fields: Vec<Field>,
    /// The states of its records and the ways between them.
    pub statuses: Option<Statuses>,
    /// What must not be, across fields.
    pub rules: Vec<Rule>,
    /// The path of the field that names a record in lists.
    pub title: Option<String>,
    body: Value,
    index: BTreeMap<String, usize>,
    policies: policy::Policies,
}

/// A name in the two languages of the product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// Japanese.
    pub ja: String,
    /// English.
    pub en: String,
}

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its letter.
    pub code: String,
    /// Its heading.
    pub label: Label,
}

/// Where a new record may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// Where its subject lies, which is of one of these kinds.
    About(Vec<RecordType>),
    /// In a bucket of one of these kinds (`station`, `area`, `everyone` …).
    Bucket(Vec<String>),
}

/// A role that a grant on a bucket gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Inspects: fire crews and their leaders, food and environmental inspectors, the laboratory.
    Inspector,
    /// Visits households.
    Caseworker,
    /// Plans, instructs and keeps the masters: the prevention section, the case supervisor.
    Supervisor,
    /// Advises from the office.
    Adviser,
    /// Decides: section heads, station chiefs, office heads.
    Approver,
    /// Reads what it was granted, for a time.
    Auditor,
    /// Reads.
    Reader,
}

/// A problem across fields: it is there when `when` is true.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Names it: `ends_before_it_begins`.
    pub code: String,
    /// The field or the cell where it is shown.
    pub path: String,
    /// The list whose rows it looks at one by one; `path` is then a cell.
    pub list: Option<String>,
    /// What makes it a problem.
    pub when: Predicate,
    /// What it stands in the way of.
    pub level: Level,
    /// What it says.
    pub label: Label,
}

impl Form {
    /// Reads a form and checks it against itself.
    pub fn parse(json: &str) -> Result<Self, FormError> {
        read::form(json)
    }

    /// The JSON that it was read from.
    pub const fn body(&self) -> &Value {
        &self.body
    }

    /// Finds the field at `path` as the form declares it; the parts of a check belong to the check.
    pub fn field(&self, path: &str) -> Option<&Field> {
        self.index.get(path).and_then(|at| self.fields.get(*at))
    }

    /// How concurrent answers at a field or a cell are shown, and who may write it.
    ///
    /// A path that the form does not know is a plain register ([`Policy::raw`]).
    pub fn policy(&self, field: &str, cell: Option<&str>) -> &Policy {
        self.policies.get(field, cell)
    }

    /// Whether a holder of `role` may write a field or a cell; adding, removing and moving rows asks for the field.
    pub fn may_write(&self, field: &str, cell: Option<&str>, role: Role) -> bool {
        self.policy(field, cell).write.as_ref().unwrap_or(&self.write).contains(&role)
    }

    /// What is missing or wrong in the shown values, in the order of the form; `at` is the effective time.
    pub fn problems(&self, values: &dyn Values, at: UnixMillis) -> Vec<Problem> {
        problems::of(self, values, at)
    }

    /// The values of the derived fields, by path; never sent.
    pub fn derived(&self, values: &dyn Values) -> BTreeMap<String, Value> {
        derived::of(self, values)
    }
}
