//! Changes that are malformed, oversized or forged: each is stored verbatim under its n, with its named code.

use crate::support::{DAY, SOUTH, Tablet, TestResult, World, items, outcome, set};
use serde_json::{Value, json};
use storage::Store;
use sync_protocol::change::CHANGE_BYTES_MAX;
use sync_protocol::form::Role;

storage::on_both!(
    texts_that_are_no_change_are_kept,
    members_of_a_change_have_their_form,
    ops_have_their_form,
    limits_of_a_change_have_two_sides,
    early_dots_have_a_bound,
    a_dot_of_another_place_has_no_effect,
    a_bad_change_holds_up_no_other,
);

/// Pushes a text alone and gives its result; whatever it was, its bytes are in the store.
async fn kept(world: &World, tablet: &mut Tablet, boss: &Tablet, text: &str) -> TestResult<Value> {
    let head = world.head().await?;
    let answer = tablet.sync_texts(world, &[text.to_owned()]).await;
    let result = answer["results"][0].clone();
    assert_eq!(result["n"], tablet.next - 1);
    assert_eq!(world.head().await?, head + 1, "every receipt takes a seq");
    if result["st"] == "quarantined" {
        let open = world.get(boss, "/v1/quarantine?limit=1").await.ok();
        let row = &open["changes"][0];
        assert_eq!((&row["q"], &row["text"]), (&result["q"], &json!(text)), "verbatim");
        assert!(
            row["code"] != "bad_op" || row["why"].is_string(),
            "a person is told what is wrong"
        );
    }
    Ok(result)
}

/// An inspector with a visit, and who looks after what waits for it and for nothing.
async fn scene(store: Store) -> TestResult<(World, Tablet, Tablet, crate::support::Draft)> {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    world.grant(boss.user, "inbox:unplaced", Role::Supervisor).await?;
    Ok((world, mori, boss, visit))
}

async fn texts_that_are_no_change_are_kept(store: Store) -> TestResult {
    let (world, mut mori, boss, visit) = scene(store).await?;
    let author = mori.clone();
    let with = |part: &str, other: &str| {
        let text = world.draft(&author, &visit.rec(), json!([set("opinion", "@", &[])])).text();
        assert!(text.contains(part), "{text}");
        text.replacen(part, other, 1)
    };
    let value = |value: &str| with("\"@\"", value);
    let nested = |depth: usize| value(&format!("{}1{}", "[".repeat(depth), "]".repeat(depth)));
    for text in [
        "7".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "\"x\"".to_owned(),
        "true".to_owned(),
        with("{\"at\"", "{\"at\":1,\"at\""),
        with("\"f\"", "\"f\":\"x\",\"f\""),
        value("{\"x\":1,\"\\u0078\":2}"),
        value("1.5"),
        value("1e3"),
        value("-0.0"),
        value("9007199254740992"),
        value("-9007199254740992"),
        value("\"\\u0000\""),
        value("{\"\\u0000\":1}"),
        value("\"\\ud800\""),
        value("\"\\udc00\\ud800\""),
        nested(40),
        nested(100_000),
    ] {
        let result = kept(&world, &mut mori, &boss, &text).await?;
        let shown: String = text.chars().take(200).collect();
        assert_eq!(outcome(&result), "quarantined bad_op", "{shown}");
        assert!(result.get("t_eff").is_none(), "{shown}");
        let again = mori.sync_texts(&world, std::slice::from_ref(&text)).await;
        assert_eq!(outcome(&again["results"][0]), "dup quarantined bad_op", "{shown}");
        assert_eq!(again["results"][0]["q"], result["q"]);
    }
    for text in [nested(10), value("9007199254740991"), value("-9007199254740991"), value("null")] {
        assert_eq!(outcome(&kept(&world, &mut mori, &boss, &text).await?), "ok", "{text}");
    }
    assert_eq!(world.record(&mori, &visit.rec()).await["title"], "first");
    Ok(())
}

