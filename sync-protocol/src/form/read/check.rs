//! Checks a form against itself: what it names, it has.

use super::super::{
    Decimal, FIELDS_MAX, Field, Form, Kind, Merge, Need, Offline, Operand, Predicate, Statuses,
    Why,
    policy::RESULT_RANKS,
    predicate::{Quantity, RECORD, is_day},
};
use super::Read;
use crate::clock::UnixMillis;
use serde_json::{Value, json};
use std::{cmp::Ordering, collections::BTreeSet};

/// The field of the record's state.
const STATUS: &str = "status";
/// The flag by which a tablet asks for a transition.
const SUBMIT_REQUESTED: &str = "submit_requested";

pub(super) fn form(form: &Form) -> Read<()> {
    let all = form.fields.iter().map(|field| 1 + field.cells.len()).sum::<usize>();
    if all > FIELDS_MAX {
        return Err(Why::TooMany(FIELDS_MAX).at("fields"));
    }
    once(form.sections.iter().map(|section| section.code.as_str()), "sections")?;
    once(form.rules.iter().map(|rule| rule.code.as_str()), "rules")?;
    for (i, field) in form.fields.iter().enumerate() {
        let at = &format!("fields[{i}]");
        let section = field.section.as_deref().unwrap_or_default();
        if !form.sections.iter().any(|known| known.code == section) {
            return Err(Why::UnknownWord { what: "section", word: section.to_owned() }
                .at(&format!("{at}.section")));
        }
        one_field(field, at, Names { form, cells: None })?;
        once(field.cells.iter().map(|cell| cell.path.as_str()), &format!("{at}.cells"))?;
        for (i, cell) in field.cells.iter().enumerate() {
            one_field(
                cell,
                &format!("{at}.cells[{i}]"),
                Names { form, cells: Some(&field.cells) },
            )?;
        }
        if let Some(list) = field.check.as_ref().and_then(|check| check.finding.as_deref()) {
            rows(form, list, &format!("{at}.finding"))?;
        }
    }
    for (i, rule) in form.rules.iter().enumerate() {
        let cells = match &rule.list {
            Some(list) => Some(rows(form, list, &format!("rules[{i}].list"))?.cells.as_slice()),
            None => None,
        };
        let names = Names { form, cells };
        names.find(&rule.path, &format!("rules[{i}].path"))?;
        names.predicate(&rule.when, &format!("rules[{i}].when"))?;
    }
    if let Some(title) = &form.title {
        Names { form, cells: None }.find(title, "title")?;
    }
    status(form)
}

fn once<'a>(codes: impl Iterator<Item = &'a str>, at: &str) -> Read<()> {
    let mut seen = BTreeSet::new();
    for code in codes {
        if !seen.insert(code) {
            return Err(Why::Twice(code.to_owned()).at(at));
        }
    }
    Ok(())
}

fn rows<'a>(form: &'a Form, list: &str, at: &str) -> Read<&'a Field> {
    let list_field = form.field(list).filter(|field| field.kind == Kind::Rows);
    list_field.ok_or_else(|| Why::UnknownField(list.to_owned()).at(at))
}

fn one_field(field: &Field, at: &str, names: Names<'_>) -> Read<()> {
    once(field.choices.iter().map(|choice| choice.code.as_str()), &format!("{at}.choices"))?;
    once(field.hosts.iter().map(String::as_str), &format!("{at}.hosts"))?;
    if matches!(field.kind, Kind::Choice | Kind::MultiChoice) && field.choices.is_empty() {
        return Err(Why::Missing("choices").at(at));
    }
    let ranked = field.choices.iter().filter(|choice| choice.rank.is_some()).count();
    if field.merge == Merge::Strict && ranked != 0 && ranked != field.choices.len() {
        return Err(Why::PartialRank.at(&format!("{at}.choices")));
    }
    bounds(field, at)?;
    if let Need::When(when) = &field.required {
        names.predicate(when, &format!("{at}.required"))?;
    }
    field.relevant.iter().try_for_each(|when| names.predicate(when, &format!("{at}.relevant")))
}

fn bounds(field: &Field, at: &str) -> Read<()> {
    let valid = |text: &String| match field.kind {
        Kind::Number => Decimal::parse(text).is_some(),
        Kind::Date => is_day(text),
        Kind::Datetime => UnixMillis::parse(text).is_some(),
        Kind::Text
        | Kind::Narrative
        | Kind::Choice
        | Kind::MultiChoice
        | Kind::Check
        | Kind::Rows
        | Kind::Photos
        | Kind::Signature
        | Kind::Location
        | Kind::Ref
        | Kind::Refs
        | Kind::Derived
        | Kind::Status
        | Kind::Flag
        | Kind::VideoUrl => text.parse::<u32>().is_ok_and(|most| most > 0),
    };
    let named = [("min", &field.min), ("max", &field.max), ("tolerance", &field.tolerance)];
    for (name, bound) in named {
        if bound.as_ref().is_some_and(|bound| !valid(bound)) {
            return Err(Why::BadRange.at(&format!("{at}.{name}")));
        }
    }
    let (Some(min), Some(max)) = (&field.min, &field.max) else { return Ok(()) };
    let ordered = match (Decimal::parse(min), Decimal::parse(max)) {
        (Some(min), Some(max)) => min.compare(max) != Some(Ordering::Greater),
        _ => min <= max,
    };
    if ordered { Ok(()) } else { Err(Why::BadRange.at(&format!("{at}.max"))) }
}

