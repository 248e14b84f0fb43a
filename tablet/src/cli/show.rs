//! The commands that read.

use super::open::find;
use super::out::{json, say};
use anyhow::{Result, anyhow};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use sync_protocol::form::Form;
use sync_protocol::id::{Bucket, RecordId, RecordType, Seq, UserId};
use sync_protocol::record::{Beside, Record};
use sync_protocol::view::{Deleted, FieldView, Mark, View};
use tablet::Tablet;

/// A record as a program reads it.
#[derive(Serialize)]
struct Shown<'a> {
    rec: RecordId,
    #[serde(rename = "type")]
    kind: RecordType,
    about: Option<RecordId>,
    rv: Option<Seq>,
    buckets: Vec<&'a Bucket>,
    unsent: usize,
    sealed: bool,
    beside: Vec<Beside>,
    view: Option<View>,
    raw: Option<BTreeMap<String, Vec<Value>>>,
}

/// A line of the list.
#[derive(Serialize)]
struct Line {
    rec: RecordId,
    #[serde(rename = "type")]
    kind: RecordType,
    title: Option<String>,
    unsent: usize,
    deleted: Deleted,
    conflicts: Vec<String>,
    flags: Vec<String>,
}

pub(super) fn show(tablet: &Tablet, record: &str, as_json: bool) -> Result<()> {
    let rec = find(tablet, record)?;
    let record = tablet.replica().displayed(rec).ok_or_else(|| anyhow!("{rec} is not here"))?;
    let form = tablet.forms().get(&record.kind);
    let view = form.map(|form| View::of(&record, form));
    if as_json {
        return json(&Shown {
            rec,
            kind: record.kind.clone(),
            about: record.about,
            rv: tablet.replica().rv(rec),
            buckets: tablet.replica().buckets_of(rec).collect(),
            unsent: unsent(tablet, rec),
            sealed: !record.seals.is_empty(),
            beside: record.beside.clone(),
            raw: view.is_none().then(|| raw(&record)),
            view,
        });
    }
    heading(tablet, rec, &record, form);
    match (form, view) {
        (Some(form), Some(view)) => body(tablet, form, &view),
        _ => raw(&record).into_iter().for_each(|(path, values)| {
            say(format_args!("  {path}: {}", Value::from(values)));
        }),
    }
    for beside in &record.beside {
        let who = author(tablet, Some(beside.by));
        say(format_args!(
            "  beside the sealed text: change {} by {who} ({:?})",
            beside.id, beside.class
        ));
    }
    Ok(())
}

fn heading(tablet: &Tablet, rec: RecordId, record: &Record, form: Option<&Form>) {
    let name = form
        .map_or_else(|| record.kind.to_string(), |f| format!("{} ({})", f.label.ja, f.label.en));
    say(format_args!("{name}  {rec}"));
    let buckets: Vec<&str> = tablet.replica().buckets_of(rec).map(Bucket::as_str).collect();
    let version = tablet
        .replica()
        .rv(rec)
        .map_or("not on the server yet".to_owned(), |rv| format!("rv {rv}"));
    let unsent = match unsent(tablet, rec) {
        0 => String::new(),
        n => format!(", {n} changes wait to be sent"),
    };
    say(format_args!(
        "  {version}, in {}{unsent}",
        if buckets.is_empty() { "-".to_owned() } else { buckets.join(" ") }
    ));
    if !record.seals.is_empty() {
        say("  sealed: what is written now stands beside the approved text");
    }
}

fn body(tablet: &Tablet, form: &Form, view: &View) {
    match view.deleted {
        Deleted::No => {}
        Deleted::Yes => say("  deleted"),
        Deleted::Contested => {
            say("  deleted by somebody who had not seen every edit: a person has to decide");
        }
    }
    for (path, field) in &view.fields {
        line(tablet, &label(form, path, None), path, field, 2);
    }
    for (path, list) in &view.lists {
        say(format_args!("  {} [{path}], {} rows", label(form, path, None), list.rows.len()));
        for row in &list.rows {
            let value = row.value.as_ref().map_or(String::new(), |value| format!(" {value}"));
            let mark = if row.removed_and_edited {
                "  <- removed by somebody, edited by somebody else"
            } else {
                ""
            };
            say(format_args!("    - {}{value}{mark}", row.id));
            for (cell, field) in &row.cells {
                line(tablet, &label(form, path, Some(cell)), cell, field, 6);
            }
        }
    }
    for (path, value) in &view.derived {
        say(format_args!("  {} [{path}] = {} (computed)", label(form, path, None), plain(value)));
    }
    let conflicts = view.conflicts();
    if !conflicts.is_empty() {
        say(format_args!("  to be decided by a person: {}", conflicts.join(", ")));
    }
}

