//! The commands that write.

use super::open::find;
use super::out::say;
use super::value;
use anyhow::{Result, anyhow};
use sync_protocol::change::{Home, Path, RowPath};
use sync_protocol::form::{Form, Kind};
use sync_protocol::id::{Bucket, RecordId, RecordType};
use sync_protocol::record::Record;
use sync_protocol::replica::{Chance as _, Draft, Edit};
use tablet::{OsChance, Tablet, TabletError};

/// The version that a change names where the tablet has no form.
const SV_UNKNOWN: u32 = 1;

pub(super) async fn new(
    tablet: &mut Tablet,
    kind: RecordType,
    about: Option<String>,
    bucket: Option<Bucket>,
    fields: &[String],
) -> Result<()> {
    let home = match (about, bucket) {
        (Some(subject), _) => Home::About(find(tablet, &subject)?),
        (None, Some(bucket)) => Home::In(bucket),
        (None, None) => return Err(anyhow!("say --about RECORD or --in BUCKET")),
    };
    let form = tablet.forms().get(&kind);
    let mut edits = vec![Edit::New(home)];
    for text in fields {
        let (path, typed) = value::pair(text)?;
        edits.extend(answers(form, path, typed)?);
    }
    let draft = Draft { rec: tablet.new_record_id(), sv: version(form), kind, edits };
    tablet.author(&draft).await?;
    say(draft.rec);
    Ok(())
}

pub(super) async fn set(tablet: &mut Tablet, record: &str, path: &str, typed: &str) -> Result<()> {
    let rec = find(tablet, record)?;
    let (kind, _) = shown(tablet, rec)?;
    let edits = answers(tablet.forms().get(&kind), path, typed)?;
    author(tablet, rec, kind, edits).await?;
    say(format_args!("{path} is saved on this tablet."));
    Ok(())
}

pub(super) async fn add_row(
    tablet: &mut Tablet,
    record: &str,
    list: &str,
    row: Option<String>,
    cells: &[String],
) -> Result<()> {
    let rec = find(tablet, record)?;
    let (kind, record) = shown(tablet, rec)?;
    let form = tablet.forms().get(&kind);
    let row = row.unwrap_or_else(|| uuid::Uuid::from_u128(OsChance.bits()).to_string());
    let at = RowPath { field: list.to_owned(), row: row.clone() };
    let ordered = value::field(form, list, None).is_none_or(|field| field.kind == Kind::Rows);
    let pos = ordered.then(|| position_after(&record, list));
    let mut edits = vec![Edit::Add { at: at.clone(), pos, value: None }];
    for text in cells {
        let (cell, typed) = value::pair(text)?;
        let kind = value::field(form, list, Some(cell)).map(|field| field.kind);
        edits.push(Edit::Set(Path::Cell(at.clone(), cell.to_owned()), value::read(kind, typed)?));
    }
    author(tablet, rec, kind, edits).await?;
    say(row);
    Ok(())
}

pub(super) async fn rem_row(
    tablet: &mut Tablet,
    record: &str,
    list: &str,
    row: &str,
    why: Option<String>,
) -> Result<()> {
    let rec = find(tablet, record)?;
    let (kind, _) = shown(tablet, rec)?;
    let at = RowPath { field: list.to_owned(), row: row.to_owned() };
    author(tablet, rec, kind, vec![Edit::Rem { at, why }]).await?;
    say(format_args!("{list}/{row} is removed on this tablet."));
    Ok(())
}

pub(super) async fn delete(tablet: &mut Tablet, record: &str, why: Option<String>) -> Result<()> {
    let rec = find(tablet, record)?;
    let (kind, _) = shown(tablet, rec)?;
    author(tablet, rec, kind, vec![Edit::Del { why }]).await?;
    say(format_args!("{rec} is deleted on this tablet; `undelete` takes it back."));
    Ok(())
}

pub(super) async fn undelete(tablet: &mut Tablet, record: &str) -> Result<()> {
    let rec = find(tablet, record)?;
    let (kind, _) = shown(tablet, rec)?;
    author(tablet, rec, kind, vec![Edit::Undel]).await?;
    say(format_args!("{rec} is there again on this tablet."));
    Ok(())
}

async fn author(
    tablet: &mut Tablet,
    rec: RecordId,
    kind: RecordType,
    edits: Vec<Edit>,
) -> Result<()> {
    let sv = version(tablet.forms().get(&kind));
    tablet.author(&Draft { rec, kind, sv, edits }).await?;
    Ok(())
}

fn version(form: Option<&Form>) -> u32 {
    form.map_or(SV_UNKNOWN, |form| form.version)
}

fn shown(tablet: &Tablet, rec: RecordId) -> Result<(RecordType, Record)> {
    let record = tablet.replica().displayed(rec);
    let record =
        record.ok_or_else(|| TabletError::Asked(format!("{rec} is not on this tablet")))?;
    Ok((record.kind.clone(), record))
}

/// The edits that answer a field: one value, or the elements of a set of codes or references.
fn answers(form: Option<&Form>, path: &str, typed: &str) -> Result<Vec<Edit>> {
    let parsed = Path::parse(path).ok_or_else(|| anyhow!("{path:?} is not a path"))?;
    let kind = value::field(form, parsed.field(), parsed.cell()).map(|field| field.kind);
    match (&parsed, kind) {
        (Path::Field(list), Some(Kind::MultiChoice | Kind::Refs)) => {
            let codes = typed.split(',').map(str::trim).filter(|code| !code.is_empty());
            let add = |code: &str| {
                let at = RowPath { field: list.clone(), row: code.to_owned() };
                Edit::Add { at, pos: None, value: None }
            };
            Ok(codes.map(add).collect())
        }
        (Path::Field(list), Some(Kind::Rows | Kind::Signature)) => {
            Err(anyhow!("{list} is a list: use `add-row`"))
        }
        (Path::Field(list), Some(Kind::Photos)) => {
            Err(anyhow!("{list} takes photos: use `photo` or `video`"))
        }
        _ => Ok(vec![Edit::Set(parsed, value::read(kind, typed)?)]),
    }
}

/// A position behind every row of a list.
fn position_after(record: &Record, list: &str) -> String {
    let rows = record.lists.get(list).into_iter().flat_map(|rows| rows.values());
    let greatest = rows.flat_map(|row| row.positions.values()).max();
    let Some(greatest) = greatest else { return "a0".to_owned() };
    let (head, tail) = greatest.split_at(greatest.len() - 1);
    match tail.bytes().next() {
        Some(digit @ (b'0'..=b'8' | b'A'..=b'Y' | b'a'..=b'y')) => {
            format!("{head}{}", char::from(digit + 1))
        }
        Some(b'9') => format!("{head}A"),
        Some(b'Z') => format!("{head}a"),
        Some(_) | None => format!("{greatest}1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use sync_protocol::id::{ChangeId, Dot};
    use sync_protocol::record::Row;

    #[test]
    fn a_new_row_stands_behind_all_others() {
        let mut record = Record::new("fire_inspection".parse().unwrap());
        let mut last = String::new();
        for number in 0..300_u16 {
            let pos = position_after(&record, "findings");
            assert!(pos > last, "{pos} after {last}");
            assert!(pos.len() <= 256);
            last.clone_from(&pos);
            let dot = Dot::put(ChangeId(uuid::Uuid::from_u128(u128::from(number))), number);
            let row = Row { positions: BTreeMap::from([(dot, pos)]), ..Row::default() };
            record.lists.entry("findings".to_owned()).or_default().insert(number.to_string(), row);
        }
    }
}