async fn members_of_a_change_have_their_form(store: Store) -> TestResult {
    let (world, mut mori, boss, visit) = scene(store).await?;
    let user = mori.user;
    let remove = Value::Null;
    for (changes, told) in [
        (json!({ "id": "x" }), "bad_op"),
        (json!({ "id": 7 }), "bad_op"),
        (json!({ "id": world.id().to_uppercase() + "A" }), "bad_op"),
        (json!({ "id": remove }), "bad_op"),
        (json!({ "rec": "x" }), "bad_op"),
        (json!({ "rec": remove }), "bad_op"),
        (json!({ "type": "a b" }), "bad_op"),
        (json!({ "type": "x".repeat(65) }), "bad_op"),
        (json!({ "type": "unheard_of" }), "unknown_type"),
        (json!({ "type": "note" }), "forbidden"),
        (json!({ "sv": -1 }), "bad_op"),
        (json!({ "sv": "3" }), "bad_op"),
        (json!({ "sv": 4_294_967_296_i64 }), "bad_op"),
        (json!({ "sv": remove }), "bad_op"),
        (json!({ "at": "2026-11-22T14:03:11Z" }), "bad_op"),
        (json!({ "at": "2026-11-22T14:03:11.201+00:00" }), "bad_op"),
        (json!({ "at": "2026-13-22T14:03:11.201Z" }), "bad_op"),
        (json!({ "at": remove }), "bad_op"),
        (json!({ "mono": "1" }), "bad_op"),
        (json!({ "boot": 1 }), "bad_op"),
        (json!({ "boot": "b".repeat(65) }), "bad_op"),
        (json!({ "by": "mori" }), "bad_op"),
        (json!({ "by": world.id() }), "forbidden"),
        (json!({ "by": remove }), "bad_op"),
        (json!({ "ss": "x" }), "bad_op"),
        (json!({ "ss": ["x"] }), "bad_op"),
        (json!({ "ops": remove }), "bad_op"),
        (json!({ "ops": {} }), "bad_op"),
        (json!({ "ops": [] }), "bad_op"),
        (json!({ "ops": [7] }), "bad_op"),
    ] {
        let draft = world
            .draft(&mori, &visit.rec(), json!([set("opinion", "a", &[])]))
            .with(changes.clone());
        let result = kept(&world, &mut mori, &boss, &draft.text()).await?;
        assert_eq!(result["code"], told, "{changes}");
    }
    let draft = world.draft(&mori, &visit.rec(), json!([set("opinion", "a", &[])]));
    let extended = draft.with(json!({ "colour": ["unknown", { "members": "stay" }], "by": user, "sv": 0, "ss": [world.id()] }));
    assert_eq!(kept(&world, &mut mori, &boss, &extended.text()).await?["st"], "ok");
    Ok(())
}

