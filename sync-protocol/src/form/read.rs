//! Reads a form strictly: every member is read by name, and one that nothing reads is refused.

mod check;
mod field;
mod members;
mod predicate;

use super::policy::Policies;
use super::{
    Form, FormError, Home, Label, Level, Offline, Role, Rule, Section, State, Statuses, Transition,
    Why,
};
use crate::value;
use members::Members;
use serde_json::Value;
use std::collections::BTreeMap;

type Read<T> = Result<T, FormError>;

pub(super) fn form(json: &str) -> Read<Form> {
    let body = value::parse_strict(json)
        .map_err(|_| FormError { at: "form".to_owned(), why: Why::NotJson })?;
    let mut form = members(&body)?;
    form.body = body;
    for (at, field) in form.fields.iter().enumerate() {
        if form.index.insert(field.path.clone(), at).is_some() {
            return Err(Why::Twice(field.path.clone()).at(&format!("fields[{at}].path")));
        }
    }
    check::form(&form)?;
    form.policies = Policies::of(&form);
    Ok(form)
}

fn members(body: &Value) -> Read<Form> {
    let mut from = Members::of(body, "")?;
    let lists = from.get("lists").map(shared_lists).transpose()?.unwrap_or_default();
    let form = Form {
        kind: from.id("type")?,
        version: from.positive("version")?,
        label: from.label()?,
        home: home(from.need("home")?)?,
        write: from.roles("write")?.ok_or_else(|| Why::Missing("write").at("write"))?,
        merged_view: from.flag("merged_view")?.unwrap_or(true),
        sections: from.each("sections", section)?,
        fields: from.each("fields", |value, at| field::field(value, at, &lists))?,
        statuses: from.get("statuses").map(statuses).transpose()?,
        rules: from.each("rules", rule)?,
        title: from.text_if_any("title")?,
        body: Value::Null,
        index: BTreeMap::new(),
        policies: Policies::default(),
    };
    from.end()?;
    Ok(form)
}

fn shared_lists(lists: &Value) -> Read<BTreeMap<String, Vec<super::Choice>>> {
    let lists =
        lists.as_object().ok_or_else(|| Why::NotA("an object of lists of choices").at("lists"))?;
    lists
        .iter()
        .map(|(name, list)| Ok((name.clone(), field::choices(list, &format!("lists.{name}"))?)))
        .collect()
}

fn home(value: &Value) -> Read<Home> {
    let mut from = Members::of(value, "home")?;
    let home = match (from.get("about").is_some(), from.get("bucket").is_some()) {
        (true, false) => Home::About(from.each("about", members::id)?),
        (false, true) => Home::Bucket(from.each("bucket", members::segment)?),
        _ => return Err(Why::NotA("either about or bucket").at("home")),
    };
    from.end()?;
    if matches!(&home, Home::About(kinds) if kinds.is_empty())
        || matches!(&home, Home::Bucket(kinds) if kinds.is_empty())
    {
        return Err(Why::NotA("a place").at("home"));
    }
    Ok(home)
}

fn section(value: &Value, at: &str) -> Read<Section> {
    let mut from = Members::of(value, at)?;
    let section = Section { code: from.segment("code")?, label: from.label()? };
    from.end()?;
    Ok(section)
}

fn statuses(value: &Value) -> Read<Statuses> {
    let mut from = Members::of(value, "statuses")?;
    let statuses = Statuses {
        initial: from.segment("initial")?,
        states: from.each("states", state)?,
        transitions: from.each("transitions", transition)?,
    };
    from.end()?;
    Ok(statuses)
}

fn state(value: &Value, at: &str) -> Read<State> {
    let mut from = Members::of(value, at)?;
    let rank = from.integer("rank")?.ok_or_else(|| Why::Missing("rank").at(at))?;
    let state = State { code: from.segment("code")?, label: from.label()?, rank };
    from.end()?;
    Ok(state)
}

fn transition(value: &Value, at: &str) -> Read<Transition> {
    let mut from = Members::of(value, at)?;
    let way = Transition {
        from: from.each("from", members::segment)?,
        to: from.segment("to")?,
        offline: from.word("offline", "way (yes, request, no)", |word| {
            Some(match word {
                "yes" => Offline::Yes,
                "request" => Offline::Request,
                "no" => Offline::No,
                _ => return None,
            })
        })?,
        roles: from.roles("roles")?.unwrap_or_default(),
        why: from.flag("why")?.unwrap_or(false),
    };
    from.end()?;
    Ok(way)
}

fn rule(value: &Value, at: &str) -> Read<Rule> {
    let mut from = Members::of(value, at)?;
    let when = from.need("when")?;
    let rule = Rule {
        code: from.segment("code")?,
        path: from.path("path")?,
        list: from.path_if_any("list")?,
        when: predicate::predicate(when, &from.place("when"), 0)?,
        level: from.word("level", "level (save, submit, approve)", |word| {
            Some(match word {
                "save" => Level::Save,
                "submit" => Level::Submit,
                "approve" => Level::Approve,
                _ => return None,
            })
        })?,
        label: from.label()?,
    };
    from.end()?;
    Ok(rule)
}

impl Role {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "inspector" => Self::Inspector,
            "caseworker" => Self::Caseworker,
            "supervisor" => Self::Supervisor,
            "adviser" => Self::Adviser,
            "approver" => Self::Approver,
            "auditor" => Self::Auditor,
            "reader" => Self::Reader,
            _ => return None,
        })
    }
}

impl Label {
    fn is_blank(&self) -> bool {
        self.ja.trim().is_empty() || self.en.trim().is_empty()
    }
}