fn line(tablet: &Tablet, label: &str, path: &str, field: &FieldView, indent: usize) {
    let mark = match field.mark {
        Mark::Agreed => "",
        Mark::Also => "  (also entered otherwise)",
        Mark::Conflict => "  <- CONFLICT",
    };
    let first = field.versions.first();
    let who =
        first.map_or(String::new(), |v| format!("   - {}, {}", author(tablet, v.by), v.t_eff));
    say(format_args!("{:indent$}{label} [{path}] = {}{mark}{who}", "", plain(&field.shown)));
    if field.versions.len() > 1 {
        for version in &field.versions {
            let who = author(tablet, version.by);
            say(format_args!(
                "{:indent$}    {} - {who}, {}",
                "",
                plain(&version.value),
                version.t_eff
            ));
        }
    }
}

fn label(form: &Form, path: &str, cell: Option<&str>) -> String {
    let field = super::value::field(Some(form), path, cell);
    if let (None, None, Some((check, part))) = (field, cell, path.rsplit_once('.')) {
        let check = super::value::field(Some(form), check, None);
        return check.map_or_else(
            || path.to_owned(),
            |f| format!("{} ({}), {part}", f.label.ja, f.label.en),
        );
    }
    field.map_or_else(
        || cell.unwrap_or(path).to_owned(),
        |f| format!("{} ({})", f.label.ja, f.label.en),
    )
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn author(tablet: &Tablet, by: Option<UserId>) -> String {
    match by {
        Some(user) if user == tablet.profile().user => "you".to_owned(),
        Some(user) => format!("user {user}"),
        None => "nobody".to_owned(),
    }
}

/// The values of a record whose form is not here, by path.
fn raw(record: &Record) -> BTreeMap<String, Vec<Value>> {
    let fields = record.fields.iter().map(|(path, register)| {
        (path.clone(), register.live.values().map(|sibling| sibling.value.clone()).collect())
    });
    fields.collect()
}

fn unsent(tablet: &Tablet, rec: RecordId) -> usize {
    tablet.replica().own_changes().filter(|own| own.rec == rec && own.waits).count()
}

fn lines(tablet: &Tablet) -> Vec<Line> {
    let of = |rec: RecordId| {
        let record = tablet.replica().displayed(rec)?;
        let view = tablet.forms().get(&record.kind).map(|form| View::of(&record, form));
        Some(Line {
            rec,
            title: title(tablet, rec, 2),
            unsent: unsent(tablet, rec),
            deleted: view.as_ref().map_or(Deleted::No, |view| view.deleted),
            conflicts: view.map(|view| view.conflicts()).unwrap_or_default(),
            flags: tablet.replica().flags(rec).to_vec(),
            kind: record.kind,
        })
    };
    tablet.replica().records().filter_map(of).collect()
}

/// What a record is called; where the form names a reference, what that record is called.
pub(super) fn title(tablet: &Tablet, rec: RecordId, depth: usize) -> Option<String> {
    let record = tablet.replica().displayed(rec)?;
    let form = tablet.forms().get(&record.kind)?;
    let view = View::of(&record, form);
    let named =
        form.title.as_ref().and_then(|path| view.fields.get(path)).map(|field| plain(&field.shown));
    let subject = match &named {
        Some(text) => text.parse().ok(),
        None => record.about,
    };
    match subject.filter(|_| depth > 0) {
        Some(subject) => title(tablet, subject, depth - 1).or(named),
        None => named,
    }
}

pub(super) fn list(tablet: &Tablet, kind: Option<&RecordType>, as_json: bool) -> Result<()> {
    let mut lines = lines(tablet);
    lines.retain(|line| kind.is_none_or(|kind| line.kind == *kind));
    if as_json {
        return json(&lines);
    }
    for line in &lines {
        let mut marks = Vec::new();
        if line.unsent > 0 {
            marks.push(format!("{} unsent", line.unsent));
        }
        if !line.conflicts.is_empty() {
            marks.push("conflict".to_owned());
        }
        if line.deleted != Deleted::No {
            marks.push("deleted".to_owned());
        }
        let title = line.title.as_deref().unwrap_or("-");
        say(format_args!("{}  {:<26} {title}  {}", line.rec, line.kind.as_str(), marks.join(", ")));
    }
    say(format_args!("{} records.", lines.len()));
    Ok(())
}

pub(super) fn conflicts(tablet: &Tablet, as_json: bool) -> Result<()> {
    let mut lines = lines(tablet);
    lines.retain(|line| !line.conflicts.is_empty());
    if as_json {
        return json(&lines);
    }
    for line in &lines {
        let title = line.title.as_deref().unwrap_or("-");
        say(format_args!("{}  {} {title}: {}", line.rec, line.kind, line.conflicts.join(", ")));
    }
    match lines.len() {
        0 => say("Nothing waits for a decision."),
        n => say(format_args!(
            "{n} records wait for a decision: look with `show`, decide with `set`."
        )),
    }
    Ok(())
}