async fn ops_have_their_form(store: Store) -> TestResult {
    let (world, mut mori, boss, visit) = scene(store).await?;
    let id = visit.id();
    let set_at = |f: &str| json!({ "o": "set", "f": f, "v": 1, "x": [] });
    let long = "x".repeat(65);
    let mut bad: Vec<Value> = [
        "", ".", "a.", ".a", "a..b", "a/b", "a/b/", "/b/c", "a/b/c/d", "a b", "日", "a\u{0}",
        "a/b.c/d", &long,
    ]
    .into_iter()
    .map(set_at)
    .collect();
    bad.extend([
        json!({ "o": "dance" }),
        json!({ "o": 7 }),
        json!({}),
        json!({ "o": "set", "f": "opinion", "x": [] }),
        json!({ "o": "set", "v": 1, "x": [] }),
        json!({ "o": "set", "f": "opinion", "v": 1, "x": "x" }),
        json!({ "o": "set", "f": "opinion", "v": 1, "x": [id] }),
        json!({ "o": "set", "f": "opinion", "v": 1, "x": [format!("{id}.01")] }),
        json!({ "o": "set", "f": "opinion", "v": 1, "x": [format!("{id}.65536")] }),
        json!({ "o": "set", "f": "opinion", "v": 1, "x": [format!("{id}.1p")] }),
        json!({ "o": "set", "f": "opinion", "v": 1, "x": [], "px": [] }),
        json!({ "o": "add", "f": "findings" }),
        json!({ "o": "add", "f": "findings", "e": "a/b" }),
        json!({ "o": "add", "f": "findings", "e": "" }),
        json!({ "o": "add", "f": "findings", "e": "r", "pos": "" }),
        json!({ "o": "add", "f": "findings", "e": "r", "pos": "a-b" }),
        json!({ "o": "add", "f": "findings", "e": "r", "pos": "a".repeat(257) }),
        json!({ "o": "add", "f": "a/b/c", "e": "r" }),
        json!({ "o": "pos", "f": "findings", "e": "r", "x": [] }),
        json!({ "o": "rem", "f": "findings", "e": "r", "x": [], "why": 7 }),
        json!({ "o": "rem", "f": "findings", "e": "r", "x": [], "why": "x".repeat(4_097) }),
        json!({ "o": "del", "seen": ["x"] }),
        json!({ "o": "undel", "x": [format!("{id}.0p")] }),
        json!({ "o": "new" }),
        json!({ "o": "new", "in": "station" }),
        json!({ "o": "new", "in": SOUTH, "about": id }),
        json!({ "o": "new", "about": "x" }),
        json!({ "o": "place", "in": ["x"] }),
        json!({ "o": "aside", "change": id, "x": [] }),
        json!({ "o": "seal", "covers": [], "view_hash": "x", "x": [] }),
    ]);
    for op in bad {
        let draft = world.draft(&mori, &visit.rec(), json!([set("title", "b", &[]), op]));
        let result = kept(&world, &mut mori, &boss, &draft.text()).await?;
        assert_eq!(result["code"], "bad_op", "{op}");
    }
    let late_new = world.draft(
        &mori,
        &world.id(),
        json!([set("title", "b", &[]), { "o": "new", "in": SOUTH }]),
    );
    assert_eq!(kept(&world, &mut mori, &boss, &late_new.text()).await?["code"], "bad_op");
    assert_eq!(world.record(&mori, &visit.rec()).await["rv"], 1);
    Ok(())
}

async fn limits_of_a_change_have_two_sides(store: Store) -> TestResult {
    let (world, mut mori, boss, visit) = scene(store).await?;
    let rec = visit.rec();
    let ops =
        |count: usize| -> Value { (0..count).map(|i| set(&format!("raw.f{i}"), 1, &[])).collect() };
    let sized = |bytes: usize| {
        let empty = world.draft(&mori, &rec, json!([set("opinion", "", &[])]));
        let fill = "x".repeat(bytes - empty.text().len());
        let mut draft = empty;
        draft.0["ops"][0]["v"] = json!(fill);
        draft
    };
    let dots =
        |count: u16| -> Vec<String> { (0..count).map(|i| format!("{}.{i}", visit.id())).collect() };
    let many: Vec<String> = (0..8_001).map(|_| world.id()).collect();
    for (draft, told) in [
        (world.draft(&mori, &rec, ops(500)), "ok"),
        (world.draft(&mori, &rec, ops(501)), "quarantined too_big"),
        (sized(CHANGE_BYTES_MAX), "ok"),
        (sized(CHANGE_BYTES_MAX + 1), "quarantined too_big"),
        (world.draft(&mori, &rec, json!([set("title", "b", &dots(2_000))])), "ok"),
        (world.draft(&mori, &rec, json!([set("title", "b", &dots(2_001))])), "quarantined too_big"),
        (world.draft(&mori, &rec, json!([{ "o": "del", "seen": many }])), "quarantined too_big"),
        (world.draft(&mori, &rec, json!([{ "o": "add", "f": "findings", "e": "r", "pos": "a".repeat(256) }])), "ok"),
        (world.draft(&mori, &rec, json!([{ "o": "rem", "f": "findings", "e": "r", "x": [], "why": "x".repeat(4_096) }])), "ok"),
    ] {
        let text = draft.text();
        let result = kept(&world, &mut mori, &boss, &text).await?;
        assert_eq!(outcome(&result), told, "{} bytes", text.len());
    }
    Ok(())
}

