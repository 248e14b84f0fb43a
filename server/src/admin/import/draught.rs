//! The ops by which a record comes to say what a row says: what differs, and nothing else.

use super::row::{Row, record_id};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use sync_protocol::change::{Home, Op, Path, RowPath};
use sync_protocol::id::{ChangeId, Dot, Tenant};
use sync_protocol::record::{Record, Register};

/// A value that stands for the id of a record.
const REFERENCE: &str = "ref:";

/// A row and the record that it is about.
#[derive(Debug)]
pub(super) struct Draught<'a> {
    pub(super) tenant: &'a Tenant,
    /// The id of the change in the making.
    pub(super) id: ChangeId,
    /// The record, if it is there.
    pub(super) record: Option<&'a Record>,
    /// Where it begins, if the row says so.
    pub(super) home: Option<Home>,
    pub(super) row: &'a Row,
}

/// Makes the ops; none when the record says it already.
pub(super) fn draught(from: &Draught<'_>) -> Result<Vec<Op>, String> {
    let mut ops = Vec::new();
    match (from.record, &from.home) {
        (None, None) => return Err("it is not there and does not say where it lies".to_owned()),
        (None, Some(home)) => ops.push(Op::New { home: home.clone() }),
        (Some(_), _) => {}
    }
    for (path, value) in &from.row.fields {
        let at = Path::parse(path).filter(|path| path.cell().is_none());
        let at = at.ok_or_else(|| format!("{path} is not a field"))?;
        let register = from.record.and_then(|record| record.fields.get(path));
        let value = resolved(from.tenant, value);
        if let Some(x) = replaced(register, &value) {
            ops.push(Op::Set { path: at, value, x, px: Vec::new() });
        }
    }
    for (list, rows) in &from.row.rows {
        let rows = rows.as_array().ok_or_else(|| format!("{list} is not a list of rows"))?;
        for row in rows {
            element(from, list, row, &mut ops)?;
        }
    }
    Ok(ops)
}

/// The dots that a value replaces; `None` when the register says just that.
fn replaced(register: Option<&Register>, value: &Value) -> Option<Vec<Dot>> {
    let live = register.map(|register| &register.live);
    let dots: Vec<Dot> = live.into_iter().flatten().map(|(dot, _)| *dot).collect();
    let mut values = live.into_iter().flatten().map(|(_, sibling)| &sibling.value);
    let same = !dots.is_empty() && values.all(|live| live == value);
    (!same).then_some(dots)
}

/// Adds an element, or sets the cells of one that is there.
fn element(from: &Draught<'_>, list: &str, said: &Value, ops: &mut Vec<Op>) -> Result<(), String> {
    let none = Map::new();
    let (id, cells) = match said {
        Value::String(id) => (resolved_text(from.tenant, id), &none),
        Value::Object(cells) => {
            let id = cells.get("id").and_then(Value::as_str);
            (id.ok_or_else(|| format!("a row of {list} has no id"))?.to_owned(), cells)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            return Err(format!("an element of {list} is neither an id nor a row"));
        }
    };
    let known = from.record.and_then(|record| record.lists.get(list)?.get(&id));
    let known = known.filter(|row| !row.presences.is_empty());
    let at = RowPath { field: list.to_owned(), row: id };
    let mut presences: Vec<Dot> =
        known.map(|row| row.presences.iter().copied().collect()).unwrap_or_default();
    if known.is_none() {
        presences = vec![presence(from.id, ops.len())?];
        let value = cells.get("v").cloned();
        ops.push(Op::Add { at: at.clone(), pos: None, value, x: Vec::new(), px: Vec::new() });
    }
    let values: BTreeMap<&String, &Value> =
        cells.iter().filter(|(name, _)| !matches!(name.as_str(), "id" | "v")).collect();
    for (cell, value) in values {
        let path = Path::parse(&format!("{at}/{cell}"));
        let path = path.ok_or_else(|| format!("{at}/{cell} is not a cell"))?;
        let value = resolved(from.tenant, value);
        let Some(x) = replaced(known.and_then(|row| row.cells.get(cell)), &value) else { continue };
        let next = presence(from.id, ops.len())?;
        let px = std::mem::replace(&mut presences, vec![next]);
        ops.push(Op::Set { path, value, x, px });
    }
    Ok(())
}

fn presence(id: ChangeId, op: usize) -> Result<Dot, String> {
    let op = u16::try_from(op).map_err(|_| "it says too much at once".to_owned())?;
    Ok(Dot::presence(id, op))
}

fn resolved(tenant: &Tenant, value: &Value) -> Value {
    value.as_str().map_or_else(|| value.clone(), |text| Value::String(resolved_text(tenant, text)))
}

fn resolved_text(tenant: &Tenant, text: &str) -> String {
    match text.strip_prefix(REFERENCE) {
        Some(name) => record_id(tenant, name).to_string(),
        None => text.to_owned(),
    }
}
