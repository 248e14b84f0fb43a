//! What is wrong with one value of a register.

use super::super::{Decimal, Field, Kind, my_number, predicate::is_day, video_url};
use super::Said;
use crate::{blob::BlobRef, clock::UnixMillis, id::RecordId};
use serde_json::Value;
use std::cmp::Ordering;

/// What is wrong with an answer, if anything.
pub(super) fn wrong(field: &Field, value: &Value) -> Option<Said> {
    let text = value.as_str();
    match field.kind {
        Kind::Text | Kind::Narrative => {
            match (text, field.max.as_ref().and_then(|max| max.parse().ok())) {
                (None, _) => Some(Said::Kind),
                (Some(text), Some(max)) if text.chars().nth(max).is_some() => Some(Said::TooLong),
                (Some(_), _) => None,
            }
        }
        Kind::Number => match Decimal::of(value) {
            None => Some(Said::Kind),
            Some(number) => number_outside(field, number).then_some(Said::Range),
        },
        Kind::Date => match text.filter(|text| is_day(text)) {
            None => Some(Said::Kind),
            Some(day) => text_outside(field, day).then_some(Said::Range),
        },
        Kind::Datetime => match text.filter(|text| UnixMillis::parse(text).is_some()) {
            None => Some(Said::Kind),
            Some(instant) => text_outside(field, instant).then_some(Said::Range),
        },
        Kind::Choice => {
            let offered = field.choices.iter().any(|choice| Some(choice.code.as_str()) == text);
            (!offered).then_some(Said::Choice)
        }
        Kind::Ref => {
            text.and_then(|text| text.parse::<RecordId>().ok()).is_none().then_some(Said::Kind)
        }
        Kind::Flag => (!value.is_boolean()).then_some(Said::Kind),
        Kind::Location => (!is_place(value)).then_some(Said::Kind),
        Kind::VideoUrl => {
            let allowed = text.is_some_and(|text| video_url::is_allowed(text, &field.hosts));
            (!allowed).then_some(Said::VideoUrl)
        }
        Kind::MultiChoice
        | Kind::Check
        | Kind::Rows
        | Kind::Photos
        | Kind::Signature
        | Kind::Refs
        | Kind::Derived
        | Kind::Status => None,
    }
}

fn number_outside(field: &Field, number: Decimal) -> bool {
    let beyond = |bound: &Option<String>, side: Ordering| {
        let bound = bound.as_deref().and_then(Decimal::parse);
        bound.is_some_and(|bound| number.compare(bound).is_none_or(|order| order == side))
    };
    beyond(&field.min, Ordering::Less) || beyond(&field.max, Ordering::Greater)
}

/// Days and instants are written so that the order of their texts is the order of time.
fn text_outside(field: &Field, text: &str) -> bool {
    field.min.as_deref().is_some_and(|min| text < min)
        || field.max.as_deref().is_some_and(|max| text > max)
}

fn is_place(value: &Value) -> bool {
    let within = |name: &str, most: &str| {
        let (Some(n), Some(most)) = (value.get(name).and_then(Decimal::of), Decimal::parse(most))
        else {
            return false;
        };
        n.within(Decimal::ZERO, most)
    };
    within("lat", "90") && within("lon", "180")
}

/// Whether the payload of an element names a blob as its list asks.
///
/// A photo is a blob; a signature may be a name alone, but what names bytes names them rightly.
pub(super) fn names_its_blob(kind: Kind, payload: Option<&Value>) -> bool {
    let asked = match kind {
        Kind::Photos => true,
        Kind::Signature => payload.is_some_and(|payload| payload.get("sha256").is_some()),
        Kind::Text
        | Kind::Narrative
        | Kind::Number
        | Kind::Date
        | Kind::Datetime
        | Kind::Choice
        | Kind::MultiChoice
        | Kind::Check
        | Kind::Rows
        | Kind::Location
        | Kind::Ref
        | Kind::Refs
        | Kind::Derived
        | Kind::Status
        | Kind::Flag
        | Kind::VideoUrl => false,
    };
    !asked || payload.and_then(BlobRef::read).is_some()
}

/// Whether any text inside a value holds a My Number; ids and hashes are not read.
pub(super) fn holds_my_number(value: &Value) -> bool {
    match value {
        Value::String(text) => !is_name_of_bytes(text) && my_number::holds_my_number(text),
        Value::Number(number) => my_number::holds_my_number(&number.to_string()),
        Value::Array(items) => items.iter().any(holds_my_number),
        Value::Object(members) => members.values().any(holds_my_number),
        Value::Null | Value::Bool(_) => false,
    }
}

/// Whether a text is a UUID or a SHA-256, whose digits mean nothing.
fn is_name_of_bytes(text: &str) -> bool {
    text.parse::<RecordId>().is_ok()
        || (text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()))
}
