//! Conditions over shown values, seen through a rule that fires when its condition is true.

use crate::{TestResult, answers::Answers};
use proptest::prelude::*;
use serde_json::{Value, json};
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::Form;

/// 2026-11-22T14:00:00.000Z: eleven in the evening of the same day in Japan.
const AT: &str = "2026-11-22T14:00:00.000Z";

fn form(when: &Value, list: Option<&str>) -> TestResult<Form> {
    let field = |path: &str, kind: &str| json!({"path": path, "section": "A", "kind": kind, "ja": "欄", "en": "Field"});
    let form = json!({
        "type": "trial", "version": 1, "ja": "試行", "en": "Trial", "home": {"bucket": ["station"]}, "write": [],
        "sections": [{"code": "A", "ja": "甲", "en": "First"}],
        "rules": [{"code": "fires", "path": "t", "level": "submit", "ja": "真", "en": "True", "when": when}],
        "fields": [field("t", "text"), field("n", "number"), field("m", "number"), field("day", "date"),
            field("from", "datetime"), field("to", "datetime"), field("yes", "flag"),
            {"path": "uses", "section": "A", "kind": "multi_choice", "ja": "用途", "en": "Uses", "choices": [
                {"code": "04", "ja": "店", "en": "Shop"}, {"code": "15", "ja": "他", "en": "Other"}]},
            {"path": "rows", "section": "A", "kind": "rows", "ja": "行", "en": "Rows", "cells": [
                {"path": "n", "kind": "number", "ja": "数", "en": "Number"}, {"path": "t", "kind": "text", "ja": "字", "en": "Text"}]}]});
    let in_list = list.map_or(String::new(), |list| format!("\"list\":\"{list}\","));
    let text = form.to_string().replacen(
        "\"code\":\"fires\",",
        &format!("\"code\":\"fires\",{in_list}"),
        1,
    );
    Ok(Form::parse(&text)?)
}

fn fires(when: &Value, answers: &Value) -> TestResult<bool> {
    let at = UnixMillis::parse(AT).ok_or("an instant")?;
    let found = form(when, None)?.problems(&Answers::of(answers), at);
    Ok(found.iter().any(|problem| problem.code == "fires"))
}

#[test]
fn each_word_means_what_it_says() -> TestResult {
    let (yes, no) = (json!({"eq": ["t", "a"]}), json!({"eq": ["t", "b"]}));
    let a = json!({"t": "a"});
    let cases = [
        (json!({"all": [yes, yes]}), &a, true),
        (json!({"all": [yes, no]}), &a, false),
        (json!({"all": []}), &a, true),
        (json!({"any": [no, yes]}), &a, true),
        (json!({"any": [no, no]}), &a, false),
        (json!({"any": []}), &a, false),
        (json!({"not": no}), &a, true),
        (json!({"not": yes}), &a, false),
        (json!({"eq": ["t", "a"]}), &json!({}), false),
        (json!({"in": ["t", ["b", "a"]]}), &a, true),
        (json!({"in": ["t", ["b"]]}), &a, false),
        (json!({"in": ["t", []]}), &a, false),
        (json!({"eq": ["uses", "04"]}), &json!({"uses/04": null, "uses/15": null}), true),
        (json!({"eq": ["uses", "04"]}), &json!({"uses/15": null}), false),
        (json!({"in": ["uses", ["04", "15"]]}), &json!({"uses/15": null}), true),
        (json!({"eq": ["yes", true]}), &json!({"yes": true}), true),
        (json!({"eq": ["yes", false]}), &json!({}), false),
        (json!({"present": "t"}), &a, true),
        (json!({"present": "t"}), &json!({}), false),
        (json!({"present": "t"}), &json!({"t": null}), false),
        (json!({"present": "t"}), &json!({"t": "　"}), false),
        (json!({"present": "yes"}), &json!({"yes": false}), true),
        (json!({"present": "rows"}), &json!({"rows/r1/t": ""}), true),
        (json!({"present": "rows"}), &json!({}), false),
        (json!({"present": "uses"}), &json!({"uses/04": null}), true),
    ];
    for (when, answers, expected) in cases {
        assert_eq!(fires(&when, answers)?, expected, "{when} over {answers}");
    }
    Ok(())
}

