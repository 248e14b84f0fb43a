//! The view over the live siblings of one field or cell.

use super::{FieldView, Mark, Version, tie};
use crate::form::{Decimal, ViewKind};
use crate::id::Dot;
use crate::record::{Record, Register};
use crate::text;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The view of a register that has at least one live sibling.
pub(super) fn view(register: &Register, kind: &ViewKind, record: &Record) -> FieldView {
    let versions = versions(register, record);
    let single = versions.len() == 1;
    let (shown, mark, attributed) = match kind {
        ViewKind::Status { ranks } => status(&versions, register, ranks),
        ViewKind::Legal if !single => (earliest(&versions), Mark::Conflict, false),
        ViewKind::KeepBoth { merged } if !single => narrative(&versions, register, *merged),
        ViewKind::Strict { rank } if !single => (gravest(&versions, rank), Mark::Conflict, false),
        ViewKind::Number { tolerance } if !single => {
            let mark = if agree_within(&versions, tolerance.as_deref()) {
                Mark::Agreed
            } else {
                Mark::Also
            };
            (newest(&versions), mark, false)
        }
        ViewKind::Register
        | ViewKind::Raw
        | ViewKind::Derived(_)
        | ViewKind::Elements { .. }
        | ViewKind::Rows
        | ViewKind::AddOnly
        | ViewKind::Strict { .. }
        | ViewKind::KeepBoth { .. }
        | ViewKind::Legal
        | ViewKind::Number { .. } => {
            (newest(&versions), if single { Mark::Agreed } else { Mark::Also }, false)
        }
    };
    FieldView { shown, versions, mark, attributed }
}

/// Equal values collapse; the greatest in the order of ties comes first.
fn versions(register: &Register, record: &Record) -> Vec<Version> {
    let mut puts: Vec<(Dot, &Value)> =
        register.live.iter().map(|(dot, sibling)| (*dot, &sibling.value)).collect();
    puts.sort_by_key(|(dot, _)| std::cmp::Reverse(tie(*dot, record)));
    let mut versions: Vec<Version> = Vec::new();
    let mut places: HashMap<&Value, usize> = HashMap::new();
    for (dot, value) in puts {
        let place = *places.entry(value).or_insert(versions.len());
        if let Some(equal) = versions.get_mut(place) {
            equal.dots.push(dot);
            continue;
        }
        let stamp = record.stamps.get(&dot.change);
        versions.push(Version {
            value: value.clone(),
            dots: vec![dot],
            by: stamp.map(|stamp| stamp.by),
            t_eff: stamp.map(|stamp| stamp.t_eff).unwrap_or_default(),
        });
    }
    versions
}

fn newest(versions: &[Version]) -> Value {
    versions.first().map_or(Value::Null, |version| version.value.clone())
}

/// The value of the greatest declared rank; the order of ties decides between values of one rank.
fn gravest(versions: &[Version], ranks: &[(Value, i64)]) -> Value {
    let rank =
        |value: &Value| ranks.iter().find(|(ranked, _)| ranked == value).map(|(_, rank)| *rank);
    let greatest = versions.iter().rev().max_by_key(|version| rank(&version.value));
    greatest.map_or(Value::Null, |version| version.value.clone())
}

fn earliest(versions: &[Version]) -> Value {
    let earliest = versions
        .iter()
        .min_by_key(|version| version.value.as_str().unwrap_or("\u{10ffff}").to_owned());
    earliest.map_or(Value::Null, |version| version.value.clone())
}

fn agree_within(versions: &[Version], tolerance: Option<&str>) -> bool {
    let Some(tolerance) = tolerance.and_then(Decimal::parse) else { return false };
    let numbers: Option<Vec<Decimal>> =
        versions.iter().map(|version| Decimal::of(&version.value)).collect();
    numbers.is_some_and(|numbers| {
        numbers
            .iter()
            .enumerate()
            .all(|(i, a)| numbers.iter().skip(i + 1).all(|b| a.within(*b, tolerance)))
    })
}

/// Versions that do not touch are one text; otherwise all stand whole, one after the other, in dot order.
fn narrative(versions: &[Version], register: &Register, merged: bool) -> (Value, Mark, bool) {
    let mut in_dot_order: Vec<&Version> = versions.iter().collect();
    in_dot_order.sort_by_key(|version| version.dots.iter().min().copied());
    let texts: Option<Vec<&str>> =
        in_dot_order.iter().map(|version| version.value.as_str()).collect();
    let Some(texts) = texts else { return (newest(versions), Mark::Conflict, true) };
    let one = merged.then(|| text::merge(common_base(register), &texts)).flatten();
    let attributed = one.is_none();
    (Value::String(one.unwrap_or_else(|| texts.join("\n"))), Mark::Conflict, attributed)
}

/// The base that every sibling names, if there is exactly one and its text is at hand.
fn common_base(register: &Register) -> Option<&str> {
    let named: Option<BTreeSet<Dot>> = register
        .live
        .values()
        .map(|sibling| sibling.replaced.iter().copied().collect::<BTreeSet<_>>())
        .reduce(|a, b| a.intersection(&b).copied().collect());
    let named = named?;
    let mut named = named.into_iter();
    let (Some(base), None) = (named.next(), named.next()) else { return None };
    register.bases.get(&base)?.as_ref()?.as_str()
}

/// The state of the highest rank. A person decides when ranks tie, or when a step begins where the record was not.
fn status(
    versions: &[Version],
    register: &Register,
    ranks: &BTreeMap<String, i64>,
) -> (Value, Mark, bool) {
    let to = |value: &Value| value.get("to").and_then(Value::as_str).map(str::to_owned);
    let rank = |version: &Version| to(&version.value).and_then(|to| ranks.get(&to).copied());
    let top = versions.iter().map(rank).max().flatten();
    let tops: BTreeSet<Option<String>> = versions
        .iter()
        .filter(|version| rank(version) == top)
        .map(|version| to(&version.value))
        .collect();
    let shown = versions
        .iter()
        .find(|version| rank(version) == top)
        .map_or(Value::Null, |v| v.value.clone());
    let fits = register.live.values().all(|sibling| {
        let from = sibling.value.get("from").and_then(Value::as_str);
        let known: Vec<Option<String>> = sibling
            .replaced
            .iter()
            .filter_map(|dot| register.bases.get(dot)?.as_ref())
            .map(to)
            .collect();
        known.is_empty() || known.iter().any(|state| state.as_deref() == from)
    });
    let mark = match (tops.len() > 1 || !fits, versions.len()) {
        (true, _) => Mark::Conflict,
        (false, 1) => Mark::Agreed,
        (false, _) => Mark::Also,
    };
    (shown, mark, false)
}
