//! A form that contradicts itself is refused, with the place and the reason.

use crate::TestResult;
use proptest::prelude::*;
use serde_json::{Value, json};
use sync_protocol::form::{FIELDS_MAX, Form, FormError, Why};

/// A small form that is whole.
fn sound() -> Value {
    json!({
        "type": "trial", "version": 1, "ja": "試行", "en": "Trial",
        "home": {"bucket": ["station"]}, "write": ["inspector"], "title": "name",
        "sections": [{"code": "A", "ja": "甲", "en": "First"}],
        "fields": [
            {"path": "name", "section": "A", "kind": "text", "ja": "名称", "en": "Name", "required": true},
            {"path": "kind", "section": "A", "kind": "choice", "ja": "区分", "en": "Kind", "choices": "kinds",
             "required": {"any": [{"present": "name"}, {"not": {"eq": ["checks.F01.result", "na"]}}]}},
            {"path": "count", "section": "A", "kind": "number", "ja": "数", "en": "Count", "min": 0, "max": "9.5"},
            {"path": "checks.F01", "section": "A", "kind": "check", "ja": "確認", "en": "Check", "weight": 3,
             "critical": true, "basis": "法8", "finding": "findings"},
            {"path": "findings", "section": "A", "kind": "rows", "ja": "指摘", "en": "Findings", "cells": [
                {"path": "text", "kind": "narrative", "ja": "内容", "en": "Text", "required": {"present": "points"}},
                {"path": "points", "kind": "number", "ja": "点", "en": "Points", "relevant": {"eq": ["../kind", "a"]}}]},
            {"path": "score", "section": "A", "kind": "derived", "ja": "評点", "en": "Score", "builtin": "weighted_score"},
            {"path": "status", "section": "A", "kind": "status", "ja": "状態", "en": "State"},
            {"path": "submit_requested", "section": "A", "kind": "flag", "ja": "依頼", "en": "Requested"},
            {"path": "video", "section": "A", "kind": "video_url", "ja": "動画", "en": "Video", "merge": "strict",
             "hosts": ["video.city.example", "*.stream.city.example"]}],
        "rules": [
            {"code": "too_many_points", "path": "count", "level": "submit", "ja": "多い", "en": "Too many",
             "when": {"lt": ["count", {"sum": ["findings", "points"]}]}},
            {"code": "late", "path": "points", "list": "findings", "level": "approve", "ja": "遅い", "en": "Late",
             "when": {"all": [{"le": ["points", {"value": "2.5"}]}, {"in": ["../kind", ["a", "b"]]}, {"lt": [1, {"now": 15}]}]}}],
        "statuses": {
            "initial": "open",
            "states": [{"code": "open", "ja": "開", "en": "Open", "rank": 0}, {"code": "done", "ja": "了", "en": "Done", "rank": 1}],
            "transitions": [{"from": ["open"], "to": "done", "offline": "request", "roles": ["inspector"], "why": true}]},
        "lists": {"kinds": [{"code": "a", "ja": "一", "en": "One"}, {"code": "b", "ja": "二", "en": "Two"}]}
    })
}

fn refusal(form: &Value) -> TestResult<FormError> {
    Ok(Form::parse(&form.to_string()).err().ok_or("the form was taken")?)
}

#[test]
fn a_sound_form_is_taken() -> TestResult {
    Form::parse(&sound().to_string())?;
    Ok(())
}

#[test]
fn what_is_not_json_is_refused() {
    for text in ["", "{", "{\"type\":\"a\",\"type\":\"b\"}", "{\"version\":1.5}"] {
        let refused = Form::parse(text);
        assert_eq!(refused, Err(FormError { at: "form".into(), why: Why::NotJson }), "{text}");
    }
}

/// Puts `value` at a JSON pointer of the sound form; `null` takes the member away.
fn spoiled(pointer: &str, value: &Value) -> TestResult<Value> {
    let mut form = sound();
    let (parent, name) = pointer.rsplit_once('/').ok_or("a pointer")?;
    let parent = form.pointer_mut(parent).ok_or("no such place")?;
    match parent {
        Value::Object(members) if value.is_null() => drop(members.remove(name)),
        Value::Object(members) => drop(members.insert(name.to_owned(), value.clone())),
        Value::Array(items) if name == "-" => items.push(value.clone()),
        Value::Array(items) => {
            let item = items.get_mut(name.parse::<usize>()?).ok_or("no such item")?;
            *item = value.clone();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err("nothing to put it in".into());
        }
    }
    Ok(form)
}

