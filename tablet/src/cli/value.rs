//! Reading values as people type them, by what the form says that the field takes.

use anyhow::{Result, anyhow};
use serde_json::Value;
use sync_protocol::form::{Field, Form, Kind};
use sync_protocol::value::parse_strict;

/// Reads `name=value`.
pub(super) fn pair(text: &str) -> Result<(&str, &str)> {
    text.split_once('=').ok_or_else(|| anyhow!("{text:?} is not path=value"))
}

/// What the form says of a field or of a cell.
pub(super) fn field<'a>(
    form: Option<&'a Form>,
    path: &str,
    cell: Option<&str>,
) -> Option<&'a Field> {
    let field = form?.field(path)?;
    match cell {
        None => Some(field),
        Some(cell) => field.cells.iter().find(|c| c.path == cell),
    }
}

/// Reads a value for a field of this kind; JSON for what has parts, text for everything unknown.
pub(super) fn read(kind: Option<Kind>, text: &str) -> Result<Value> {
    if text == "null" {
        return Ok(Value::Null);
    }
    match kind {
        Some(Kind::Number) => Ok(number(text)),
        Some(Kind::Flag) => match text {
            "true" | "yes" => Ok(Value::Bool(true)),
            "false" | "no" => Ok(Value::Bool(false)),
            _ => Err(anyhow!("{text:?} is neither yes nor no")),
        },
        Some(Kind::Location | Kind::Status | Kind::Photos | Kind::Signature) => {
            Ok(parse_strict(text)?)
        }
        Some(
            Kind::Text
            | Kind::Narrative
            | Kind::Date
            | Kind::Datetime
            | Kind::Choice
            | Kind::MultiChoice
            | Kind::Check
            | Kind::Rows
            | Kind::Ref
            | Kind::Refs
            | Kind::Derived
            | Kind::VideoUrl,
        )
        | None => Ok(Value::from(text)),
    }
}

/// An integer as a number, a decimal as text.
fn number(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_read_as_their_field_takes_them() {
        let cases = [
            (Some(Kind::Number), "12", json!(12)),
            (Some(Kind::Number), "12.50", json!("12.50")),
            (Some(Kind::Flag), "yes", json!(true)),
            (Some(Kind::Flag), "false", json!(false)),
            (Some(Kind::Text), "12", json!("12")),
            (Some(Kind::Choice), "bad", json!("bad")),
            (Some(Kind::Location), r#"{"lat":"35.0"}"#, json!({"lat": "35.0"})),
            (Some(Kind::Text), "null", Value::Null),
            (None, "x", json!("x")),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(read(kind, text).unwrap(), expected, "{kind:?} {text}");
        }
        assert!(read(Some(Kind::Flag), "perhaps").is_err());
        assert!(read(Some(Kind::Location), "{").is_err());
        assert!(pair("no equals sign").is_err());
    }
}
