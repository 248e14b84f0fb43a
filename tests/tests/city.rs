//! The fictional city is held to its own forms: what it says can be said, by those who say it.

use anyhow::{Context as _, Result, ensure};
use genba_tests::field_day::city::{self, BUREAUS, Bureau, GrantEntry, RecordEntry};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::{Form, Kind, Problem, Role, RowValues, Values};

type Forms = BTreeMap<String, Form>;
type Fields = BTreeMap<String, Value>;
type Rows = BTreeMap<String, Vec<Value>>;

/// Monday 23 November 2026, noon in Japan.
const THE_DAY: &str = "2026-11-23T03:00:00.000Z";

fn the_day() -> Result<UnixMillis> {
    UnixMillis::parse(THE_DAY).context("the day is an instant")
}

fn forms() -> Result<Forms> {
    let mut forms = Forms::new();
    for entry in std::fs::read_dir(city::fixtures().join("forms"))? {
        let path = entry?.path();
        let form = Form::parse(&std::fs::read_to_string(&path)?)
            .with_context(|| path.display().to_string())?;
        forms.insert(form.kind.to_string(), form);
    }
    Ok(forms)
}

fn bureaus() -> Result<Vec<Bureau>> {
    BUREAUS.iter().map(|name| city::on_the_day(name, the_day()?)).collect()
}

/// Every edit of a record with its author: the first and those of its steps.
fn edits(record: &RecordEntry) -> Vec<(&str, &Fields, &Rows)> {
    let first = (record.by.as_str(), &record.fields, &record.rows);
    let later = record.steps.iter().map(|step| (step.by.as_str(), &step.fields, &step.rows));
    std::iter::once(first).chain(later).collect()
}

/// The list or register that a path belongs to: the check itself for `checks.F07.remark`.
fn known_field<'a>(form: &'a Form, path: &str) -> Option<&'a sync_protocol::form::Field> {
    form.field(path).or_else(|| {
        let (check, part) = path.rsplit_once('.')?;
        let parts = ["result", "remark", "finding_ref"];
        form.field(check).filter(|field| field.kind == Kind::Check && parts.contains(&part))
    })
}

