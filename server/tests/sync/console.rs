//! Edits from a browser: sync.md 2.8.

use crate::scenes::visited;
use crate::support::{NORTH, SOUTH, TestResult, World, outcome, set};
use serde_json::{Value, json};
use storage::Store;
use sync_protocol::form::Role;

storage::on_both!(
    an_edit_is_an_ordinary_change,
    an_edit_sent_twice_is_one,
    an_edit_beside_a_seal_says_what_it_saw,
    bad_edits_are_named_and_stored_nowhere,
    a_record_begins_at_the_console,
    another_tenant_is_another_world,
);

async fn an_edit_is_an_ordinary_change(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visit) = visited(&world).await?;
    mori.drain(&world).await;
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let shown = world.record(&boss, &visit.rec()).await;
    let x = shown["view"]["fields"]["title"]["versions"][0]["dots"].clone();
    assert_eq!(x, json!([visit.dot(1)]), "GET shows the dots that an edit names");
    let id = world.id();
    let ops = json!([{ "o": "set", "f": "title", "v": "from the office", "x": x }]);
    let made = world
        .edit(&boss, &visit.rec(), &json!({ "id": id, "ops": ops, "seen_rv": shown["rv"] }))
        .await;
    assert_eq!(made.ok(), json!({ "changes": [{ "id": id, "seq": 2 }], "late": null }));
    let answer = mori.sync(&world, &[]).await;
    let record = &answer["records"][0];
    assert_eq!(record["fields"]["title"], json!([[0, 0, "from the office"]]));
    assert_eq!(
        record["changes"][0],
        json!([id, world.now().0, boss.user]),
        "it is stamped at its receipt"
    );
    let history = world.get(&mori, &format!("/v1/records/{}/history", visit.rec())).await.ok();
    let row = &history["changes"][1];
    assert_eq!(
        (&row["via"], &row["by"], &row["device"]),
        (&json!("console"), &json!(boss.user), &Value::Null)
    );
    Ok(())
}

async fn an_edit_sent_twice_is_one(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, visit) = visited(&world).await?;
    let body = json!({ "id": world.id(), "ops": [set("opinion", "a", &[])] });
    let first = world.edit(&mori, &visit.rec(), &body).await.ok();
    world.clock.advance(1_000);
    assert_eq!(world.edit(&mori, &visit.rec(), &body).await.ok(), first);
    assert_eq!(world.head().await?, 2);
    let mut other = body.clone();
    other["ops"] = json!([set("opinion", "b", &[])]);
    world.edit(&mori, &visit.rec(), &other).await.refused(409, "conflict");
    let hara = world.inspector("hara").await?;
    world.edit(&hara, &visit.rec(), &body).await.refused(409, "conflict");
    let used = json!({ "id": visit.id(), "ops": [set("opinion", "b", &[])] });
    world.edit(&mori, &visit.rec(), &used).await.refused(409, "conflict");
    Ok(())
}

async fn an_edit_beside_a_seal_says_what_it_saw(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, visit) = visited(&world).await?;
    let chief = world.person("chief", SOUTH, Role::Approver).await?;
    let before = world.record(&chief, &visit.rec()).await;
    let seal =
        json!({ "rv": before["to_seal"]["rv"], "view_hash": before["to_seal"]["view_hash"] });
    world.post(&chief, &format!("/v1/records/{}/seal", visit.rec()), &seal).await.ok();
    let after = world.record(&mori, &visit.rec()).await;
    for (seen_rv, late) in [
        (before["rv"].clone(), "sealed"),
        (Value::Null, "sealed"),
        (after["rv"].clone(), "amendment"),
    ] {
        let mut body = json!({ "id": world.id(), "ops": [set("opinion", "a", &[])] });
        if !seen_rv.is_null() {
            // Each edit moves the revision on: the one that saw the seal comes from who looked again.
            body["seen_rv"] = if late == "amendment" {
                world.record(&mori, &visit.rec()).await["rv"].clone()
            } else {
                seen_rv
            };
        }
        assert_eq!(world.edit(&mori, &visit.rec(), &body).await.ok()["late"], late);
    }
    Ok(())
}

