//! Reads predicates: `{"eq":["attendant_capacity","refused"]}`.

use super::super::{Operand, PREDICATE_DEPTH_MAX, Predicate, Why, predicate::RECORD};
use super::{Read, members::each};
use crate::id::is_segment;
use serde_json::Value;

pub(super) fn predicate(value: &Value, at: &str, depth: usize) -> Read<Predicate> {
    if depth == PREDICATE_DEPTH_MAX {
        return Err(Why::TooMany(PREDICATE_DEPTH_MAX).at(at));
    }
    let (word, of) = only_member(value, at, "a predicate, an object of one member")?;
    let at = &format!("{at}.{word}");
    let parts = || each(of, at, |part, at| predicate(part, at, depth + 1));
    Ok(match word {
        "all" => Predicate::All(parts()?),
        "any" => Predicate::Any(parts()?),
        "not" => Predicate::Not(Box::new(predicate(of, at, depth + 1)?)),
        "present" => Predicate::Present(name(of, at)?),
        "eq" => {
            let [field, literal] = pair(of, at)?;
            Predicate::Eq(name(field, at)?, literal.clone())
        }
        "in" => {
            let [field, literals] = pair(of, at)?;
            let literals = literals.as_array().ok_or_else(|| Why::NotA("an array").at(at))?;
            Predicate::In(name(field, at)?, literals.clone())
        }
        "lt" | "le" => {
            let [a, b] = pair(of, at)?;
            let (a, b) = (operand(a, at)?, operand(b, at)?);
            if word == "lt" { Predicate::Lt(a, b) } else { Predicate::Le(a, b) }
        }
        _ => {
            return Err(Why::UnknownWord { what: "predicate", word: word.to_owned() }.at(at));
        }
    })
}

fn operand(value: &Value, at: &str) -> Read<Operand> {
    if value.is_string() {
        return name(value, at).map(Operand::Name);
    }
    if value.is_i64() {
        return Ok(Operand::Literal(value.clone()));
    }
    let (word, of) = only_member(value, at, "a name, an integer or an object of one member")?;
    match word {
        "value" => Ok(Operand::Literal(of.clone())),
        "now" => of.as_i64().map(Operand::Now).ok_or_else(|| Why::NotA("minutes").at(at)),
        "sum" => {
            let [list, cell] = pair(of, at)?;
            Ok(Operand::Sum { list: name(list, at)?, cell: name(cell, at)? })
        }
        _ => Err(Why::UnknownWord { what: "operand", word: word.to_owned() }.at(at)),
    }
}

fn only_member<'a>(value: &'a Value, at: &str, what: &'static str) -> Read<(&'a str, &'a Value)> {
    let mut members = value.as_object().into_iter().flatten();
    match (members.next(), members.next()) {
        (Some((word, of)), None) => Ok((word, of)),
        _ => Err(Why::NotA(what).at(at)),
    }
}

fn pair<'a>(value: &'a Value, at: &str) -> Read<[&'a Value; 2]> {
    match value.as_array().map(Vec::as_slice) {
        Some([a, b]) => Ok([a, b]),
        _ => Err(Why::NotA("an array of two").at(at)),
    }
}

fn name(value: &Value, at: &str) -> Read<String> {
    let text = value.as_str().ok_or_else(|| Why::NotA("the name of a field").at(at))?;
    let path = text.strip_prefix(RECORD).unwrap_or(text);
    if path.split('.').all(is_segment) {
        Ok(text.to_owned())
    } else {
        Err(Why::BadPath(text.to_owned()).at(at))
    }
}
