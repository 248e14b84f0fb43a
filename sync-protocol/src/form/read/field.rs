//! Reads fields and cells; each kind has its own members.

use super::super::{
    Builtin, Check, Choice, Field, Kind, Label, Merge, Need, Predicate, Why, video_url,
};
use super::{Members, Read, members, predicate};
use serde_json::Value;
use std::collections::BTreeMap;

type Lists = BTreeMap<String, Vec<Choice>>;

pub(super) fn field(value: &Value, at: &str, lists: &Lists) -> Read<Field> {
    let mut from = Members::of(value, at)?;
    let kind = from.word("kind", "kind of field", kind)?;
    let section = from.segment("section")?;
    let cells = if matches!(kind, Kind::Rows | Kind::Photos | Kind::Refs) {
        from.each("cells", |value, at| cell(value, at, lists))?
    } else {
        Vec::new()
    };
    if kind == Kind::Rows && cells.is_empty() {
        return Err(Why::Missing("cells").at(at));
    }
    let check = (kind == Kind::Check).then(|| check(&mut from)).transpose()?;
    let computed = kind == Kind::Derived;
    let builtin = computed.then(|| from.word("builtin", "built-in", Builtin::named)).transpose()?;
    common(
        from,
        kind,
        lists,
        Field { section: Some(section), cells, check, builtin, ..empty(kind) },
    )
}

/// A cell: a field without a section that is no list and nothing computed.
fn cell(value: &Value, at: &str, lists: &Lists) -> Read<Field> {
    let mut from = Members::of(value, at)?;
    let kind = from.word("kind", "kind of cell", |word| {
        kind(word).filter(|kind| {
            !kind.is_list() && !matches!(kind, Kind::Check | Kind::Derived | Kind::Status)
        })
    })?;
    common(from, kind, lists, empty(kind))
}

fn empty(kind: Kind) -> Field {
    Field {
        path: String::new(),
        section: None,
        kind,
        merge: Merge::Field,
        write: None,
        label: Label { ja: String::new(), en: String::new() },
        help: None,
        required: Need::Never,
        relevant: None,
        min: None,
        max: None,
        tolerance: None,
        unit: None,
        choices: Vec::new(),
        cells: Vec::new(),
        check: None,
        to: Vec::new(),
        hosts: Vec::new(),
        builtin: None,
    }
}

fn common(mut from: Members<'_>, kind: Kind, lists: &Lists, known: Field) -> Read<Field> {
    let mut field = Field {
        path: from.path("path")?,
        label: from.label()?,
        merge: merge(&mut from, kind)?,
        ..known
    };
    if let Some(value) = from.get("help") {
        let mut help = Members::of(value, &from.place("help"))?;
        field.help = Some(help.label()?);
        help.end()?;
    }
    if !matches!(kind, Kind::Derived | Kind::Status) {
        field.write = from.roles("write")?;
        field.required = need(&mut from)?;
        field.relevant = condition(&mut from, "relevant")?;
    }
    if matches!(kind, Kind::Choice | Kind::MultiChoice) {
        let said = from.need("choices")?;
        let at = from.place("choices");
        field.choices = match said.as_str() {
            None => choices(said, &at)?,
            Some(name) => lists.get(name).cloned().ok_or_else(|| {
                Why::UnknownWord { what: "list of choices", word: name.to_owned() }.at(&at)
            })?,
        };
    }
    if kind == Kind::Number {
        field.tolerance = bound(&mut from, "tolerance")?;
        field.unit = from.text_if_any("unit")?;
    }
    if matches!(kind, Kind::Ref | Kind::Refs) {
        field.to = from.each("to", members::id)?;
    }
    if kind == Kind::VideoUrl {
        field.hosts = hosts(&mut from)?;
    }
    let measured = matches!(kind, Kind::Number | Kind::Date | Kind::Datetime);
    if measured {
        field.min = bound(&mut from, "min")?;
    }
    if measured || kind.is_list() || matches!(kind, Kind::Text | Kind::Narrative) {
        field.max = bound(&mut from, "max")?;
    }
    from.end()?;
    Ok(field)
}

/// The hosts of an address: at least one, each a name or a suffix.
fn hosts(from: &mut Members<'_>) -> Read<Vec<String>> {
    let at = from.place("hosts");
    let hosts = members::each(from.need("hosts")?, &at, |value, at| {
        let text = value.as_str().filter(|text| video_url::is_pattern(text));
        text.map(str::to_owned).ok_or_else(|| Why::NotA("a host or *. and a suffix").at(at))
    })?;
    match hosts.len() {
        0 => Err(Why::Missing("hosts").at(&at)),
        count if count > video_url::HOSTS_MAX => Err(Why::TooMany(video_url::HOSTS_MAX).at(&at)),
        _ => Ok(hosts),
    }
}