/// The names that a predicate may use.
#[derive(Clone, Copy)]
struct Names<'a> {
    form: &'a Form,
    cells: Option<&'a [Field]>,
}

/// What a name stands for.
enum Named<'a> {
    Field(&'a Field),
    CheckResult,
    CheckPart,
}

impl<'a> Names<'a> {
    fn find(&self, name: &str, at: &str) -> Read<Named<'a>> {
        let unknown = || Why::UnknownField(name.to_owned()).at(at);
        match (self.cells, name.strip_prefix(RECORD)) {
            (Some(cells), None) => {
                cells.iter().find(|cell| cell.path == name).map(Named::Field).ok_or_else(unknown)
            }
            (Some(_), Some(name)) => self.of_record(name).ok_or_else(unknown),
            (None, _) => self.of_record(name).ok_or_else(unknown),
        }
    }

    fn of_record(&self, name: &str) -> Option<Named<'a>> {
        if let Some(field) = self.form.field(name) {
            return Some(Named::Field(field));
        }
        let (check, part) = name.rsplit_once('.')?;
        self.form.field(check).filter(|field| field.kind == Kind::Check)?;
        match part {
            "result" => Some(Named::CheckResult),
            "remark" | "photos" | "finding_ref" => Some(Named::CheckPart),
            _ => None,
        }
    }

    fn predicate(&self, predicate: &Predicate, at: &str) -> Read<()> {
        match predicate {
            Predicate::All(parts) => self.each(parts, &format!("{at}.all")),
            Predicate::Any(parts) => self.each(parts, &format!("{at}.any")),
            Predicate::Not(part) => self.predicate(part, &format!("{at}.not")),
            Predicate::Present(name) => self.find(name, &format!("{at}.present")).map(|_| ()),
            Predicate::Eq(name, literal) => self.literal(name, literal, &format!("{at}.eq")),
            Predicate::In(name, literals) => {
                let at = format!("{at}.in");
                literals.iter().try_for_each(|literal| self.literal(name, literal, &at))
            }
            Predicate::Lt(a, b) => {
                [a, b].into_iter().try_for_each(|o| self.operand(o, &format!("{at}.lt")))
            }
            Predicate::Le(a, b) => {
                [a, b].into_iter().try_for_each(|o| self.operand(o, &format!("{at}.le")))
            }
        }
    }

    fn each(&self, parts: &[Predicate], at: &str) -> Read<()> {
        let mut parts = parts.iter().enumerate();
        parts.try_for_each(|(i, part)| self.predicate(part, &format!("{at}[{i}]")))
    }

    /// A literal beside a field that offers codes is one of them.
    fn literal(&self, name: &str, literal: &Value, at: &str) -> Read<()> {
        let offered = match self.find(name, at)? {
            Named::Field(field) if field.kind == Kind::Flag => literal.is_boolean(),
            Named::Field(field) if !field.choices.is_empty() => {
                field.choices.iter().any(|choice| *literal == json!(choice.code))
            }
            Named::Field(_) | Named::CheckPart => true,
            Named::CheckResult => RESULT_RANKS.iter().any(|(code, _)| *literal == json!(code)),
        };
        if offered { Ok(()) } else { Err(Why::UnknownChoice(literal.to_string()).at(at)) }
    }

    fn operand(&self, operand: &Operand, at: &str) -> Read<()> {
        match operand {
            Operand::Name(name) => self.find(name, at).map(|_| ()),
            Operand::Literal(value) if Quantity::of(value).is_some() => Ok(()),
            Operand::Literal(_) => Err(Why::NotA("a number, a day or an instant").at(at)),
            Operand::Now(_) => Ok(()),
            Operand::Sum { list, cell } => {
                let rows = rows(self.form, list.strip_prefix(RECORD).unwrap_or(list), at)?;
                let known = rows
                    .cells
                    .iter()
                    .any(|known| known.path == *cell && known.kind == Kind::Number);
                if known { Ok(()) } else { Err(Why::UnknownField(cell.clone()).at(at)) }
            }
        }
    }
}

fn status(form: &Form) -> Read<()> {
    let field = form.fields.iter().position(|field| field.kind == Kind::Status);
    let Some(statuses) = &form.statuses else {
        return match field {
            Some(_) => Err(Why::Missing("statuses").at("")),
            None => Ok(()),
        };
    };
    let named = field.and_then(|at| form.fields.get(at)).is_some_and(|field| field.path == STATUS);
    if !named {
        return Err(Why::UnknownField(STATUS.to_owned()).at("statuses"));
    }
    once(statuses.states.iter().map(|state| state.code.as_str()), "statuses.states")?;
    known_states(statuses)?;
    let asked = statuses.transitions.iter().any(|way| way.offline == Offline::Request);
    let flag = form.field(SUBMIT_REQUESTED).is_some_and(|field| field.kind == Kind::Flag);
    if asked && !flag {
        return Err(Why::UnknownField(SUBMIT_REQUESTED.to_owned()).at("statuses.transitions"));
    }
    Ok(())
}

fn known_states(statuses: &Statuses) -> Read<()> {
    let known = |code: &str, at: &str| match statuses.state(code) {
        Some(_) => Ok(()),
        None => Err(Why::UnknownWord { what: "state", word: code.to_owned() }.at(at)),
    };
    known(&statuses.initial, "statuses.initial")?;
    for (i, way) in statuses.transitions.iter().enumerate() {
        let at = format!("statuses.transitions[{i}]");
        for from in &way.from {
            known(from, &format!("{at}.from"))?;
        }
        known(&way.to, &format!("{at}.to"))?;
    }
    Ok(())
}