#[test]
fn every_contradiction_is_named_with_its_place() -> TestResult {
    for (pointer, value, expected) in contradictions() {
        let refused =
            refusal(&spoiled(pointer, &value)?).map_err(|e| format!("{pointer} {value}: {e}"))?;
        assert_eq!(refused.to_string(), expected, "{pointer} {value}");
    }
    Ok(())
}

/// What is put where, and the answer.
#[expect(clippy::too_many_lines, reason = "a table")]
fn contradictions() -> Vec<(&'static str, Value, &'static str)> {
    let null = Value::Null;
    vec![
        ("/type", null.clone(), "form: the member type is missing"),
        ("/type", json!("a b"), "type: a b is not a path of segments of A-Z a-z 0-9 _ -"),
        ("/version", json!(0), "version: not a positive integer"),
        ("/colour", json!("red"), "form: the member colour has no meaning here"),
        ("/en", json!(" "), "form: a label without text"),
        ("/ja", null.clone(), "form: the member ja is missing"),
        ("/write", null.clone(), "write: the member write is missing"),
        ("/write/0", json!("mayor"), "write[0]: mayor is no role"),
        ("/home", json!({"bucket": []}), "home: not a place"),
        ("/home", json!({"bucket": ["a"], "about": ["b"]}), "home: not either about or bucket"),
        ("/title", json!("subject"), "title: the form has no field subject"),
        ("/merged_view", json!("no"), "merged_view: not true or false"),
        (
            "/sections/-",
            json!({"code": "A", "ja": "乙", "en": "Twice"}),
            "sections: A stands twice",
        ),
        ("/fields/0/section", json!("B"), "fields[0].section: B is no section"),
        (
            "/fields/0/path",
            json!("name."),
            "fields[0].path: name. is not a path of segments of A-Z a-z 0-9 _ -",
        ),
        ("/fields/1/path", json!("name"), "fields[1].path: name stands twice"),
        ("/fields/0/kind", json!("essay"), "fields[0].kind: essay is no kind of field"),
        ("/fields/0/ja", json!(""), "fields[0]: a label without text"),
        ("/fields/0/help", json!({"ja": "例"}), "fields[0].help: the member en is missing"),
        ("/fields/0/weight", json!(1), "fields[0]: the member weight has no meaning here"),
        (
            "/fields/0/merge",
            json!("average"),
            "fields[0].merge: a field of this kind cannot be merged as average",
        ),
        (
            "/fields/2/merge",
            json!("legal"),
            "fields[2].merge: a field of this kind cannot be merged as legal",
        ),
        ("/fields/0/write", json!(["nobody"]), "fields[0].write[0]: nobody is no role"),
        (
            "/fields/0/required",
            json!({"maybe": "name"}),
            "fields[0].required.maybe: maybe is no predicate",
        ),
        (
            "/fields/0/required",
            json!("yes"),
            "fields[0].required: not a predicate, an object of one member",
        ),
        (
            "/fields/0/relevant",
            json!({"all": [{"present": "x"}]}),
            "fields[0].relevant.all[0].present: the form has no field x",
        ),
        (
            "/fields/0/relevant",
            json!({"eq": ["kind", "z"]}),
            "fields[0].relevant.eq: the field has no choice \"z\"",
        ),
        (
            "/fields/0/relevant",
            json!({"eq": ["checks.F01.result", "fine"]}),
            "fields[0].relevant.eq: the field has no choice \"fine\"",
        ),
        (
            "/fields/0/relevant",
            json!({"eq": ["submit_requested", "yes"]}),
            "fields[0].relevant.eq: the field has no choice \"yes\"",
        ),
        (
            "/fields/0/relevant",
            json!({"eq": ["kind"]}),
            "fields[0].relevant.eq: not an array of two",
        ),
        ("/fields/0/relevant", json!({"in": ["kind", "a"]}), "fields[0].relevant.in: not an array"),
        (
            "/fields/0/relevant",
            json!({"lt": ["count", {"value": "soon"}]}),
            "fields[0].relevant.lt: not a number, a day or an instant",
        ),
        (
            "/fields/0/relevant",
            json!({"lt": ["count", {"avg": 1}]}),
            "fields[0].relevant.lt: avg is no operand",
        ),
        (
            "/fields/0/relevant",
            json!({"le": ["count", {"sum": ["findings", "text"]}]}),
            "fields[0].relevant.le: the form has no field text",
        ),
        (
            "/fields/0/relevant",
            json!({"present": "a b"}),
            "fields[0].relevant.present: a b is not a path of segments of A-Z a-z 0-9 _ -",
        ),
        ("/fields/1/choices", json!("sorts"), "fields[1].choices: sorts is no list of choices"),
        ("/fields/1/choices", json!([]), "fields[1]: the member choices is missing"),
        ("/fields/1/choices", null.clone(), "fields[1]: the member choices is missing"),
        ("/lists/kinds/1/code", json!("a"), "fields[1].choices: a stands twice"),
        ("/lists/kinds/1/en", json!(""), "lists.kinds[1]: a label without text"),
        ("/fields/2/min", json!("10"), "fields[2].max: the bounds are not in order"),
        ("/fields/2/min", json!("ten"), "fields[2].min: the bounds are not in order"),
        ("/fields/2/max", json!(true), "fields[2].max: not an integer or text"),
        ("/fields/0/max", json!("0"), "fields[0].max: the bounds are not in order"),
        ("/fields/3/weight", json!(-1), "fields[3].weight: not a weight"),
        ("/fields/3/finding", json!("name"), "fields[3].finding: the form has no field name"),
        ("/fields/4/cells", null.clone(), "fields[4]: the member cells is missing"),
        ("/fields/4/cells/1/path", json!("text"), "fields[4].cells: text stands twice"),
        (
            "/fields/4/cells/0/kind",
            json!("rows"),
            "fields[4].cells[0].kind: rows is no kind of cell",
        ),
        (
            "/fields/4/cells/0/required",
            json!({"present": "name"}),
            "fields[4].cells[0].required.present: the form has no field name",
        ),
        (
            "/fields/4/cells/0/required",
            json!({"present": "../x"}),
            "fields[4].cells[0].required.present: the form has no field ../x",
        ),
        ("/fields/5/builtin", json!("magic"), "fields[5].builtin: magic is no built-in"),
        ("/fields/5/required", json!(true), "fields[5]: the member required has no meaning here"),
        (
            "/fields/6",
            json!({"path": "state", "section": "A", "kind": "status", "ja": "状態", "en": "State"}),
            "statuses: the form has no field status",
        ),
        (
            "/fields/7/kind",
            json!("text"),
            "statuses.transitions: the form has no field submit_requested",
        ),
        ("/fields/8/hosts", null.clone(), "fields[8]: the member hosts is missing"),
        ("/fields/8/hosts", json!([]), "fields[8].hosts: the member hosts is missing"),
        ("/fields/8/hosts", json!("video.city.example"), "fields[8].hosts: not an array"),
        ("/fields/8/hosts/0", json!(7), "fields[8].hosts[0]: not a host or *. and a suffix"),
        (
            "/fields/8/hosts/0",
            json!("*.example"),
            "fields[8].hosts[0]: not a host or *. and a suffix",
        ),
        (
            "/fields/8/hosts/0",
            json!("https://video.city.example"),
            "fields[8].hosts[0]: not a host or *. and a suffix",
        ),
        (
            "/fields/8/hosts/0",
            json!("*.stream.city.example"),
            "fields[8].hosts: *.stream.city.example stands twice",
        ),
        ("/fields/8/max", json!("10"), "fields[8]: the member max has no meaning here"),
        (
            "/fields/8/merge",
            json!("keep_both"),
            "fields[8].merge: a field of this kind cannot be merged as keep_both",
        ),
        (
            "/fields/0/hosts",
            json!(["video.city.example"]),
            "fields[0]: the member hosts has no meaning here",
        ),
        ("/statuses", null, "form: the member statuses is missing"),
        ("/statuses/initial", json!("new"), "statuses.initial: new is no state"),
        ("/statuses/states/0/rank", json!("low"), "statuses.states[0].rank: not an integer"),
        ("/statuses/states/1/code", json!("open"), "statuses.states: open stands twice"),
        (
            "/statuses/transitions/0/to",
            json!("gone"),
            "statuses.transitions[0].to: gone is no state",
        ),
        (
            "/statuses/transitions/0/from",
            json!(["gone"]),
            "statuses.transitions[0].from: gone is no state",
        ),
        (
            "/statuses/transitions/0/offline",
            json!("maybe"),
            "statuses.transitions[0].offline: maybe is no way (yes, request, no)",
        ),
        (
            "/rules/0/level",
            json!("always"),
            "rules[0].level: always is no level (save, submit, approve)",
        ),
        ("/rules/0/path", json!("sum"), "rules[0].path: the form has no field sum"),
        ("/rules/1/list", json!("name"), "rules[1].list: the form has no field name"),
        ("/rules/1/code", json!("too_many_points"), "rules: too_many_points stands twice"),
    ]
}

