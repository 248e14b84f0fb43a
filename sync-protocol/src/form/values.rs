//! The shown values of a record, as forms read them.

use serde_json::Value;
use std::collections::BTreeMap;

/// The shown values of one record.
pub trait Values {
    /// The shown value of a register; `None` when it is empty.
    fn field(&self, path: &str) -> Option<&Value>;

    /// The shown elements of a list in their order; the ids of a `multi_choice` are its codes.
    fn rows(&self, list: &str) -> Vec<RowValues<'_>>;
}

/// The shown values of one element of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct RowValues<'a> {
    /// The element's id.
    pub id: &'a str,
    /// What was given with the element and never changes: a photo, a signature, a comment.
    pub value: Option<&'a Value>,
    /// The shown values of its cells.
    pub cells: BTreeMap<&'a str, &'a Value>,
}

/// Whether a shown value says anything.
pub(super) fn answered(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => true,
    }
}
