//! What is missing or wrong in the shown values.

mod check;
mod message;
mod single;

use super::{
    Field, Form, Kind, Merge, Need, RowValues, Values, predicate::Scope, values::answered,
};
use crate::clock::UnixMillis;
use message::Said;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a problem stands in the way of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Of saving; hardly anything.
    Save,
    /// Of submitting.
    Submit,
    /// Of approving.
    Approve,
}

/// Something missing or wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The field or the cell.
    pub path: String,
    /// What it stands in the way of.
    pub level: Level,
    /// Names it: `required`, `range` …
    pub code: String,
    /// What it says, in Japanese.
    pub ja: String,
    /// What it says, in English.
    pub en: String,
}

pub(super) fn of(form: &Form, values: &dyn Values, at: UnixMillis) -> Vec<Problem> {
    let values = &Shown { values, derived: form.derived(values) };
    let scope = Scope { values, row: None, at };
    let mut found = Vec::new();
    for field in &form.fields {
        if field.kind == Kind::Check {
            check::of(field, scope, &mut found);
        } else if field.kind.is_list() || field.merge == Merge::AddOnly {
            list(field, scope, &mut found);
        } else if !matches!(field.kind, Kind::Derived | Kind::Status) {
            register(field, &field.path, values.field(&field.path), scope, &mut found);
        }
    }
    for rule in &form.rules {
        let problem = |path: String| Problem {
            path,
            level: rule.level,
            code: rule.code.clone(),
            ja: rule.label.ja.clone(),
            en: rule.label.en.clone(),
        };
        match &rule.list {
            None if rule.when.holds(scope) => found.push(problem(rule.path.clone())),
            None => {}
            Some(list) => {
                let rows = values.rows(list);
                let wrong =
                    rows.iter().filter(|row| rule.when.holds(Scope { row: Some(row), ..scope }));
                found.extend(wrong.map(|row| problem(format!("{list}/{}/{}", row.id, rule.path))));
            }
        }
    }
    found
}

/// The shown values with the derived ones among them, so that a condition may name both.
struct Shown<'a> {
    values: &'a dyn Values,
    derived: BTreeMap<String, Value>,
}

impl Values for Shown<'_> {
    fn field(&self, path: &str) -> Option<&Value> {
        self.derived.get(path).or_else(|| self.values.field(path))
    }

    fn rows(&self, list: &str) -> Vec<RowValues<'_>> {
        self.values.rows(list)
    }
}

fn register(
    field: &Field,
    path: &str,
    value: Option<&Value>,
    scope: Scope<'_>,
    found: &mut Vec<Problem>,
) {
    if asked(field, scope) {
        if !answered(value) && needed(field, scope) {
            found.push(Said::Required.of(field, path));
        }
        let said = value
            .filter(|value| answered(Some(value)))
            .and_then(|value| single::wrong(field, value));
        found.extend(said.map(|said| said.of(field, path)));
    }
    if value.is_some_and(single::holds_my_number) {
        found.push(Said::MyNumber.of(field, path));
    }
}

fn list(field: &Field, scope: Scope<'_>, found: &mut Vec<Problem>) {
    let rows = scope.values.rows(&field.path);
    if asked(field, scope) {
        if rows.is_empty() && needed(field, scope) {
            found.push(Said::Required.of(field, &field.path));
        }
        if field
            .max
            .as_ref()
            .and_then(|max| max.parse().ok())
            .is_some_and(|max: usize| rows.len() > max)
        {
            found.push(Said::TooMany.of(field, &field.path));
        }
        if field.kind == Kind::MultiChoice {
            found.extend(codes(field, &rows).map(|said| said.of(field, &field.path)));
        }
    }
    for row in &rows {
        let scope = Scope { row: Some(row), ..scope };
        let path = format!("{}/{}", field.path, row.id);
        if !single::names_its_blob(field.kind, row.value) {
            found.push(Said::BadBlob.of(field, &path));
        }
        if row.value.is_some_and(single::holds_my_number) {
            found.push(Said::MyNumber.of(field, &path));
        }
        for cell in &field.cells {
            let value = row.cells.get(cell.path.as_str()).copied();
            register(cell, &format!("{path}/{}", cell.path), value, scope, found);
        }
    }
}

fn codes(field: &Field, rows: &[RowValues<'_>]) -> Option<Said> {
    let choice = |row: &RowValues<'_>| field.choices.iter().find(|choice| choice.code == row.id);
    if rows.iter().any(|row| choice(row).is_none()) {
        return Some(Said::Choice);
    }
    let alone = rows.iter().filter_map(choice).any(|choice| choice.exclusive);
    (alone && rows.len() > 1).then_some(Said::Exclusive)
}

fn asked(field: &Field, scope: Scope<'_>) -> bool {
    field.relevant.as_ref().is_none_or(|when| when.holds(scope))
}

fn needed(field: &Field, scope: Scope<'_>) -> bool {
    match &field.required {
        Need::Never => false,
        Need::Always => true,
        Need::When(when) => when.holds(scope),
    }
}