#[test]
fn what_is_compared_is_compared_by_its_own_order() -> TestResult {
    let lt = |a: &str, b: &str| json!({"lt": [a, b]});
    let le = |a: &str, b: &str| json!({"le": [a, b]});
    let cases = [
        (lt("n", "m"), json!({"n": 9, "m": 10}), true),
        (lt("n", "m"), json!({"n": "9.9", "m": "10"}), true),
        (lt("n", "m"), json!({"n": 10, "m": "10.0"}), false),
        (le("n", "m"), json!({"n": 10, "m": "10.0"}), true),
        (le("n", "m"), json!({"n": "10.1", "m": 10}), false),
        (lt("n", "m"), json!({"n": 9}), false),
        (le("n", "m"), json!({}), false),
        (lt("n", "m"), json!({"n": "nine", "m": 10}), false),
        (lt("n", "day"), json!({"n": 9, "day": "2026-11-22"}), false),
        (
            lt("from", "to"),
            json!({"from": "2026-11-22T14:00:00.000Z", "to": "2026-11-22T14:00:00.001Z"}),
            true,
        ),
        (
            lt("from", "to"),
            json!({"from": "2026-11-22T14:00:00.000Z", "to": "2026-11-22T14:00:00.000Z"}),
            false,
        ),
        (
            lt("from", "to"),
            json!({"from": "2026-11-22T14:00:00Z", "to": "2026-11-22T15:00:00.000Z"}),
            false,
        ),
        // 15:00 UTC is midnight in Japan
        (
            lt("day", "from"),
            json!({"day": "2026-11-22", "from": "2026-11-22T14:59:59.999Z"}),
            false,
        ),
        (lt("day", "from"), json!({"day": "2026-11-22", "from": "2026-11-22T15:00:00.000Z"}), true),
        (json!({"lt": ["day", {"value": "2026-11-23"}]}), json!({"day": "2026-11-22"}), true),
        (json!({"lt": ["n", 3]}), json!({"n": 2}), true),
        (json!({"lt": [{"value": "2.5"}, "n"]}), json!({"n": 3}), true),
        (json!({"lt": [{"now": 15}, "to"]}), json!({"to": "2026-11-22T14:15:00.000Z"}), false),
        (json!({"lt": [{"now": 15}, "to"]}), json!({"to": "2026-11-22T14:15:00.001Z"}), true),
        (json!({"lt": ["day", {"now": 0}]}), json!({"day": "2026-11-21"}), true),
        (json!({"lt": ["day", {"now": 0}]}), json!({"day": "2026-11-22"}), false),
        (
            json!({"lt": [{"sum": ["rows", "n"]}, 4]}),
            json!({"rows/a/n": 1, "rows/b/n": "2.9", "rows/c/t": "x"}),
            true,
        ),
        (json!({"lt": [{"sum": ["rows", "n"]}, 4]}), json!({"rows/a/n": 1, "rows/b/n": 3}), false),
        (json!({"le": [{"sum": ["rows", "n"]}, 0]}), json!({}), true),
    ];
    for (when, answers, expected) in cases {
        assert_eq!(fires(&when, &answers)?, expected, "{when} over {answers}");
    }
    Ok(())
}

#[test]
fn a_rule_over_a_list_looks_at_each_row() -> TestResult {
    let when =
        json!({"all": [{"eq": ["t", "x"]}, {"lt": ["n", "../m"]}, {"eq": ["../uses", "04"]}]});
    let answers = Answers::of(&json!({"m": 5, "uses/04": null, "rows/a/t": "x", "rows/a/n": 4,
        "rows/b/t": "x", "rows/b/n": 5, "rows/c/t": "y", "rows/c/n": 1, "t": "x", "n": 9}));
    let found = form(&when, Some("rows"))?.problems(&answers, UnixMillis(0));
    let paths: Vec<&str> =
        found.iter().filter(|p| p.code == "fires").map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["rows/a/t"]);
    Ok(())
}

proptest! {
    #[test]
    fn numbers_are_ordered_as_numbers(a in -9999i64..9999, b in -9999i64..9999, places in 0..3u32) {
        let text = |n: i64| {
            let unit = 10_i64.pow(places);
            let sign = if n < 0 { "-" } else { "" };
            let (whole, rest) = (n.abs() / unit, n.abs() % unit);
            if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest:0width$}", width = places as usize) }
        };
        let answers = json!({"n": text(a), "m": text(b)});
        let fired = fires(&json!({"lt": ["n", "m"]}), &answers).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(fired, a < b);
        let fired = fires(&json!({"le": ["n", "m"]}), &answers).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(fired, a <= b);
    }
}
