//! Why a text is not what a call takes: the way to the member and what is wrong with it, never what it holds.

use serde::Deserialize;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};
use sync_protocol::id::is_segment;

/// Tells why `text` is not a `T`, as in `` `push.from` is missing ``; `None` when it is one.
///
/// Names of members are told when they are plain words; every other name is told as `…`.
pub(crate) fn misread<'de, T: Deserialize<'de>>(text: &'de str) -> Option<String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Ok(_) => reader.end().err().map(|error| not_json(&error)),
        Err(error) => Some(match error.inner().classify() {
            Category::Data => told(error.path(), error.inner()),
            Category::Io | Category::Syntax | Category::Eof => not_json(error.inner()),
        }),
    }
}

/// What is wrong with a text that is no JSON of our bounds.
pub(super) fn not_json(error: &serde_json::Error) -> String {
    let what = error.to_string();
    let kind = if what.contains("named twice") {
        "a member is named twice"
    } else if what.contains("nested too deeply") || what.contains("recursion limit") {
        "nested too deeply"
    } else {
        "not JSON"
    };
    placed(kind, error)
}

fn told(path: &Path, error: &serde_json::Error) -> String {
    let way = way(path);
    let what = error.to_string();
    // The words are serde's; the name stands between the first two backticks.
    let named = |begin: &str| what.strip_prefix(begin)?.split('`').next();
    let kind = if let Some(name) = named("missing field `") {
        format!("`{}` is missing", beside(&way, name))
    } else if let Some(name) = named("unknown field `") {
        format!("`{}` is not known to this call", beside(&way, name))
    } else if let Some(name) = named("duplicate field `") {
        format!("`{}` is named twice", beside(&way, name))
    } else if way.is_empty() {
        "the body is not of its form".to_owned()
    } else {
        format!("`{}` is not of its form", way.concat())
    };
    placed(&kind, error)
}

fn placed(kind: &str, error: &serde_json::Error) -> String {
    format!("{kind}, at line {} column {}", error.line(), error.column())
}

/// The steps to the member; joined they read as `push.changes[3]`.
fn way(path: &Path) -> Vec<String> {
    let mut way: Vec<String> = Vec::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => way.push(format!("[{index}]")),
            Segment::Map { key } => way.push(step(way.is_empty(), key)),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    way
}

fn step(first: bool, name: &str) -> String {
    let name = if is_segment(name) { name } else { "…" };
    if first { name.to_owned() } else { format!(".{name}") }
}

/// The way to the member `name`: what was tracked ends with it or with what holds it.
fn beside(way: &[String], name: &str) -> String {
    let last = step(way.len() <= 1, name);
    if way.last() == Some(&last) {
        return way.concat();
    }
    way.concat() + &step(way.is_empty(), name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use sync_protocol::wire::SyncRequest;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        #[serde(rename = "name")]
        _name: String,
        #[serde(rename = "rows", default)]
        _rows: Vec<Self>,
    }

    #[test]
    fn a_misread_text_is_told_by_the_way_to_its_fault() {
        for (text, expected) in [
            ("{}", "`name` is missing"),
            (r#"{"name":7}"#, "`name` is not of its form"),
            (r#"{"name":"a","more":"secret"}"#, "`more` is not known to this call"),
            (r#"{"name":"a","name":"secret"}"#, "`name` is named twice"),
            (r#"{"name":"a","rows":[{"name":"b"},{}]}"#, "`rows[1].name` is missing"),
            (r#"{"name":"a","rows":[{"name":"b","name":"b"}]}"#, "`rows[0].name` is named twice"),
            (r#"{"name":"a","rows":{"secret":1}}"#, "`rows` is not of its form"),
            (r#"{"name":"a","rows":[{"name":"a","name":{}}]}"#, "`rows[0].name` is named twice"),
            (r#"{"name":"a","rows":["secret"]}"#, "`rows[0]` is not of its form"),
            (r#"{"name":"a","a secret":1}"#, "`…` is not known to this call"),
            (r#""secret""#, "the body is not of its form"),
            ("secret", "not JSON"),
            (r#"{"name":"a"} {}"#, "not JSON"),
            ("", "not JSON"),
        ] {
            let told = misread::<Form>(text).expect(text);
            assert!(told.starts_with(&format!("{expected}, at line 1 column ")), "{text}: {told}");
            assert!(!told.contains("secret"), "{text}: {told}");
        }
        assert_eq!(misread::<Form>(r#"{"name":"a"}"#), None);
    }

    #[test]
    fn an_envelope_keeps_its_raw_changes_while_its_fault_is_looked_for() {
        let mut envelope = json!({
            "v": 1, "replica": "01990000-0000-7000-8000-000000000001", "lease": null, "epoch": null, "cursor": null,
            "attempt": "01990000-0000-7000-8000-000000000002", "push": { "from": 1, "changes": [{ "any": [1] }, 7] },
            "clock": { "now": "2026-11-22T14:03:11.201Z", "mono": 1, "boot": "b" },
        });
        assert_eq!(misread::<SyncRequest<'_>>(&envelope.to_string()), None);
        envelope["purged"] = json!([{ "bucket": "a:b", "at": 1 }, { "bucket": "a:b" }]);
        let told = misread::<SyncRequest<'_>>(&envelope.to_string()).expect("a fault");
        assert!(told.starts_with("`purged[1].at` is missing, "), "{told}");
    }
}
