//! Values that are computed from the shown ones and never sent.

use super::{Field, Form, Kind, Values, predicate::Scope};
use crate::clock::UnixMillis;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What computes a derived field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// Whether any check is `bad`.
    AnyBad,
    /// Whether any critical check is `bad`.
    AnyCriticalBad,
    /// Σ weight of the good checks ÷ Σ weight of the good and the bad ones × 100, rounded half up to one place, as
    /// decimal text. Checks that do not apply or were not looked at take no part; null when none takes part.
    WeightedScore,
    /// Whether the record has any finding (`findings`, `guidance`), so that a notice is due.
    NoticeRequired,
    /// The latest earlier inspection of the same subject. It needs other records, so a reader of many fills it in;
    /// here it has no value.
    PreviousInspection,
}

impl Builtin {
    pub(super) fn named(word: &str) -> Option<Self> {
        Some(match word {
            "any_bad" => Self::AnyBad,
            "any_critical_bad" => Self::AnyCriticalBad,
            "weighted_score" => Self::WeightedScore,
            "notice_required" => Self::NoticeRequired,
            "previous_inspection" => Self::PreviousInspection,
            _ => return None,
        })
    }
}

/// The lists whose rows make a notice due.
const NOTICE_LISTS: [&str; 2] = ["findings", "guidance"];

pub(super) fn of(form: &Form, values: &dyn Values) -> BTreeMap<String, Value> {
    let value = |field: &Field| {
        Some(match field.builtin? {
            Builtin::AnyBad => json!(bad_checks(form, values).next().is_some()),
            Builtin::AnyCriticalBad => json!(bad_checks(form, values).any(is_critical)),
            Builtin::WeightedScore => weighted_score(form, values),
            Builtin::NoticeRequired => {
                let lists = NOTICE_LISTS.iter().filter(|list| form.field(list).is_some());
                json!(lists.into_iter().any(|list| !values.rows(list).is_empty()))
            }
            Builtin::PreviousInspection => return None,
        })
    };
    form.fields.iter().filter_map(|field| Some((field.path.clone(), value(field)?))).collect()
}

fn is_critical(field: &Field) -> bool {
    field.check.as_ref().is_some_and(|check| check.critical)
}

fn bad_checks<'a>(form: &'a Form, values: &'a dyn Values) -> impl Iterator<Item = &'a Field> {
    results(form, values).filter(|(_, result)| *result == "bad").map(|(field, _)| field)
}

/// The checks that have a result and that the record is asked for, with it; the time of asking makes no difference.
fn results<'a>(
    form: &'a Form,
    values: &'a dyn Values,
) -> impl Iterator<Item = (&'a Field, &'a str)> {
    let checks = form.fields.iter().filter(|field| field.kind == Kind::Check);
    let scope = Scope { values, row: None, at: UnixMillis::default() };
    let is_asked =
        move |field: &&Field| field.relevant.as_ref().is_none_or(|when| when.holds(scope));
    checks.filter(is_asked).filter_map(|field| {
        let result = values.field(&format!("{}.result", field.path))?;
        Some((field, result.as_str()?))
    })
}

fn weighted_score(form: &Form, values: &dyn Values) -> Value {
    let (mut good, mut all) = (0_u64, 0_u64);
    for (field, result) in results(form, values) {
        let weight = u64::from(field.check.as_ref().map_or(0, |check| check.weight));
        if result == "good" {
            good += weight;
        }
        if matches!(result, "good" | "bad") {
            all += weight;
        }
    }
    if all == 0 {
        return Value::Null;
    }
    let tenths = (good * 2000 + all) / (2 * all);
    json!(format!("{}.{}", tenths / 10, tenths % 10))
}
