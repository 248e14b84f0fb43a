//! Shown values for the tests of forms: `("findings/r1/text", "…")` is a cell, `("use_confirmed/04", null)` an element.

use serde_json::Value;
use std::collections::BTreeMap;
use sync_protocol::form::{RowValues, Values};

#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    fields: BTreeMap<String, Value>,
    lists: BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>>,
}

impl Answers {
    /// Takes an object of paths and values.
    pub(crate) fn of(answers: &Value) -> Self {
        let mut all = Self::default();
        for (path, value) in answers.as_object().into_iter().flatten() {
            all.put(path, value.clone());
        }
        all
    }

    pub(crate) fn with(mut self, path: &str, value: Value) -> Self {
        self.put(path, value);
        self
    }

    pub(crate) fn without(mut self, path: &str) -> Self {
        self.fields.remove(path);
        self
    }

    fn put(&mut self, path: &str, value: Value) {
        let mut parts = path.splitn(3, '/').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(list), Some(row), cell) => {
                let row = self.lists.entry(list).or_default().entry(row).or_default();
                row.insert(cell.unwrap_or_default(), value);
            }
            _ => drop(self.fields.insert(path.to_owned(), value)),
        }
    }
}

impl Values for Answers {
    fn field(&self, path: &str) -> Option<&Value> {
        self.fields.get(path)
    }

    fn rows(&self, list: &str) -> Vec<RowValues<'_>> {
        let rows = self.lists.get(list).into_iter().flatten();
        rows.map(|(id, cells)| RowValues {
            id,
            value: cells.get("").filter(|value| !value.is_null()),
            cells: cells
                .iter()
                .filter(|(name, _)| !name.is_empty())
                .map(|(n, v)| (n.as_str(), v))
                .collect(),
        })
        .collect()
    }
}
