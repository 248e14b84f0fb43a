//! Changes: the same bytes for ever, and a sentence for every way in which a text can be wrong.

use crate::history::{change_id, wild};
use proptest::prelude::*;
use serde_json::{Value, json};
use sync_protocol::change::{
    CHANGE_BYTES_MAX, Change, Code, DOTS_MAX, Frozen, OPS_MAX, Op, POSITION_CHARS_MAX,
    WHY_BYTES_MAX,
};
use sync_protocol::id::{Dot, Seq};
use sync_protocol::value::hash_of;

proptest! {
    #[test]
    fn a_frozen_change_is_read_as_it_was_made(changes in wild()) {
        for made in changes {
            let frozen = made.change.freeze();
            prop_assert_eq!(Change::parse(frozen.text()).expect("it is a change"), made.change);
            prop_assert_eq!(*frozen.hash(), hash_of(frozen.text().as_bytes()));
            prop_assert_eq!(Frozen::new(frozen.text().to_owned()), frozen);
        }
    }

    #[test]
    fn reading_never_panics(text in ".{0,300}") {
        drop(Change::parse(&text));
    }

    #[test]
    fn a_change_with_one_wrong_byte_is_a_change_or_a_refusal(
        changes in wild(), at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f,
    ) {
        let made = changes.first().expect("at least one");
        let mut bytes = made.change.freeze().text().as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) && let Err(refusal) = Change::parse(&text) {
            prop_assert!(matches!(refusal.code, Code::BadOp | Code::TooBig));
            prop_assert!(!refusal.why.is_empty());
        }
    }
}

fn text_with(edit: impl FnOnce(&mut Value)) -> String {
    let mut change = json!({
        "id": "01990000-0000-7000-8000-000000000001",
        "rec": "01990000-0000-7000-8000-000000000002",
        "type": "visit", "sv": 3, "at": "2026-11-22T14:03:11.201Z", "mono": 7, "boot": "b",
        "by": "01990000-0000-7000-8000-000000000003",
        "ops": [{"o": "set", "f": "title", "v": "a", "x": []}],
    });
    edit(&mut change);
    change.to_string()
}

fn with_op(op: &Value) -> String {
    text_with(|change| change["ops"] = json!([op]))
}

const DOT: &str = "01990000-0000-7000-8000-000000000009.0";
const PRESENCE: &str = "01990000-0000-7000-8000-000000000009.0p";
const ID: &str = "01990000-0000-7000-8000-000000000009";

/// Every wrong text is refused as `bad_op`, with this sentence or, where the reader of JSON says it, with these words.
fn all_refused(cases: Vec<(String, &str)>) {
    for (text, why) in cases {
        let refusal = Change::parse(&text).expect_err(why);
        assert_eq!(refusal.code, Code::BadOp, "{text}");
        let exact = refusal.why == why || (why.len() < 14 && refusal.why.contains(why));
        assert!(exact, "{text}\n  says {:?}\n  not  {why:?}", refusal.why);
    }
}

#[test]
fn a_wrong_head_of_a_change_has_its_own_sentence() {
    let without =
        |name: &str| text_with(|change| drop(change.as_object_mut().unwrap().remove(name)));
    let with = |name: &str, value: Value| text_with(|change| change[name] = value);
    let cases: Vec<(String, &str)> = vec![
        (String::new(), "EOF"),
        ("[]".into(), "a change is an object"),
        ("{\"id\":1,\"id\":2}".into(), "stands twice"),
        (without("ops"), "`ops` is an array"),
        (with("ops", json!({})), "`ops` is an array"),
        (with("ops", json!([])), "`ops` is empty"),
        (with("ops", json!([7])), "op 0 is not an object"),
        (without("id"), "`id` is missing"),
        (with("id", json!(7)), "`id` is a string"),
        (
            with("id", json!("01990000-0000-7000-8000-00000000000A")),
            "`id` is not a change id (lower-case UUID)",
        ),
        (with("rec", json!("x")), "`rec` is not a record id (lower-case UUID)"),
        (with("type", json!("a b")), "`type` is not a record type (one segment)"),
        (with("sv", json!(-1)), "`sv` is a form version"),
        (with("sv", json!("3")), "`sv` is an integer"),
        (without("sv"), "`sv` is a form version"),
        (with("at", json!("2026-11-22T14:03:11Z")), "`at` is an instant, YYYY-MM-DDTHH:MM:SS.mmmZ"),
        (
            with("at", json!("2026-02-30T14:03:11.201Z")),
            "`at` is an instant, YYYY-MM-DDTHH:MM:SS.mmmZ",
        ),
        (with("mono", json!("7")), "`mono` is an integer"),
        (with("boot", json!("b".repeat(65))), "`boot` is a string of at most 64 bytes"),
        (with("by", json!(null)), "`by` is a string"),
        (with("ss", json!("x")), "`ss` is an array"),
        (with("ss", json!(["x"])), "`ss` lists what is not a change id (lower-case UUID)"),
        (with("ss", json!([7])), "`ss` lists strings"),
    ];
    all_refused(cases);
}

