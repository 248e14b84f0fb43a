//! Values as changes carry them, read strictly, and the one canonical way of writing them.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// How deep objects and arrays may nest.
pub const DEPTH_MAX: usize = 32;
/// The largest integer, and the smallest negated: 2^53 − 1, what every JSON reader keeps exactly.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// The SHA-256 of a frozen text.
pub type Hash = [u8; 32];

/// The SHA-256 of `bytes`.
pub fn hash_of(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// Writes a hash as `sha256:` and 64 hexadecimal digits.
pub fn hash_text(hash: &Hash) -> String {
    let mut text = String::with_capacity(71);
    text.push_str("sha256:");
    for byte in hash {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

/// Why a text is not a value that the protocol takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(pub String);

/// Reads JSON strictly: unique member names, integers within ±(2^53 − 1), no other numbers, no U+0000, depth ≤ 32.
pub fn parse_strict(text: &str) -> Result<Value, BadValue> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value =
        Strict { depth: 0 }.deserialize(&mut reader).map_err(|e| BadValue(e.to_string()))?;
    reader.end().map_err(|e| BadValue(e.to_string()))?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

fn without_nul<E: serde::de::Error>(text: String) -> Result<String, E> {
    if text.contains('\0') { Err(E::custom("a string holds U+0000")) } else { Ok(text) }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }
    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Value, E> {
        if number < -INTEGER_MAX {
            return Err(E::custom("an integer is below −(2^53 − 1)"));
        }
        Ok(Value::from(number))
    }
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        if number > INTEGER_MAX.unsigned_abs() {
            return Err(E::custom("an integer is above 2^53 − 1"));
        }
        Ok(Value::from(number))
    }
    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Value, E> {
        Err(E::custom("a number is not an integer: a decimal is a string"))
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        without_nul(text.to_owned()).map(Value::String)
    }
    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        without_nul(text).map(Value::String)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let name = without_nul(name)?;
            let value = members.next_value_seed(inner)?;
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the member {name:?} stands twice")));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

/// Writes a value as RFC 8785 has it: no spaces, members sorted by their UTF-16 code units.
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (i, (name, member)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(member, out);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for (text, why) in [
            (r#"{"a":1,"a":2}"#, "twice"),
            (r#"{"a":{"b":1,"b":1}}"#, "twice"),
            ("1.5", "not an integer"),
            ("1e3", "not an integer"),
            ("9007199254740992", "above"),
            ("-9007199254740992", "below"),
            (r#""\u0000""#, "U+0000"),
            (r#""\ud800""#, "hex escape"),
            ("[1", "EOF"),
            ("1 2", "trailing"),
        ] {
            let refused = parse_strict(text).unwrap_err().to_string();
            assert!(refused.contains(why), "{text}: {refused}");
        }
        for taken in ["9007199254740991", "-9007199254740991", r#"{"a":[null,true,"日本"]}"#] {
            parse_strict(taken).unwrap();
        }
    }

    #[test]
    fn depth_is_bounded_on_both_sides() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        parse_strict(&nested(DEPTH_MAX)).unwrap();
        assert!(parse_strict(&nested(DEPTH_MAX + 1)).is_err());
    }

    #[test]
    fn canonical_members_are_sorted_by_utf16() {
        let value: Value =
            serde_json::from_str("{\"\u{ff61}\":1,\"\u{1f600}\":2,\"a\":[1, \"\\n\"]}").unwrap();
        assert_eq!(canonical(&value), "{\"a\":[1,\"\\n\"],\"\u{1f600}\":2,\"\u{ff61}\":1}");
    }
}
