//! Answers that were damaged on their way: never a panic, and never a row that cannot be read again.

use crate::server::Server;
use crate::tablet::{SECRET, Tablet, bucket, field, row};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;
use sync_protocol::change::Path;
use sync_protocol::replica::{Edit, Input, Replica};

static WAITING: LazyLock<(Tablet, Value)> = LazyLock::new(waiting);

/// An answer that holds a bit of everything, and the tablet that waits for it.
fn waiting() -> (Tablet, Value) {
    let mut server = Server::new(50);
    for device in 0..2 {
        server.granted.insert(device, [bucket("s")].into());
    }
    let mut writer = Tablet::new(1);
    writer.sync(&mut server);
    let (rec, _) = writer.begin_record(&bucket("s"), "first");
    let cell = Path::Cell(row("r"), "severity".to_owned());
    writer
        .author(
            rec,
            vec![
                Edit::Add {
                    at: row("r"),
                    pos: Some("a".to_owned()),
                    value: Some(json!({"sha256": "x"})),
                },
                Edit::Set(cell, json!("minor")),
                Edit::Del { why: Some("twice".to_owned()) },
            ],
        )
        .expect("authored");
    writer.sync(&mut server);
    let mut tablet = Tablet::new(0);
    tablet.sync(&mut server);
    writer.author(rec, vec![field("title", "second")]).expect("authored");
    let (other, _) = writer.begin_record(&bucket("s"), "other");
    writer.sync(&mut server);
    server.move_record(other, &bucket("t"));
    tablet.author(rec, vec![field("title", "third")]).expect("authored");
    tablet.photograph(rec, 1).expect("authored");
    tablet.pass(25 * 3_600_000);
    tablet.connect();
    let (_, body) = tablet.sending.clone().expect("a request");
    let (status, answer) = server.sync(0, &body, tablet.clock.now.0);
    assert_eq!(status, 200);
    (tablet, serde_json::from_slice(&answer).expect("JSON"))
}

/// Walks to the place that `steps` choose, as deep as the value goes.
fn place<'v>(value: &'v mut Value, steps: &[usize]) -> &'v mut Value {
    let Some((step, rest)) = steps.split_first() else { return value };
    let length = match value {
        Value::Object(members) => members.len(),
        Value::Array(items) => items.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    };
    if length == 0 {
        return value;
    }
    match value {
        Value::Object(members) => {
            place(members.values_mut().nth(step % length).expect("within the length"), rest)
        }
        Value::Array(items) => place(&mut items[step % length], rest),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            unreachable!("it has a length")
        }
    }
}

fn wrong() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        Value::Null,
        json!(-1),
        json!(0),
        json!(99),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1.5),
        json!(""),
        json!("x"),
        json!("station:zz"),
        json!("\u{0}"),
        json!("01990000-0000-7000-8000-00000000000d"),
        json!("0001-01-01T00:00:00.000Z"),
        json!([]),
        json!([[0, 0, 0]]),
        json!({}),
        json!(true),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_answer_does_no_damage(
        damages in prop::collection::vec((prop::collection::vec(0..40_usize, 1..8), wrong()), 1..4),
    ) {
        let (mut tablet, mut answer) = WAITING.clone();
        let authored: Vec<_> = tablet.replica.own_changes().map(|own| own.id).collect();
        for (steps, wrong) in damages {
            *place(&mut answer, &steps) = wrong;
        }
        let (attempt, _) = tablet.sending.take().expect("a request");
        let body = answer.to_string();
        tablet.input(Input::Answer { attempt, status: 200, retry_after_ms: None, body: body.as_bytes() });
        for rec in tablet.replica.records().collect::<Vec<_>>() {
            prop_assert!(tablet.replica.displayed(rec).is_some());
        }
        let (again, _) = Replica::open(tablet.stored(), SECRET, &mut tablet.dice).expect("readable rows");
        let kept: Vec<_> = again.own_changes().map(|own| own.id).collect();
        prop_assert!(authored.iter().all(|id| kept.contains(id)) || answer["durable"].is_i64());
    }
}

#[test]
fn an_undamaged_answer_is_applied() {
    let (mut tablet, answer) = waiting();
    let (attempt, _) = tablet.sending.take().expect("a request");
    let body = answer.to_string();
    assert!(body.contains(r#""sums":[{"#) && body.contains(r#""rec""#), "{body}");
    tablet.input(Input::Answer {
        attempt,
        status: 200,
        retry_after_ms: None,
        body: body.as_bytes(),
    });
    assert_eq!(tablet.replica.outbox_len(), 0);
}