#[test]
fn ranks_stand_at_every_choice_or_at_none() -> TestResult {
    let mut form = spoiled("/fields/1/merge", &json!("strict"))?;
    form["lists"]["kinds"][0]["rank"] = json!(2);
    assert_eq!(
        refusal(&form)?.to_string(),
        "fields[1].choices: some choices have a rank and others have none"
    );
    form["lists"]["kinds"][1]["rank"] = json!(1);
    Form::parse(&form.to_string())?;
    Ok(())
}

#[test]
fn a_form_has_so_many_fields_and_no_more() -> TestResult {
    let with = |count: usize| {
        let mut form = json!({"type": "trial", "version": 1, "ja": "試行", "en": "Trial",
            "home": {"bucket": ["station"]}, "write": [], "sections": [{"code": "A", "ja": "甲", "en": "First"}]});
        let field = |n| json!({"path": format!("f{n}"), "section": "A", "kind": "text", "ja": "欄", "en": "Field"});
        form["fields"] = (0..count).map(field).collect();
        form
    };
    Form::parse(&with(FIELDS_MAX).to_string())?;
    assert_eq!(refusal(&with(FIELDS_MAX + 1))?.to_string(), "fields: more than 500");
    Ok(())
}

#[test]
fn a_field_allows_so_many_hosts_and_no_more() -> TestResult {
    let hosts = |count: usize| (0..count).map(|n| format!("h{n}.city.example")).collect::<Vec<_>>();
    Form::parse(&spoiled("/fields/8/hosts", &json!(hosts(32)))?.to_string())?;
    let refused = refusal(&spoiled("/fields/8/hosts", &json!(hosts(33)))?)?;
    assert_eq!(refused.to_string(), "fields[8].hosts: more than 32");
    Ok(())
}