async fn early_dots_have_a_bound(store: Store) -> TestResult {
    let (world, mut mori, boss, visit) = scene(store).await?;
    let unknown =
        |count: usize| -> Vec<String> { (0..count).map(|_| format!("{}.0", world.id())).collect() };
    for (count, told) in [
        (600, "ok"),
        (401, "quarantined too_big"),
        (400, "ok"),
        (1, "quarantined too_big"),
        (0, "ok"),
    ] {
        let draft =
            world.draft(&mori, &visit.rec(), json!([set("opinion", count, &unknown(count))]));
        let result = kept(&world, &mut mori, &boss, &draft.text()).await?;
        assert_eq!(outcome(&result), told, "{count} more");
    }
    let path = |q: &Value| format!("/v1/quarantine/{}/release", q.as_str().unwrap_or_default());
    let open = world.get(&boss, "/v1/quarantine").await.ok();
    for row in items(&open["changes"]) {
        world.post(&boss, &path(&row["q"]), &json!({})).await.refused(422, "unprocessable");
    }
    let head = world.head().await?;
    mori.sync(&world, &[]).await;
    assert_eq!(world.head().await?, head);
    Ok(())
}

async fn a_dot_of_another_place_has_no_effect(store: Store) -> TestResult {
    let (world, mut mori, _, visit) = scene(store).await?;
    let rec = visit.rec();
    let row =
        world.draft(&mori, &rec, json!([{ "o": "add", "f": "findings", "e": "r", "pos": "a0" }]));
    mori.sync(&world, &[&row]).await;
    let title = visit.dot(1);
    let presence = format!("{}p", row.dot(0));
    for op in [
        set("opinion", "x", std::slice::from_ref(&title)),
        set("opinion", "x", &[visit.dot(0), row.dot(0)]),
        json!({ "o": "undel", "x": [title] }),
        json!({ "o": "rem", "f": "findings", "e": "other", "x": [presence] }),
        json!({ "o": "rem", "f": "findings", "e": "r", "x": [row.dot(0)] }),
        json!({ "o": "pos", "f": "findings", "e": "other", "pos": "a1", "x": [row.dot(0)], "px": [presence] }),
    ] {
        let draft = world.draft(&mori, &rec, json!([op]));
        assert_eq!(outcome(&mori.push(&world, &draft).await), "ok", "{op}");
    }
    let view = world.record(&mori, &rec).await["view"].clone();
    assert_eq!(view["fields"]["title"]["shown"], "first");
    let here: Vec<Value> = items(&view["lists"]["findings"]["rows"]);
    assert!(here.iter().any(|shown| shown["id"] == "r" && shown["pos"] == "a0"), "{view}");
    Ok(())
}

async fn a_bad_change_holds_up_no_other(store: Store) -> TestResult {
    let (world, mut mori, _, visit) = scene(store).await?;
    world.clock.advance(DAY);
    let edit =
        |value: &str| world.draft(&mori, &visit.rec(), json!([set("opinion", value, &[])])).text();
    let texts = [edit("a"), "{}".to_owned(), edit("b"), "\"\\ud800\"".to_owned(), edit("c")];
    let answer = mori.sync_texts(&world, &texts).await;
    let told: Vec<String> = items(&answer["results"]).iter().map(outcome).collect();
    assert_eq!(told, ["ok", "quarantined bad_op", "ok", "quarantined bad_op", "ok"]);
    let versions =
        world.record(&mori, &visit.rec()).await["view"]["fields"]["opinion"]["versions"].clone();
    assert_eq!(items(&versions).len(), 3);
    Ok(())
}
