//! Lists, histories and the inbox of conflicts, as a reader may see them: sync.md 2.4 and 2.8.

use crate::scenes::{note_about, visited};
use crate::support::{Draft, NORTH, SOUTH, TestResult, World, items, outcomes, set};
use serde_json::{Value, json};
use storage::Store;
use sync_protocol::form::Role;

storage::on_both!(
    lists_are_filtered,
    lists_come_in_pages,
    a_list_shows_what_the_reader_may_see,
    a_title_that_is_a_reference_is_read_by_who_may_see_the_record,
    history_comes_in_pages,
    disagreements_are_in_the_inbox_until_resolved,
    a_deletion_that_saw_everything_hides_the_record,
    a_deletion_with_unseen_edits_is_for_a_person,
);

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

/// A form whose title is a reference, to a visit or to another of its kind.
const ORDER: &str = r#"{
  "type": "order", "version": 1, "ja": "指示", "en": "Order", "title": "visit",
  "home": {"bucket": ["station"]}, "write": ["inspector"],
  "sections": [{"code": "A", "ja": "甲", "en": "A"}],
  "fields": [
    {"path": "visit", "section": "A", "kind": "ref", "ja": "記録", "en": "Record", "to": ["visit", "order"]},
    {"path": "grade", "section": "A", "kind": "choice", "ja": "程度", "en": "Grade", "merge": "strict", "choices": [
      {"code": "serious", "ja": "重大", "en": "Serious", "rank": 2}, {"code": "minor", "ja": "軽微", "en": "Minor", "rank": 1}]}]
}"#;

async fn a_title_that_is_a_reference_is_read_by_who_may_see_the_record(store: Store) -> TestResult {
    let world = World::new(store).await?;
    world.publish(ORDER).await?;
    let mut mori = world.inspector("mori").await?;
    world.grant(mori.user, NORTH, Role::Inspector).await?;
    let abe = world.person("abe", SOUTH, Role::Inspector).await?;
    let (near, far) = (world.new_visit(&mori, SOUTH), world.new_visit(&mori, NORTH));
    let order = |to: Value| {
        let ops = json!([{ "o": "new", "in": SOUTH }, set("visit", to, &[])]);
        world.draft(&mori, &world.id(), ops).with(json!({ "type": "order", "sv": 1 }))
    };
    let of_near = order(json!(near.rec()));
    let orders = [
        (&of_near, json!("first"), json!("first")),
        (&order(json!(far.rec())), json!("first"), Value::Null),
        (&order(json!(world.id())), Value::Null, Value::Null),
        (&order(json!(of_near.rec())), Value::Null, Value::Null),
        (&order(json!("no id")), Value::Null, Value::Null),
    ];
    let drafts: Vec<&Draft> =
        [&near, &far].into_iter().chain(orders.iter().map(|(order, ..)| *order)).collect();
    assert!(outcomes(&mori.sync(&world, &drafts).await).iter().all(|told| told == "ok"));
    for (reader, shows_far) in [(&mori, true), (&abe, false)] {
        let listed = world.get(reader, "/v1/records?type=order").await.ok();
        for (order, all, south) in &orders {
            let expected = if shows_far { all } else { south };
            let row = items(&listed["records"]).into_iter().find(|row| row["rec"] == order.rec());
            assert_eq!(row.ok_or("listed")?["title"], *expected);
            assert_eq!(world.record(reader, &order.rec()).await["title"], *expected);
        }
    }
    let of_far = orders[1].0;
    let grade = |value: &str| {
        let grade = world.draft(&mori, &of_far.rec(), json!([set("grade", value, &[])]));
        grade.with(json!({ "type": "order", "sv": 1 }))
    };
    let grades = [grade("serious"), grade("minor")];
    assert_eq!(outcomes(&mori.sync(&world, &grades.each_ref()).await), ["ok", "ok"]);
    for (reader, expected) in [(&mori, json!("first")), (&abe, Value::Null)] {
        let inbox = world.get(reader, "/v1/conflicts").await.ok();
        assert_eq!(inbox["records"][0]["record"]["title"], expected);
    }
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
