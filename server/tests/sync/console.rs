//! Reading and writing online: edits from a browser, moves, lists, history and the inbox of conflicts: sync.md 2.4, 2.6, 2.8.

use crate::support::{
    Draft, NORTH, SOUTH, Tablet, TestResult, World, items, outcome, outcomes, set,
};
use serde_json::{Value, json};
use storage::Store;
use sync_protocol::form::Role;

storage::on_both!(
    an_edit_is_an_ordinary_change,
    an_edit_sent_twice_is_one,
    an_edit_beside_a_seal_says_what_it_saw,
    bad_edits_are_named_and_stored_nowhere,
    a_record_begins_at_the_console,
    a_move_takes_its_followers_along,
    a_follower_that_lies_elsewhere_stays,
    a_move_needs_both_places,
    bad_moves_are_named,
    lists_are_filtered,
    lists_come_in_pages,
    a_list_shows_what_the_reader_may_see,
    history_comes_in_pages,
    disagreements_are_in_the_inbox_until_resolved,
    a_deletion_that_saw_everything_hides_the_record,
    a_deletion_with_unseen_edits_is_for_a_person,
    another_tenant_is_another_world,
);

impl World {
    async fn edit(&self, who: &Tablet, rec: &str, body: &Value) -> crate::support::Answer {
        self.post(who, &format!("/v1/records/{rec}/changes"), body).await
    }
}

async fn visited(world: &World) -> TestResult<(Tablet, Draft)> {
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(world, &[&visit]).await;
    Ok((mori, visit))
}

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

async fn station_of(world: &World) -> TestResult<Tablet> {
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    world.grant(boss.user, NORTH, Role::Supervisor).await?;
    Ok(boss)
}

fn note_about(world: &World, who: &Tablet, rec: &str) -> Draft {
    let ops = json!([{ "o": "new", "about": rec }, set("text", "t", &[])]);
    world.draft(who, &world.id(), ops).with(json!({ "type": "note" }))
}

async fn a_move_takes_its_followers_along(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visit) = visited(&world).await?;
    let boss = station_of(&world).await?;
    let note = note_about(&world, &mori, &visit.rec());
    let deeper = note_about(&world, &mori, &note.rec());
    mori.sync(&world, &[&note, &deeper]).await;
    mori.drain(&world).await;
    world.clock.advance(1);
    let path = format!("/v1/records/{}/move", visit.rec());
    let body = json!({ "id": world.id(), "to": [NORTH] });
    let made = world.post(&boss, &path, &body).await.ok();
    let mut seqs: Vec<i64> =
        items(&made["changes"]).iter().filter_map(|c| c["seq"].as_i64()).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, [4, 5, 6], "each has a seq of its own");
    world.post(&boss, &path, &body).await.ok();
    assert_eq!(world.head().await?, 6, "twice is once");
    for rec in [visit.rec(), note.rec(), deeper.rec()] {
        assert_eq!(world.record(&boss, &rec).await["in"], json!([NORTH]));
        world.get(&mori, &format!("/v1/records/{rec}")).await.refused(404, "not-found");
    }
    let answer = mori.sync(&world, &[]).await;
    assert_eq!(items(&answer["leave"]).len(), 3);
    let later = note_about(&world, &mori, &visit.rec());
    assert_eq!(outcome(&mori.push(&world, &later).await), "late left_scope");
    assert_eq!(
        world.record(&boss, &later.rec()).await["in"],
        json!([NORTH]),
        "where its subject lies now"
    );
    Ok(())
}

async fn a_follower_that_lies_elsewhere_stays(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visit) = visited(&world).await?;
    let boss = station_of(&world).await?;
    world.grant(boss.user, "station:east", Role::Supervisor).await?;
    let note = note_about(&world, &mori, &visit.rec());
    mori.sync(&world, &[&note]).await;
    let relocate = async |rec: &str, to: &str| {
        world.post(&boss, &format!("/v1/records/{rec}/move"), &json!({ "to": [to] })).await.ok()
    };
    relocate(&note.rec(), NORTH).await;
    relocate(&visit.rec(), "station:east").await;
    assert_eq!(world.record(&boss, &note.rec()).await["in"], json!([NORTH]));
    Ok(())
}

async fn a_move_needs_both_places(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, visit) = visited(&world).await?;
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let north = world.person("abe", NORTH, Role::Supervisor).await?;
    let path = format!("/v1/records/{}/move", visit.rec());
    let to = json!({ "to": [NORTH] });
    for (who, status, name) in
        [(&mori, 403, "forbidden"), (&boss, 403, "forbidden"), (&north, 404, "not-found")]
    {
        world.post(who, &path, &to).await.refused(status, name);
    }
    assert_eq!(world.record(&mori, &visit.rec()).await["in"], json!([SOUTH]));
    Ok(())
}

