//! Valid requests altered at random: whatever comes, the server names what is wrong and loses nothing.

use crate::support::{Answer, Draft, NORTH, SOUTH, Tablet, TestResult, World, items, set, tenant};
use serde_json::{Value, json};
use server::random::{Random, SeededRandom};
use storage::Store;
use sync_protocol::form::Role;

storage::on_both!(requests_altered_at_random_are_named_and_lose_nothing);

/// Requests of one run; the seed of a run is told when it fails.
const CASES: u64 = 1_000;
const SEEDS: [u64; 2] = [1, 2];

struct Chance(SeededRandom);

impl Chance {
    fn below(&self, end: usize) -> usize {
        let random: &dyn Random = &self.0;
        usize::try_from(random.below(u64::try_from(end).unwrap_or(1).max(1))).unwrap_or_default()
    }

    fn pick<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A value that fits hardly anywhere.
fn odd_value(chance: &Chance, world: &World, known: &[String]) -> Value {
    let all = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1.5),
        json!(""),
        json!("x"),
        json!("a\u{0}b"),
        json!("../../x"),
        json!("日本語 𠮷"),
        json!(SOUTH),
        json!(NORTH),
        json!("everyone"),
        json!([]),
        json!({}),
        json!([[[[[[]]]]]]),
        json!({ "o": "set" }),
        json!(world.id()),
        json!(chance.pick(known)),
        json!([chance.pick(known)]),
        json!([format!("{}.0", chance.pick(known))]),
        json!("x".repeat(chance.below(3_000))),
        json!("2026-11-22T14:03:11.201Z"),
        json!({ "sha256": "0a".repeat(32), "bytes": 1, "mime": "image/png" }),
        json!(["0a".repeat(32)]),
    ];
    chance.pick(&all).clone()
}