#[test]
fn every_path_and_type_of_the_city_is_known_to_its_form() -> Result<()> {
    let forms = forms()?;
    for record in bureaus()?.iter().flat_map(|bureau| &bureau.records) {
        let form =
            forms.get(&record.kind).with_context(|| format!("no form for {}", record.name()))?;
        for (_, fields, rows) in edits(record) {
            for path in fields.keys() {
                let field = known_field(form, path);
                ensure!(
                    field.is_some_and(|field| !field.kind.is_list()),
                    "{} has no register {path}",
                    record.name()
                );
            }
            for (list, rows) in rows {
                let field = form.field(list).filter(|field| field.kind.is_list());
                let field =
                    field.with_context(|| format!("{} has no list {list}", record.name()))?;
                for name in rows.iter().filter_map(Value::as_object).flat_map(|row| row.keys()) {
                    let cell = field.cells.iter().any(|cell| cell.path == *name);
                    ensure!(
                        cell || name == "id" || name == "v",
                        "{} has no cell {list}/…/{name}",
                        record.name()
                    );
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_reference_names_a_record_of_its_bureau_and_of_a_kind_that_the_form_takes() -> Result<()> {
    let forms = forms()?;
    for bureau in bureaus()? {
        let names: BTreeSet<String> = bureau.records.iter().map(RecordEntry::name).collect();
        ensure!(
            names.len() == bureau.records.len(),
            "a record of {} stands twice",
            bureau.tenant.id
        );
        let mut before = BTreeSet::new();
        for record in &bureau.records {
            if let Some(about) = &record.about {
                ensure!(
                    before.contains(about),
                    "{} is about {about}, which does not come before it",
                    record.name()
                );
            }
            before.insert(record.name());
            for text in texts(&serde_json::to_value(record)?) {
                let Some(name) = text.strip_prefix("ref:") else { continue };
                ensure!(names.contains(name), "{} names {name}, which is not there", record.name());
            }
            let form = forms.get(&record.kind).context("known")?;
            for (path, value) in edits(record).into_iter().flat_map(|(_, fields, _)| fields) {
                let Some(subject) = value.as_str().and_then(|text| text.strip_prefix("ref:"))
                else {
                    continue;
                };
                let kind = subject.split(':').next().unwrap_or_default();
                let takes = form
                    .field(path)
                    .is_some_and(|field| field.to.iter().any(|to| to.to_string() == kind));
                ensure!(takes, "{}: {path} does not take a {kind}", record.name());
            }
        }
    }
    Ok(())
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// The bucket of a record, through its subjects.
fn bucket<'a>(
    record: &'a RecordEntry,
    by_name: &BTreeMap<String, &'a RecordEntry>,
) -> Option<&'a str> {
    match (&record.bucket, &record.about) {
        (Some(bucket), None) => Some(bucket),
        (None, Some(about)) => bucket(by_name.get(about)?, by_name),
        _ => None,
    }
}

#[test]
fn everyone_writes_only_what_the_form_lets_their_role_write() -> Result<()> {
    let forms = forms()?;
    for bureau in bureaus()? {
        let by_name = bureau.records.iter().map(|record| (record.name(), record)).collect();
        for record in &bureau.records {
            let form = forms.get(&record.kind).context("known")?;
            let place = bucket(record, &by_name)
                .with_context(|| format!("{} lies nowhere", record.name()))?;
            let role_of = |login: &str| {
                // Nobody is granted `everyone`: its masters are imported, in the name of those who keep the others.
                let here = |grant: &&GrantEntry| grant.bucket == place || place == "everyone";
                let mut grants = bureau.grants.iter().filter(|grant| grant.user == login);
                let role = grants.find(here).map(|grant| Value::from(grant.role.as_str()));
                let role: Option<Role> = role.and_then(|role| serde_json::from_value(role).ok());
                role.with_context(|| {
                    format!("{login} has no role in {place} for {}", record.name())
                })
            };
            let first = role_of(&record.by)?;
            ensure!(form.write.contains(&first), "{} cannot begin {}", record.by, record.name());
            for (by, fields, rows) in edits(record) {
                let role = role_of(by)?;
                for path in fields.keys().chain(rows.keys()) {
                    ensure!(
                        form.may_write(path, None, role),
                        "{by} cannot write {path} of {}",
                        record.name()
                    );
                }
            }
            for step in
                record.steps.iter().filter(|step| step.seal || step.accept || step.unseal.is_some())
            {
                ensure!(
                    role_of(&step.by)? == Role::Approver,
                    "{} does not decide on {}",
                    step.by,
                    record.name()
                );
            }
        }
    }
    Ok(())
}

/// What a record says after its edits up to a step.
#[derive(Default)]
struct Shown {
    fields: BTreeMap<String, Value>,
    rows: BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>>,
}

impl Shown {
    fn take(&mut self, fields: &BTreeMap<String, Value>, rows: &BTreeMap<String, Vec<Value>>) {
        let as_ref = |value: &Value| match value.as_str() {
            Some(text) if text.starts_with("ref:") => {
                Value::from("01990000-0000-7000-8000-000000000000")
            }
            _ => value.clone(),
        };
        self.fields.extend(fields.iter().map(|(path, value)| (path.clone(), as_ref(value))));
        for (list, rows) in rows {
            for row in rows {
                let id = row.as_str().or_else(|| row["id"].as_str()).unwrap_or("?").to_owned();
                let cells = self.rows.entry(list.clone()).or_default().entry(id).or_default();
                for (name, value) in
                    row.as_object().into_iter().flatten().filter(|(name, _)| *name != "id")
                {
                    cells.insert(name.clone(), as_ref(value));
                }
            }
        }
    }
}

impl Values for Shown {
    fn field(&self, path: &str) -> Option<&Value> {
        self.fields.get(path)
    }

    fn rows(&self, list: &str) -> Vec<RowValues<'_>> {
        let rows = self.rows.get(list).into_iter().flatten();
        rows.map(|(id, cells)| RowValues {
            id,
            value: cells.get("v"),
            cells: cells.iter().map(|(name, value)| (name.as_str(), value)).collect(),
        })
        .collect()
    }
}

#[test]
fn what_was_sealed_or_finished_has_no_problem() -> Result<()> {
    let forms = forms()?;
    let mut sealed = 0;
    for record in bureaus()?.iter().flat_map(|bureau| &bureau.records) {
        let form = forms.get(&record.kind).context("known")?;
        let mut shown = Shown::default();
        shown.take(&record.fields, &record.rows);
        for step in &record.steps {
            shown.take(&step.fields, &step.rows);
            if step.seal {
                sealed += 1;
                no_problem(record, form, &shown)?;
            }
        }
        let planned_only = form.statuses.is_some() && !shown.fields.contains_key("status");
        if !planned_only {
            no_problem(record, form, &shown)?;
        }
    }
    ensure!(sealed >= 6, "only {sealed} seals in the city");
    Ok(())
}

fn no_problem(record: &RecordEntry, form: &Form, shown: &Shown) -> Result<()> {
    let problems: Vec<Problem> = form.problems(shown, the_day()?);
    ensure!(problems.is_empty(), "{}: {problems:#?}", record.name());
    Ok(())
}

#[test]
fn the_city_is_whole() -> Result<()> {
    let count = |bureau: &Bureau, kind: &str| {
        bureau.records.iter().filter(|record| record.kind == kind).count()
    };
    let all = bureaus()?;
    let [fire, sanitation, welfare] = all.as_slice() else { anyhow::bail!("three bureaus") };
    assert_eq!(count(fire, "fire_prevention_property"), 12);
    assert_eq!(count(sanitation, "food_facility"), 8);
    assert_eq!(count(welfare, "household"), 10);
    assert_eq!(all.iter().map(|bureau| count(bureau, "manual_page")).sum::<usize>(), 5);
    for (bureau, login) in [
        (fire, "st-f1"),
        (fire, "st-f2"),
        (fire, "st-f3"),
        (fire, "pos-station-chief"),
        (fire, "pos-prev-chief"),
        (sanitation, "st-h1"),
        (sanitation, "pos-hyg-chief"),
        (sanitation, "pos-hc-head"),
        (welfare, "st-w1"),
        (welfare, "st-w2"),
        (welfare, "st-w3"),
        (welfare, "st-w4"),
        (welfare, "pos-wel-chief"),
        (welfare, "pos-wel-deputy"),
        (welfare, "pos-wel-head"),
    ] {
        assert!(bureau.people.iter().any(|person| person.login == login), "{login} is missing");
    }
    Ok(())
}

#[test]
fn the_successor_holds_the_caseload_from_1_april() -> Result<()> {
    let welfare = city::on_the_day("welfare", the_day()?)?;
    let of = |login: &str| {
        welfare.grants.iter().find(|grant| grant.user == login && grant.bucket == "caseload:A")
    };
    let (leaving, coming) = (of("st-w1").context("st-w1")?, of("st-w4").context("st-w4")?);
    assert_eq!(coming.from, "2027-03-31T15:00:00.000Z");
    assert_eq!(leaving.to.as_deref(), Some(coming.from.as_str()));
    Ok(())
}

#[test]
fn every_page_of_the_manuals_can_be_read_in_full() -> Result<()> {
    for record in bureaus()?
        .iter()
        .flat_map(|bureau| &bureau.records)
        .filter(|record| record.kind == "manual_page")
    {
        let body = record.fields.get("body").and_then(Value::as_str).unwrap_or_default();
        assert!(
            body.chars().count() > 400,
            "{} has only {} characters",
            record.name(),
            body.chars().count()
        );
        assert_eq!(record.bucket.as_deref(), Some("everyone"));
    }
    Ok(())
}