async fn bad_moves_are_named(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (_, visit) = visited(&world).await?;
    let boss = station_of(&world).await?;
    let path = format!("/v1/records/{}/move", visit.rec());
    let many: Vec<String> = (0..17).map(|i| format!("station:s{i}")).collect();
    for (body, status, name) in [
        (json!({ "to": [] }), 422, "unprocessable"),
        (json!({ "to": many }), 422, "unprocessable"),
        (json!({ "to": ["south"] }), 400, "bad-body"),
        (json!({ "to": NORTH }), 400, "bad-body"),
        (json!({}), 400, "bad-body"),
        (json!({ "to": [NORTH], "id": visit.id() }), 409, "conflict"),
    ] {
        world.post(&boss, &path, &body).await.refused(status, name);
    }
    Ok(())
}

async fn lists_are_filtered(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visit) = visited(&world).await?;
    world.grant(mori.user, NORTH, Role::Inspector).await?;
    let second = world.new_visit(&mori, NORTH);
    let note = note_about(&world, &mori, &visit.rec());
    let done = json!([set("status", json!({ "from": "draft", "to": "done" }), &[])]);
    let done = world.draft(&mori, &second.rec(), done);
    assert_eq!(outcomes(&mori.sync(&world, &[&second, &note, &done]).await), ["ok", "ok", "ok"]);
    for (query, expected) in [
        (String::new(), vec![&second, &note, &visit]),
        ("type=note".to_owned(), vec![&note]),
        ("type=nothing".to_owned(), vec![]),
        (format!("bucket={SOUTH}"), vec![&note, &visit]),
        ("bucket=station:foreign".to_owned(), vec![]),
        (format!("about={}", visit.rec()), vec![&note]),
        ("state=done".to_owned(), vec![&second]),
        ("since=2".to_owned(), vec![&second, &note]),
        ("flag=conflict".to_owned(), vec![]),
        (format!("type=visit&bucket={NORTH}&state=done"), vec![&second]),
    ] {
        let listed = world.get(&mori, &format!("/v1/records?{query}")).await.ok();
        let recs: Vec<Value> =
            items(&listed["records"]).iter().map(|row| row["rec"].clone()).collect();
        assert_eq!(
            recs,
            expected.iter().map(|draft| json!(draft.rec())).collect::<Vec<_>>(),
            "{query}"
        );
    }
    let listed = world.get(&mori, "/v1/records?state=done").await.ok();
    let row = &listed["records"][0];
    assert_eq!(
        (&row["title"], &row["status"], &row["rv"]),
        (&json!("first"), &json!("done"), &json!(4))
    );
    for query in [
        "type=a/b",
        "bucket=x",
        "about=x",
        "since=x",
        "limit=0",
        "limit=201",
        "after=x",
        "order=rv",
    ] {
        world.get(&mori, &format!("/v1/records?{query}")).await.refused(400, "bad-parameter");
    }
    Ok(())
}

async fn lists_come_in_pages(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visits: Vec<Draft> = (0..7).map(|_| world.new_visit(&mori, SOUTH)).collect();
    mori.sync(&world, &visits.iter().collect::<Vec<_>>()).await;
    for limit in [1, 2, 3, 7, 200] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        for _ in 0..10 {
            let page = world.get(&mori, &format!("/v1/records?limit={limit}{after}")).await.ok();
            seen.extend(items(&page["records"]).iter().map(|row| row["rec"].clone()));
            let Some(next) = page["next"].as_i64() else { break };
            after = format!("&after={next}");
        }
        let newest_first: Vec<Value> =
            visits.iter().rev().map(|visit| json!(visit.rec())).collect();
        assert_eq!(seen, newest_first, "{limit} a page");
    }
    Ok(())
}

async fn a_list_shows_what_the_reader_may_see(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (_, visit) = visited(&world).await?;
    let north = world.person("abe", NORTH, Role::Auditor).await?;
    for path in [
        "/v1/records",
        &format!("/v1/records?bucket={SOUTH}"),
        "/v1/conflicts",
        "/v1/records?flag=conflict",
    ] {
        assert_eq!(world.get(&north, path).await.ok()["records"], json!([]), "{path}");
    }
    let there = world.get(&north, &format!("/v1/records/{}", visit.rec())).await;
    let nowhere = world.get(&north, &format!("/v1/records/{}", world.id())).await;
    there.refused(404, "not-found");
    assert_eq!(there.text, nowhere.text);
    Ok(())
}