async fn bad_edits_are_named_and_stored_nowhere(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, visit) = visited(&world).await?;
    let head = world.head().await?;
    let many: Vec<Value> = (0..501).map(|_| set("opinion", "a", &[])).collect();
    let bad = |ops: Value| json!({ "id": world.id(), "ops": ops });
    let rec = visit.rec();
    for (body, status, name, told) in [
        (bad(json!([set("decision", "a", &[])])), 403, "forbidden", ""),
        (bad(json!([{ "o": "place", "in": [NORTH], "x": [] }])), 403, "forbidden", ""),
        (bad(json!([])), 422, "unprocessable", "bad_op"),
        (bad(json!({})), 422, "unprocessable", "bad_op"),
        (bad(json!("new")), 422, "unprocessable", "bad_op"),
        (bad(json!([{ "o": "dance" }])), 422, "unprocessable", "bad_op"),
        (bad(json!([set("opinion", 1.5, &[])])), 422, "unprocessable", "bad_op"),
        (bad(json!([set("opinion", "a\u{0}b", &[])])), 422, "unprocessable", "bad_op"),
        (bad(json!([set("a//b", "a", &[])])), 422, "unprocessable", "bad_op"),
        (bad(Value::Array(many)), 422, "unprocessable", "too_big"),
        (bad(json!([{ "o": "new", "in": SOUTH }])), 409, "conflict", ""),
        (json!({ "ops": [] }), 400, "bad-body", ""),
        (json!({ "id": "nonsense", "ops": [] }), 400, "bad-body", ""),
        (json!({ "id": world.id(), "ops": [], "by": mori.user }), 400, "bad-body", ""),
        (json!({ "id": world.id(), "ops": [], "seen_rv": "1" }), 400, "bad-body", ""),
    ] {
        let answer = world.edit(&mori, &rec, &body).await;
        answer.refused(status, name);
        assert!(answer.json()["reason"].as_str().unwrap_or_default() == told, "{}", answer.text);
    }
    let ops = json!([set("opinion", "a", &[])]);
    for rec in [world.id(), "nonsense".to_owned()] {
        world.edit(&mori, &rec, &bad(ops.clone())).await.refused(404, "not-found");
    }
    assert_eq!(world.head().await?, head);
    Ok(())
}

async fn a_record_begins_at_the_console(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, visit) = visited(&world).await?;
    let begin = |kind: Value, home: Value| json!({ "id": world.id(), "type": kind, "ops": [home] });
    let at = |bucket: &str| json!({ "o": "new", "in": bucket });
    let rec = world.id();
    world.edit(&mori, &rec, &begin(json!("visit"), at(SOUTH))).await.ok();
    assert_eq!(world.record(&mori, &rec).await["in"], json!([SOUTH]));
    let note = world.id();
    world
        .edit(&mori, &note, &begin(json!("note"), json!({ "o": "new", "about": visit.rec() })))
        .await
        .ok();
    assert_eq!(world.record(&mori, &note).await["about"], json!(visit.rec()));
    for (kind, home, status) in [
        (json!("visit"), at(NORTH), 403),
        (json!("visit"), at("everyone"), 403),
        (json!("note"), json!({ "o": "new", "about": world.id() }), 403),
        (json!("dance"), at(SOUTH), 422),
        (Value::Null, at(SOUTH), 422),
        (json!("visit"), at("nowhere"), 422),
    ] {
        let answer = world.edit(&mori, &world.id(), &begin(kind, home)).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    }
    Ok(())
}

async fn another_tenant_is_another_world(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, visit) = visited(&world).await?;
    let user = world.user_in("welfare", "mori").await?;
    for role in [Role::Supervisor, Role::Approver, Role::Inspector] {
        world.grant_as("welfare", user, SOUTH, role, |_| ()).await?;
    }
    let mut stranger = world.tablet_in("welfare", user).await?;
    let answers = stranger.drain(&world).await;
    assert!(answers.iter().all(|answer| answer["records"] == json!([])));
    for (method, rest, body) in [
        (0, "", json!({})),
        (0, "/history", json!({})),
        (1, "/changes", json!({ "id": world.id(), "ops": [set("title", "x", &[])] })),
        (1, "/move", json!({ "to": [SOUTH] })),
        (1, "/seal", json!({ "rv": 1, "view_hash": "sha256:0" })),
        (1, "/unseal", json!({ "why": "x" })),
    ] {
        let path = format!("/v1/records/{}{rest}", visit.rec());
        let answer = if method == 0 {
            world.get(&stranger, &path).await
        } else {
            world.post(&stranger, &path, &body).await
        };
        answer.refused(404, "not-found");
    }
    // The same ids there are other changes.
    let same = visit.with(json!({ "by": user }));
    assert_eq!(outcome(&stranger.push(&world, &same).await), "ok");
    stranger.cursor.clone_from(&mori.cursor);
    world.post_sync(&stranger, stranger.request(&world, &[])).await.refused(400, "bad-cursor");
    Ok(())
}