#[test]
fn a_wrong_op_has_its_own_sentence() {
    let cases: Vec<(String, &str)> = vec![
        (with_op(&json!({})), "op 0: `o` is missing"),
        (with_op(&json!({"o": "merge"})), "op 0: unknown op \"merge\""),
        (with_op(&json!({"o": "set", "v": 1})), "op 0: `f` is missing"),
        (with_op(&json!({"o": "set", "f": "a b", "v": 1})), "op 0: `f` is not a path"),
        (with_op(&json!({"o": "set", "f": "a//b", "v": 1})), "op 0: `f` is not a path"),
        (with_op(&json!({"o": "set", "f": "a/b/c/d", "v": 1})), "op 0: `f` is not a path"),
        (with_op(&json!({"o": "set", "f": "a", "x": []})), "op 0: `v` is missing"),
        (with_op(&json!({"o": "set", "f": "a", "v": 1, "px": []})), "op 0: `px` goes with a cell"),
        (
            with_op(&json!({"o": "set", "f": "a", "v": 1, "x": [PRESENCE]})),
            "op 0: `x` of this op lists no presence dots",
        ),
        (
            with_op(&json!({"o": "set", "f": "a", "v": 1, "x": ["7"]})),
            "op 0: `x` lists what is not a dot (<change id>.<i>, with p for a presence)",
        ),
        (with_op(&json!({"o": "add", "f": "a.", "e": "r"})), "op 0: `f` is not a field"),
        (
            with_op(&json!({"o": "add", "f": "a", "e": "r/s"})),
            "op 0: `e` is not the id of an element",
        ),
        (with_op(&json!({"o": "add", "f": "a"})), "op 0: `e` is missing"),
        (
            with_op(&json!({"o": "add", "f": "a", "e": "r", "pos": ""})),
            "op 0: `pos` is 1 to 256 of A-Z a-z 0-9",
        ),
        (
            with_op(&json!({"o": "add", "f": "a", "e": "r", "pos": "a-"})),
            "op 0: `pos` is 1 to 256 of A-Z a-z 0-9",
        ),
        (
            with_op(&json!({"o": "add", "f": "a", "e": "r", "x": [PRESENCE]})),
            "op 0: `x` of this op lists no presence dots",
        ),
        (with_op(&json!({"o": "pos", "f": "a", "e": "r"})), "op 0: `pos` is missing"),
        (
            with_op(&json!({"o": "rem", "f": "a", "e": "r", "x": [], "why": 7})),
            "op 0: `why` is a string of at most 4096 bytes",
        ),
        (
            with_op(&json!({"o": "del", "seen": [DOT]})),
            "op 0: `seen` lists what is not a change id (lower-case UUID)",
        ),
        (
            with_op(&json!({"o": "undel", "x": [PRESENCE]})),
            "op 0: `x` of this op lists no presence dots",
        ),
        (
            with_op(&json!({"o": "new"})),
            "op 0: `new` names a bucket in `in`, or a subject in `about`",
        ),
        (
            with_op(&json!({"o": "new", "in": "everyone", "about": ID})),
            "op 0: `new` names a bucket in `in`, or a subject in `about`",
        ),
        (
            with_op(&json!({"o": "new", "in": "station"})),
            "op 0: `in` is not a bucket (kind:id, or everyone)",
        ),
        (
            with_op(&json!({"o": "place", "in": ["x"]})),
            "op 0: `in` lists what is not a bucket (kind:id, or everyone)",
        ),
        (with_op(&json!({"o": "seal", "covers": [], "view_hash": "h"})), "op 0: `rv` is missing"),
        (with_op(&json!({"o": "seal", "rv": 1, "covers": []})), "op 0: `view_hash` is missing"),
        (with_op(&json!({"o": "unseal", "x": []})), "op 0: `why` is missing"),
        (with_op(&json!({"o": "unseal", "x": [], "why": " "})), "op 0: `why` is missing"),
        (with_op(&json!({"o": "accept", "x": []})), "op 0: `change` is missing"),
        (with_op(&json!({"o": "aside", "change": ID, "x": []})), "op 0: `why` is missing"),
        (
            text_with(|change| {
                change["ops"] =
                    json!([{"o": "set", "f": "a", "v": 1}, {"o": "new", "in": "everyone"}]);
            }),
            "op 1: `new` is op 0 or nothing",
        ),
    ];
    all_refused(cases);
}