async fn history_comes_in_pages(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visit) = visited(&world).await?;
    let edits: Vec<Draft> =
        (0..4).map(|i| world.draft(&mori, &visit.rec(), json!([set("opinion", i, &[])]))).collect();
    mori.sync(&world, &edits.iter().collect::<Vec<_>>()).await;
    let (mut seen, mut after) = (Vec::new(), 0);
    for _ in 0..10 {
        let path = format!("/v1/records/{}/history?limit=2&after={after}", visit.rec());
        let page = world.get(&mori, &path).await.ok();
        seen.extend(items(&page["changes"]).iter().map(|row| row["change"].clone()));
        let Some(next) = page["next"].as_i64() else { break };
        after = next;
    }
    let authored: Vec<Value> =
        std::iter::once(&visit).chain(&edits).map(|draft| draft.0.clone()).collect();
    assert_eq!(seen, authored);
    let path = format!("/v1/records/{}/history", visit.rec());
    for query in ["limit=0", "limit=201", "after=x"] {
        world.get(&mori, &format!("{path}?{query}")).await.refused(400, "bad-parameter");
    }
    Ok(())
}

async fn disagreements_are_in_the_inbox_until_resolved(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visit) = visited(&world).await?;
    let rec = visit.rec();
    let result = |value: &str, x: &[String]| {
        world.draft(&mori, &rec, json!([set("checks.F07.result", value, x)]))
    };
    let (good, bad) = (result("good", &[]), result("bad", &[]));
    let agreed = result("bad", &[good.dot(0), bad.dot(0)]);
    let remark =
        |text: &str, x: &[String]| world.draft(&mori, &rec, json!([set("opinion", text, x)]));
    let base = remark("始め。中。終わり。", &[]);
    let one = remark("始め。加えた。中。終わり。", &[base.dot(0)]);
    let two = remark("始め。中。終わり。後で。", &[base.dot(0)]);
    let saved = remark("始め。加えた。中。終わり。後で。", &[one.dot(0), two.dot(0)]);
    mori.sync(&world, &[&good, &bad, &base, &one, &two]).await;
    let inbox = world.get(&mori, "/v1/conflicts").await.ok();
    let row = &inbox["records"][0];
    assert_eq!(
        (&row["record"]["rec"], &row["conflicts"]),
        (&json!(rec), &json!(["checks.F07.result", "opinion"]))
    );
    let shown = world.record(&mori, &rec).await;
    assert_eq!(
        shown["view"]["fields"]["checks.F07.result"]["shown"], "bad",
        "the graver one is shown"
    );
    assert_eq!(shown["view"]["fields"]["opinion"]["shown"], "始め。加えた。中。終わり。後で。");
    assert_eq!(shown["state"]["bases"]["opinion"][0]["dot"], json!(base.dot(0)));
    assert_eq!(shown["state"]["bases"]["opinion"][0]["v"], "始め。中。終わり。");
    mori.sync(&world, &[&agreed, &saved]).await;
    assert_eq!(world.get(&mori, "/v1/conflicts").await.ok()["records"], json!([]));
    Ok(())
}

async fn a_deletion_that_saw_everything_hides_the_record(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visit) = visited(&world).await?;
    let del = world.draft(
        &mori,
        &visit.rec(),
        json!([{ "o": "del", "seen": [visit.id()], "why": "twice" }]),
    );
    mori.sync(&world, &[&del]).await;
    assert_eq!(world.record(&mori, &visit.rec()).await["view"]["deleted"], "yes");
    assert_eq!(world.get(&mori, "/v1/records").await.ok()["records"], json!([]));
    let deleted = world.get(&mori, "/v1/records?flag=deleted").await.ok();
    assert_eq!(deleted["records"][0]["rec"], json!(visit.rec()));
    assert_eq!(world.get(&mori, "/v1/conflicts").await.ok()["records"], json!([]));
    let undel = world.draft(&mori, &visit.rec(), json!([{ "o": "undel", "x": [del.dot(0)] }]));
    mori.sync(&world, &[&undel]).await;
    assert_eq!(items(&world.get(&mori, "/v1/records").await.ok()["records"]).len(), 1);
    Ok(())
}

async fn a_deletion_with_unseen_edits_is_for_a_person(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visit) = visited(&world).await?;
    let mut hara = world.inspector("hara").await?;
    let edit = world.draft(&hara, &visit.rec(), json!([set("opinion", "unseen", &[])]));
    let del = world.draft(&mori, &visit.rec(), json!([{ "o": "del", "seen": [visit.id()] }]));
    hara.sync(&world, &[&edit]).await;
    mori.sync(&world, &[&del]).await;
    let shown = world.record(&mori, &visit.rec()).await;
    assert_eq!(
        (&shown["view"]["deleted"], &shown["conflicts"]),
        (&json!("contested"), &json!(["deleted"]))
    );
    assert_eq!(shown["view"]["fields"]["opinion"]["shown"], "unseen");
    assert_eq!(
        world.get(&mori, "/v1/records").await.ok()["records"],
        json!([]),
        "out of the lists"
    );
    let inbox = world.get(&mori, "/v1/conflicts").await.ok();
    assert_eq!(inbox["records"][0]["record"]["rec"], json!(visit.rec()), "and before a person");
    let listed = world.get(&mori, "/v1/records?flag=delete_conflict").await.ok();
    assert_eq!(items(&listed["records"]).len(), 1);
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