#[test]
fn a_predicate_nests_so_deep_and_no_deeper() -> TestResult {
    let nested = |depth: usize| {
        (1..depth).fold(json!({"present": "name"}), |inner, _| json!({"not": inner}))
    };
    Form::parse(&spoiled("/fields/0/relevant", &nested(8))?.to_string())?;
    let refused = refusal(&spoiled("/fields/0/relevant", &nested(9))?)?;
    assert_eq!(refused.why, Why::TooMany(8));
    Ok(())
}

proptest! {
    #[test]
    fn any_text_gets_an_answer(text in any::<String>()) {
        prop_assert!(Form::parse(&text).is_err());
    }

    #[test]
    fn a_damaged_form_gets_an_answer(at in any::<prop::sample::Index>(), put in "[\\[\\]{}\",:0-9a-z]{0,3}") {
        let sound = sound().to_string();
        let places: Vec<usize> = sound.char_indices().map(|(at, _)| at).collect();
        let (before, after) = sound.split_at(*at.get(&places));
        let damaged: String = [before, &put, after.get(1..).unwrap_or_default()].concat();
        if let Ok(form) = Form::parse(&damaged) {
            prop_assert_eq!(form.body().clone(), serde_json::from_str::<Value>(&damaged).unwrap_or_default());
        }
    }
}