#[test]
fn every_op_is_read_and_written() {
    let ops = [
        json!({"o": "new", "in": "station:fs-south"}),
        json!({"o": "new", "about": ID}),
        json!({"o": "set", "f": "checks.F07.result", "v": null, "x": [DOT]}),
        json!({"o": "set", "f": "findings/r-1/severity", "v": {"a": []}, "x": [DOT], "px": [PRESENCE, DOT]}),
        json!({"o": "add", "f": "findings", "e": "r-1", "pos": "a0V"}),
        json!({"o": "add", "f": "photos", "e": "r-1", "v": {"sha256": "00"}, "x": [DOT], "px": [DOT]}),
        json!({"o": "rem", "f": "findings", "e": "r-1", "x": [PRESENCE, DOT], "why": "w"}),
        json!({"o": "pos", "f": "findings", "e": "r-1", "pos": "a1", "x": [DOT], "px": [PRESENCE]}),
        json!({"o": "del", "seen": [ID], "why": "w"}),
        json!({"o": "undel", "x": [DOT]}),
        json!({"o": "place", "in": ["station:a", "station:b"], "x": [DOT]}),
        json!({"o": "seal", "rv": 7, "covers": [ID], "view_hash": "h", "x": [DOT]}),
        json!({"o": "unseal", "x": [DOT], "why": "w"}),
        json!({"o": "accept", "change": ID, "x": [DOT]}),
        json!({"o": "aside", "change": ID, "x": [], "why": "w"}),
    ];
    for op in ops {
        let read = Change::parse(&with_op(&op)).unwrap_or_else(|e| panic!("{op}: {e}"));
        let written: Value = serde_json::from_str(read.freeze().text()).unwrap();
        assert_eq!(written["ops"][0], op);
    }
}

#[test]
fn members_that_are_not_known_stay_in_the_text() {
    let text = text_with(|change| {
        change["tomorrow"] = json!({"a": 1});
        change["ops"][0]["hint"] = json!("kept");
    });
    let known = Change::parse(&text).unwrap();
    assert_eq!(known, Change::parse(&text_with(|_| {})).unwrap());
    assert!(Frozen::new(text).text().contains("tomorrow"));
}

/// Asserts that the change with `inside` is read and the one with `outside` is refused with this code.
fn both_sides(name: &str, inside: &str, outside: &str, code: Code) {
    Change::parse(inside).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(Change::parse(outside).expect_err(name).code, code, "{name}");
}

#[test]
fn limits_hold_on_both_sides() {
    let ops = |n: usize| {
        text_with(|change| change["ops"] = vec![json!({"o": "set", "f": "a", "v": 1}); n].into())
    };
    both_sides("ops", &ops(OPS_MAX), &ops(OPS_MAX + 1), Code::TooBig);

    let dots = |n: usize| {
        let dots: Vec<Dot> = (0..n).map(|at| Dot::put(change_id(1, at), 0)).collect();
        let (x, px) = dots.split_at(n / 2);
        with_op(&json!({"o": "set", "f": "a/b/c", "v": 1, "x": x, "px": px}))
    };
    both_sides("dots", &dots(DOTS_MAX), &dots(DOTS_MAX + 1), Code::TooBig);

    let bytes = |n: usize| {
        let empty = with_op(&json!({"o": "set", "f": "a", "v": ""})).len();
        with_op(&json!({"o": "set", "f": "a", "v": "v".repeat(n - empty)}))
    };
    assert_eq!(bytes(CHANGE_BYTES_MAX).len(), CHANGE_BYTES_MAX);
    both_sides("bytes", &bytes(CHANGE_BYTES_MAX), &bytes(CHANGE_BYTES_MAX + 1), Code::TooBig);

    let pos = |n: usize| with_op(&json!({"o": "pos", "f": "a", "e": "r", "pos": "a".repeat(n)}));
    both_sides("pos", &pos(POSITION_CHARS_MAX), &pos(POSITION_CHARS_MAX + 1), Code::BadOp);

    let why =
        |n: usize| with_op(&json!({"o": "rem", "f": "a", "e": "r", "x": [], "why": "w".repeat(n)}));
    both_sides("why", &why(WHY_BYTES_MAX), &why(WHY_BYTES_MAX + 1), Code::BadOp);

    let path = |n: usize| with_op(&json!({"o": "set", "f": "a".repeat(n), "v": 1}));
    both_sides("segment", &path(64), &path(65), Code::BadOp);

    let seen = |n: usize| {
        let seen: Vec<_> = (0..n).map(|at| change_id(1, at)).collect();
        with_op(&json!({"o": "del", "seen": seen}))
    };
    Change::parse(&seen(6_000)).unwrap();
    assert_eq!(Change::parse(&seen(8_001)).unwrap_err().code, Code::TooBig);
}

#[test]
fn only_the_server_makes_commands() {
    let server = [
        Op::Place { buckets: Vec::new(), x: Vec::new() },
        Op::Seal { rv: Seq(1), covers: Vec::new(), view_hash: String::new(), x: Vec::new() },
        Op::Unseal { x: Vec::new(), why: String::new() },
        Op::Accept { change: change_id(1, 1), x: Vec::new() },
        Op::Aside { change: change_id(1, 1), x: Vec::new(), why: String::new() },
    ];
    assert!(server.iter().all(Op::is_server_only));
    assert!(!Op::Undel { x: Vec::new() }.is_server_only());
    let mut change = Change::parse(&text_with(|_| {})).unwrap();
    assert!(!change.is_server_only());
    change.ops = server.to_vec();
    assert!(change.is_server_only());
    change.ops.push(Op::Undel { x: Vec::new() });
    assert!(!change.is_server_only());
}
