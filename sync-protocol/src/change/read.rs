//! Reading a frozen text: every way in which it can be wrong has its own sentence.

use super::{
    CHANGE_BYTES_MAX, Change, Code, DOTS_MAX, Home, OPS_MAX, Op, POSITION_CHARS_MAX, Path, Refusal,
    RowPath, WHY_BYTES_MAX,
};
use crate::clock::UnixMillis;
use crate::id::{self, Dot, Seq};
use crate::value;
use serde_json::{Map, Value};
use std::str::FromStr;

type Object = Map<String, Value>;

fn bad(why: impl Into<String>) -> Refusal {
    Refusal { code: Code::BadOp, why: why.into() }
}

fn too_big(why: impl Into<String>) -> Refusal {
    Refusal { code: Code::TooBig, why: why.into() }
}

/// The longest name of a run of the monotonic clock, in bytes.
const BOOT_BYTES_MAX: usize = 64;

pub(super) fn change(text: &str) -> Result<Change, Refusal> {
    if text.len() > CHANGE_BYTES_MAX {
        return Err(too_big(format!(
            "the change has {} bytes, over {CHANGE_BYTES_MAX}",
            text.len()
        )));
    }
    let value = value::parse_strict(text).map_err(|e| bad(e.to_string()))?;
    let object = value.as_object().ok_or_else(|| bad("a change is an object"))?;
    let ops =
        object.get("ops").and_then(Value::as_array).ok_or_else(|| bad("`ops` is an array"))?;
    if ops.is_empty() {
        return Err(bad("`ops` is empty"));
    }
    if ops.len() > OPS_MAX {
        return Err(too_big(format!("{} ops, over {OPS_MAX}", ops.len())));
    }
    let ops =
        ops.iter().enumerate().map(|(i, op)| read_op(i, op)).collect::<Result<Vec<_>, _>>()?;
    let named: usize = ops.iter().map(|op| op.named().count()).sum();
    if named > DOTS_MAX {
        return Err(too_big(format!("{named} dots are named, over {DOTS_MAX}")));
    }
    Ok(Change {
        id: parsed(object, "id")?,
        rec: parsed(object, "rec")?,
        kind: parsed(object, "type")?,
        sv: integer(object, "sv")?
            .and_then(|sv| u32::try_from(sv).ok())
            .ok_or_else(|| bad("`sv` is a form version"))?,
        at: UnixMillis::parse(text_of(object, "at")?)
            .ok_or_else(|| bad("`at` is an instant, YYYY-MM-DDTHH:MM:SS.mmmZ"))?,
        mono: integer(object, "mono")?,
        boot: optional_text(object, "boot", BOOT_BYTES_MAX)?,
        by: parsed(object, "by")?,
        ss: parsed_list(object, "ss")?,
        ops,
    })
}

fn read_op(index: usize, value: &Value) -> Result<Op, Refusal> {
    let object = value.as_object().ok_or_else(|| bad(format!("op {index} is not an object")))?;
    let op = op_of(object)
        .map_err(|refusal| Refusal { why: format!("op {index}: {}", refusal.why), ..refusal })?;
    if matches!(op, Op::New { .. }) && index > 0 {
        return Err(bad(format!("op {index}: `new` is op 0 or nothing")));
    }
    Ok(op)
}

fn op_of(op: &Object) -> Result<Op, Refusal> {
    Ok(match text_of(op, "o")? {
        "new" => Op::New { home: home(op)? },
        "set" => {
            let path = Path::parse(text_of(op, "f")?).ok_or_else(|| bad("`f` is not a path"))?;
            let px = match &path {
                Path::Cell(..) => row_dots(op, "px")?,
                Path::Field(_) if op.contains_key("px") => {
                    return Err(bad("`px` goes with a cell"));
                }
                Path::Field(_) => Vec::new(),
            };
            Op::Set { path, value: member(op, "v")?.clone(), x: bare_dots(op, "x")?, px }
        }
        "add" => Op::Add {
            at: row(op)?,
            pos: optional_position(op)?,
            value: op.get("v").cloned(),
            x: bare_dots(op, "x")?,
            px: row_dots(op, "px")?,
        },
        "rem" => Op::Rem { at: row(op)?, x: row_dots(op, "x")?, why: why(op)? },
        "pos" => Op::Pos {
            at: row(op)?,
            pos: optional_position(op)?.ok_or_else(|| bad("`pos` is missing"))?,
            x: bare_dots(op, "x")?,
            px: row_dots(op, "px")?,
        },
        "del" => Op::Del { seen: parsed_list(op, "seen")?, why: why(op)? },
        "undel" => Op::Undel { x: bare_dots(op, "x")? },
        "place" => Op::Place { buckets: parsed_list(op, "in")?, x: bare_dots(op, "x")? },
        "seal" => Op::Seal {
            rv: Seq(integer(op, "rv")?.ok_or_else(|| bad("`rv` is missing"))?),
            covers: parsed_list(op, "covers")?,
            view_hash: text_of(op, "view_hash")?.to_owned(),
            x: bare_dots(op, "x")?,
        },
        "unseal" => Op::Unseal { x: bare_dots(op, "x")?, why: required_why(op)? },
        "accept" => Op::Accept { change: parsed(op, "change")?, x: bare_dots(op, "x")? },
        "aside" => Op::Aside {
            change: parsed(op, "change")?,
            x: bare_dots(op, "x")?,
            why: required_why(op)?,
        },
        other => {
            return Err(bad(format!(
                "unknown op {:?}",
                other.chars().take(32).collect::<String>()
            )));
        }
    })
}