/// Every place in a value, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found));
        }
        Value::Array(all) => {
            all.iter()
                .enumerate()
                .for_each(|(i, value)| places(value, &format!("{at}/{i}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Alters one place of a value: takes it away, puts something odd there, or doubles it.
fn alter(chance: &Chance, world: &World, known: &[String], value: &mut Value) {
    let mut all = Vec::new();
    places(value, "", &mut all);
    let at = chance.pick(&all).clone();
    let (parent, name) = at.rsplit_once('/').unwrap_or_default();
    let odd = odd_value(chance, world, known);
    match (chance.below(4), value.pointer_mut(parent)) {
        (0, Some(Value::Object(members))) => drop(members.remove(name)),
        (1, Some(Value::Object(members))) => drop(members.insert("odd".to_owned(), odd)),
        (1, Some(Value::Array(all))) => all.push(odd),
        _ => {
            if let Some(place) = value.pointer_mut(&at) {
                *place = odd;
            }
        }
    }
}

/// Alters a few bytes of a text.
fn scratch(chance: &Chance, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=chance.below(3) {
        let at = chance.below(bytes.len());
        match chance.below(3) {
            0 => drop(bytes.remove(at)),
            1 => bytes[at] = *chance.pick(b"{}[]\",:0a\\ \x01"),
            _ => bytes.truncate(at.max(1)),
        }
        if bytes.is_empty() {
            bytes.push(b'{');
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn stored(world: &World) -> TestResult<i64> {
    let head = world.head().await?;
    let mut tx = world.state.store.read().await?;
    for seq in 1..=head {
        let id = tx.journal().id_at(&tenant("fire"), sync_protocol::id::Seq(seq)).await?;
        assert!(id.is_some(), "seq {seq} holds a change");
    }
    Ok(head)
}

fn draft(
    chance: &Chance,
    world: &World,
    mori: &Tablet,
    recs: &[String],
    known: &[String],
) -> Draft {
    let rec = chance.pick(recs);
    let dot = format!("{}.{}", chance.pick(known), chance.below(3));
    let ops = match chance.below(8) {
        0 => {
            json!([{ "o": "new", "in": chance.pick(&[SOUTH, NORTH, "everyone"]) }, set("title", "t", &[])])
        }
        1 => json!([{ "o": "add", "f": "findings", "e": "r1", "pos": "a0" }]),
        2 => json!([{ "o": "set", "f": "findings/r1/text", "v": "x", "x": [dot], "px": [] }]),
        3 => {
            json!([{ "o": "rem", "f": "findings", "e": "r1", "x": [format!("{dot}p")], "why": "w" }])
        }
        4 => json!([{ "o": "del", "seen": [chance.pick(known)] }]),
        5 => json!([{ "o": "undel", "x": [dot] }]),
        6 => json!([{ "o": "place", "in": [NORTH], "x": [] }]),
        _ => json!([set(
            chance.pick::<&str>(&["title", "opinion", "grade", "decision", "status", "x.y"]),
            "v",
            &[dot]
        )]),
    };
    let rec = if ops[0]["o"] == "new" && chance.below(3) > 0 { world.id() } else { rec.clone() };
    let kind = *chance.pick(&["visit", "visit", "visit", "note", "nothing"]);
    world.draft(mori, &rec, ops).with(json!({ "type": kind }))
}

/// One altered request, or a call of another route with an altered body.
async fn call(
    chance: &Chance,
    world: &World,
    mori: &Tablet,
    recs: &[String],
    known: &mut Vec<String>,
) -> (String, Answer) {
    let rec = chance.pick(recs).clone();
    let mut body = match chance.below(6) {
        0 => {
            json!({ "id": world.id(), "ops": [set("opinion", "a", &[])], "seen_rv": chance.below(50) })
        }
        1 => json!({ "to": [SOUTH, NORTH] }),
        2 => json!({ "rv": chance.below(50), "view_hash": "sha256:0" }),
        _ => {
            let mut envelope = mori.envelope(world);
            envelope["blobs"] = json!(["0a".repeat(32)]);
            envelope["push"]["changes"] =
                (0..=chance.below(3)).map(|_| draft(chance, world, mori, recs, known).0).collect();
            known.extend(
                items(&envelope["push"]["changes"])
                    .iter()
                    .filter_map(|c| Some(c["id"].as_str()?.to_owned())),
            );
            envelope
        }
    };
    let path = match &body {
        body if body.get("ops").is_some() => format!("/v1/records/{rec}/changes"),
        body if body.get("to").is_some() => format!("/v1/records/{rec}/move"),
        body if body.get("rv").is_some() => format!("/v1/records/{rec}/seal"),
        _ => "/v1/sync".to_owned(),
    };
    for _ in 0..chance.below(4) {
        alter(chance, world, known, &mut body);
    }
    let mut text = body.to_string();
    if chance.below(6) == 0 {
        text = scratch(chance, &text);
    }
    let answer = world.call(mori, axum::http::Method::POST, &path, Some(text.clone())).await;
    (format!("{path} {text}"), answer)
}

async fn requests_altered_at_random_are_named_and_lose_nothing(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    for role in [Role::Supervisor, Role::Approver] {
        world.grant(mori.user, SOUTH, role).await?;
    }
    let visits: Vec<Draft> = (0..3).map(|_| world.new_visit(&mori, SOUTH)).collect();
    mori.sync(&world, &visits.iter().collect::<Vec<_>>()).await;
    let recs: Vec<String> = visits.iter().map(Draft::rec).collect();
    let mut known: Vec<String> = visits.iter().map(Draft::id).collect();
    for seed in SEEDS {
        let chance = Chance(SeededRandom::new(seed));
        for case in 0..CASES {
            let head = world.head().await?;
            let (sent, answer) = call(&chance, &world, &mori, &recs, &mut known).await;
            let status = answer.status.as_u16();
            assert!(status < 500, "seed {seed} case {case}: {status} {sent}");
            let after = world.head().await?;
            let body = answer.json();
            if status >= 400 {
                assert!(
                    body["type"].as_str().is_some_and(|kind| kind.starts_with("/problems/")),
                    "{sent}"
                );
                assert_eq!(
                    after, head,
                    "seed {seed} case {case}: a refused request stores nothing: {sent}"
                );
            } else if sent.starts_with("/v1/sync") {
                let fresh = items(&body["results"])
                    .iter()
                    .filter(|r| r["n"].is_i64() && r["st"] != "dup")
                    .count();
                assert!(after - head >= i64::try_from(fresh)?, "seed {seed} case {case}: {sent}");
                if body["lease"].is_string() {
                    mori.take(&body);
                    mori.next = body["known"]["n"].as_i64().unwrap_or_default() + 1;
                }
            }
            if status == 409 && body["type"] != "/problems/conflict" {
                // The altered request was taken for another copy, or another history: begin as a new one.
                mori.replica = world.id();
                (mori.lease, mori.epoch, mori.cursor, mori.next) =
                    (Value::Null, Value::Null, Value::Null, 1);
            }
        }
        stored(&world).await?;
    }
    assert!(world.head().await? > 500, "most of it was stored");
    Ok(())
}
