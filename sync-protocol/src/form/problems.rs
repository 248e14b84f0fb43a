//! What is missing or wrong in the shown values.

use super::{Form, Values};
use crate::clock::UnixMillis;
use serde::Serialize;

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

pub(super) fn of(_form: &Form, _values: &dyn Values, _at: UnixMillis) -> Vec<Problem> {
    Vec::new()
}