fn home(op: &Object) -> Result<Home, Refusal> {
    match (op.contains_key("in"), op.contains_key("about")) {
        (true, false) => Ok(Home::In(parsed(op, "in")?)),
        (false, true) => Ok(Home::About(parsed(op, "about")?)),
        _ => Err(bad("`new` names a bucket in `in`, or a subject in `about`")),
    }
}

fn row(op: &Object) -> Result<RowPath, Refusal> {
    let field = text_of(op, "f")?;
    let row = text_of(op, "e")?;
    if !super::is_dotted(field) {
        return Err(bad("`f` is not a field"));
    }
    if !id::is_segment(row) {
        return Err(bad("`e` is not the id of an element"));
    }
    Ok(RowPath { field: field.to_owned(), row: row.to_owned() })
}

fn optional_position(op: &Object) -> Result<Option<String>, Refusal> {
    let pos = optional_text(op, "pos", POSITION_CHARS_MAX)?;
    if pos
        .as_deref()
        .is_some_and(|pos| pos.is_empty() || !pos.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        return Err(bad("`pos` is 1 to 256 of A-Z a-z 0-9"));
    }
    Ok(pos)
}

fn why(op: &Object) -> Result<Option<String>, Refusal> {
    optional_text(op, "why", WHY_BYTES_MAX)
}

fn required_why(op: &Object) -> Result<String, Refusal> {
    why(op)?.filter(|why| !why.trim().is_empty()).ok_or_else(|| bad("`why` is missing"))
}

fn bare_dots(op: &Object, name: &str) -> Result<Vec<Dot>, Refusal> {
    let dots: Vec<Dot> = parsed_list(op, name)?;
    if dots.iter().any(|dot| dot.presence) {
        return Err(bad(format!("`{name}` of this op lists no presence dots")));
    }
    Ok(dots)
}

/// Presence dots, and the bare dots of earlier removals.
fn row_dots(op: &Object, name: &str) -> Result<Vec<Dot>, Refusal> {
    parsed_list(op, name)
}

fn member<'a>(object: &'a Object, name: &str) -> Result<&'a Value, Refusal> {
    object.get(name).ok_or_else(|| bad(format!("`{name}` is missing")))
}

fn text_of<'a>(object: &'a Object, name: &str) -> Result<&'a str, Refusal> {
    member(object, name)?.as_str().ok_or_else(|| bad(format!("`{name}` is a string")))
}

fn optional_text(object: &Object, name: &str, bytes_max: usize) -> Result<Option<String>, Refusal> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= bytes_max => Ok(Some(text.clone())),
        Some(_) => Err(bad(format!("`{name}` is a string of at most {bytes_max} bytes"))),
    }
}

fn integer(object: &Object, name: &str) -> Result<Option<i64>, Refusal> {
    match object.get(name) {
        None => Ok(None),
        Some(value) => {
            value.as_i64().map(Some).ok_or_else(|| bad(format!("`{name}` is an integer")))
        }
    }
}

fn parsed<T: FromStr<Err = id::NotAnId>>(object: &Object, name: &str) -> Result<T, Refusal> {
    text_of(object, name)?.parse().map_err(|e| bad(format!("`{name}` is {e}")))
}

fn parsed_list<T: FromStr<Err = id::NotAnId>>(
    object: &Object,
    name: &str,
) -> Result<Vec<T>, Refusal> {
    let Some(value) = object.get(name) else { return Ok(Vec::new()) };
    let items = value.as_array().ok_or_else(|| bad(format!("`{name}` is an array")))?;
    if items.len() > LIST_MAX {
        return Err(too_big(format!("`{name}` lists {} ids, over {LIST_MAX}", items.len())));
    }
    items
        .iter()
        .map(|item| {
            let text = item.as_str().ok_or_else(|| bad(format!("`{name}` lists strings")))?;
            text.parse().map_err(|e| bad(format!("`{name}` lists what is {e}")))
        })
        .collect()
}

/// The most ids in one list of a change; the 256 KiB of a text bound it anyway.
const LIST_MAX: usize = 8_000;
