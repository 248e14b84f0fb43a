//! Canonical text: one spelling for one value, and nothing that two readers could read differently.

use proptest::prelude::*;
use serde_json::{Map, Value};
use sync_protocol::value::{INTEGER_MAX, canonical, parse_strict};

fn value() -> impl Strategy<Value = Value> {
    let text = "[a-c\u{e9}\u{65e5}\u{ff61}\u{1f600}\"\\\\\n\t/\u{7f}\u{80}]{0,4}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-INTEGER_MAX..=INTEGER_MAX).prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text, inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The same value with the members of every object in the other order.
fn turned(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(turned).collect(),
        Value::Object(members) => Value::Object(
            members.iter().rev().map(|(name, member)| (name.clone(), turned(member))).collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

proptest! {
    #[test]
    fn canonical_text_is_read_back_and_has_one_spelling(value in value()) {
        let text = canonical(&value);
        prop_assert_eq!(parse_strict(&text).expect("it is strict"), value.clone());
        prop_assert_eq!(canonical(&parse_strict(&text).expect("it is strict")), text.clone());
        prop_assert_eq!(canonical(&turned(&value)), text);
    }

    #[test]
    fn reading_never_panics(text in ".{0,200}") {
        drop(parse_strict(&text));
    }

    #[test]
    fn what_is_taken_is_also_plain_json(text in r#"[\[\]{}:,"a0-9.eE+\\u ntruefalse-]{0,24}"#) {
        if let Ok(value) = parse_strict(&text) {
            prop_assert_eq!(serde_json::from_str::<Value>(&text).expect("plain JSON takes it"), value);
        }
    }
}