fn check(from: &mut Members<'_>) -> Read<Check> {
    let weight = from.integer("weight")?.unwrap_or(0);
    Ok(Check {
        weight: u32::try_from(weight)
            .map_err(|_| Why::NotA("a weight").at(&from.place("weight")))?,
        critical: from.flag("critical")?.unwrap_or(false),
        basis: from.text_if_any("basis")?,
        finding: from.path_if_any("finding")?,
    })
}

pub(super) fn choices(value: &Value, at: &str) -> Read<Vec<Choice>> {
    let mut choices = members::each(value, at, choice)?;
    for (place, choice) in (1..).zip(&mut choices) {
        if choice.sort == 0 {
            choice.sort = place;
        }
    }
    Ok(choices)
}

fn choice(value: &Value, at: &str) -> Read<Choice> {
    let mut from = Members::of(value, at)?;
    let choice = Choice {
        code: from.segment("code")?,
        label: from.label()?,
        sort: from.integer("sort")?.unwrap_or(0),
        rank: from.integer("rank")?,
        group: from.text_if_any("group")?,
        exclusive: from.flag("exclusive")?.unwrap_or(false),
    };
    from.end()?;
    Ok(choice)
}

fn need(from: &mut Members<'_>) -> Read<Need> {
    Ok(match from.get("required") {
        None | Some(Value::Bool(false)) => Need::Never,
        Some(Value::Bool(true)) => Need::Always,
        Some(value) => Need::When(predicate::predicate(value, &from.place("required"), 0)?),
    })
}

fn condition(from: &mut Members<'_>, name: &'static str) -> Read<Option<Predicate>> {
    let value = from.get(name);
    value.map(|value| predicate::predicate(value, &from.place(name), 0)).transpose()
}

/// A bound is written as an integer or as text.
fn bound(from: &mut Members<'_>, name: &'static str) -> Read<Option<String>> {
    match from.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(value) if value.is_i64() => Ok(Some(value.to_string())),
        Some(_) => Err(Why::NotA("an integer or text").at(&from.place(name))),
    }
}

fn kind(word: &str) -> Option<Kind> {
    Some(match word {
        "text" => Kind::Text,
        "narrative" => Kind::Narrative,
        "number" => Kind::Number,
        "date" => Kind::Date,
        "datetime" => Kind::Datetime,
        "choice" => Kind::Choice,
        "multi_choice" => Kind::MultiChoice,
        "check" => Kind::Check,
        "rows" => Kind::Rows,
        "photos" => Kind::Photos,
        "signature" => Kind::Signature,
        "location" => Kind::Location,
        "ref" => Kind::Ref,
        "refs" => Kind::Refs,
        "derived" => Kind::Derived,
        "status" => Kind::Status,
        "flag" => Kind::Flag,
        "video_url" => Kind::VideoUrl,
        _ => return None,
    })
}

/// The merge words that a form may say, the implied one first.
const fn merges(kind: Kind) -> &'static [(&'static str, Merge)] {
    match kind {
        Kind::Text => &[
            ("field", Merge::Field),
            ("strict", Merge::Strict),
            ("keep_both", Merge::KeepBoth),
            ("add_only", Merge::AddOnly),
        ],
        Kind::Narrative => {
            &[("keep_both", Merge::KeepBoth), ("field", Merge::Field), ("add_only", Merge::AddOnly)]
        }
        Kind::Number | Kind::Choice | Kind::VideoUrl => {
            &[("field", Merge::Field), ("strict", Merge::Strict)]
        }
        Kind::Date | Kind::Datetime => {
            &[("field", Merge::Field), ("strict", Merge::Strict), ("legal", Merge::Legal)]
        }
        Kind::MultiChoice => &[("union", Merge::Union)],
        Kind::Check => &[("item", Merge::Item)],
        Kind::Rows => &[("rows", Merge::Rows), ("add_only", Merge::AddOnly)],
        Kind::Photos | Kind::Signature => &[("add_only", Merge::AddOnly)],
        Kind::Refs => &[("add_only", Merge::AddOnly), ("union", Merge::Union)],
        Kind::Location | Kind::Ref | Kind::Flag => &[("field", Merge::Field)],
        Kind::Derived => &[("derived", Merge::Derived)],
        Kind::Status => &[("status", Merge::Status)],
    }
}

fn merge(from: &mut Members<'_>, kind: Kind) -> Read<Merge> {
    let allowed = merges(kind);
    let said = from.text_if_any("merge")?;
    let found = match &said {
        None => allowed.first(),
        Some(word) => allowed.iter().find(|(known, _)| known == word),
    };
    found
        .map(|(_, merge)| *merge)
        .ok_or_else(|| Why::BadMerge(said.unwrap_or_default()).at(&from.place("merge")))
}
