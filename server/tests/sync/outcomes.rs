//! What becomes of a change: applied, repeated, late or in quarantine, and how it comes out again: sync.md 2.6 and 2.8.

use crate::forms::SURVEY;
use crate::support::{
    DAY, Draft, NORTH, SOUTH, Tablet, TestResult, World, items, outcome, outcomes, set, tenant,
};
use serde_json::{Value, json};
use storage::{DeviceState, Store};
use sync_protocol::form::Role;

storage::on_both!(
    a_change_is_stored_byte_for_byte,
    unknown_and_foreign_records_look_the_same,
    only_who_may_write_a_field_writes_it,
    what_only_the_server_makes_is_forbidden,
    an_author_is_who_holds_the_device,
    an_id_with_other_content_is_kept_beside,
    a_second_new_is_kept_beside,
    what_waits_is_applied_when_its_record_comes,
    what_waits_in_the_same_push_is_applied,
    what_is_about_a_record_follows_it_downwards,
    an_unknown_type_waits_for_its_form,
    a_tablet_learns_what_became_of_its_work_and_nothing_else,
    a_revoked_device_deposits,
    a_form_releases_nothing_of_a_revoked_device,
    a_stolen_device_is_refused,
    work_of_who_left_is_late_for_ninety_days,
    a_record_that_moved_away_takes_late_work,
    who_was_never_there_together_with_the_record_is_refused,
    a_supervisor_of_the_place_releases,
    releasing_tries_what_came_later,
    a_closed_change_stays_known,
    nobody_else_releases_or_closes,
    what_claims_no_place_is_for_the_unplaced_inbox,
    the_inbox_has_pages_and_states,
);

async fn a_change_is_stored_byte_for_byte(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    let text = visit.text().replace("\"sv\":3", "\"sv\" : 3 , \"later\":[ {} ]");
    let answer = mori.sync_texts(&world, std::slice::from_ref(&text)).await;
    assert_eq!(outcomes(&answer), ["ok"]);
    let result = &answer["results"][0];
    assert_eq!(
        (&result["n"], &result["id"], &result["seq"]),
        (&json!(1), &json!(visit.id()), &json!(1))
    );
    let tx = &mut world.state.store.read().await?;
    let stored = tx.journal().of_record(&tenant("fire"), visit.rec().parse()?).await?;
    assert_eq!(stored.first().map(|row| row.body.as_slice()), Some(text.as_bytes()));
    let history = world.get(&mori, &format!("/v1/records/{}/history", visit.rec())).await;
    assert!(history.text.contains("\"sv\" : 3 , \"later\":[ {} ]"), "{}", history.text);
    Ok(())
}

async fn unknown_and_foreign_records_look_the_same(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut hara = world.person("hara", NORTH, Role::Inspector).await?;
    let foreign = world.new_visit(&hara, NORTH);
    hara.sync(&world, &[&foreign]).await;
    let mut mori = world.inspector("mori").await?;
    mori.drain(&world).await;
    let ops = json!([set("title", "mine", &[])]);
    let about = |rec: &str| json!([{ "o": "new", "about": rec }]);
    let mut seen = Vec::new();
    for rec in [foreign.rec(), world.id()] {
        let edit = world.draft(&mori, &rec, ops.clone());
        let note = world.draft(&mori, &world.id(), about(&rec)).with(json!({ "type": "note" }));
        let claim = world.draft(&mori, &rec, json!([{ "o": "new", "in": NORTH }]));
        let answer = mori.sync(&world, &[&edit, &note, &claim]).await;
        assert_eq!(outcomes(&answer), ["quarantined forbidden"; 3]);
        let mut text = answer.to_string();
        for part in ["lease", "cursor"] {
            text = text.replace(&answer[part].to_string(), "");
        }
        for result in items(&answer["results"]) {
            for part in ["id", "q", "n", "seq"] {
                text = text.replace(&format!("\"{part}\":{}", result[part]), "");
            }
        }
        seen.push(text.replace(&answer["known"].to_string(), ""));
        let shown = [
            world.get(&mori, &format!("/v1/records/{rec}")).await,
            world.get(&mori, &format!("/v1/records/{rec}/history")).await,
            world.post(&mori, &format!("/v1/records/{rec}/unseal"), &json!({ "why": "x" })).await,
        ];
        for answer in &shown {
            answer.refused(404, "not-found");
        }
        seen.push(shown.map(|answer| answer.text).concat());
    }
    assert_eq!(seen[0], seen[2]);
    assert_eq!(seen[1], seen[3]);
    Ok(())
}

async fn only_who_may_write_a_field_writes_it(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    let sato = world.person("sato", SOUTH, Role::Supervisor).await?;
    let reader = world.person("abe", SOUTH, Role::Reader).await?;
    let mut people = [mori, sato, reader];
    for (who, ops, told) in [
        (0, json!([set("opinion", "a", &[])]), "ok"),
        (0, json!([set("raw.unknown_field", 7, &[])]), "ok"),
        (0, json!([set("decision", "a", &[])]), "quarantined forbidden"),
        // One op that is not allowed: the whole change waits.
        (0, json!([set("opinion", "b", &[]), set("decision", "a", &[])]), "quarantined forbidden"),
        (0, json!([set("number", "1", &[])]), "quarantined forbidden"),
        (1, json!([set("decision", "a", &[])]), "ok"),
        (1, json!([set("number", "1", &[])]), "quarantined forbidden"),
        (
            1,
            json!([set("status", json!({ "from": "draft", "to": "done" }), &[])]),
            "quarantined forbidden",
        ),
        (0, json!([set("status", json!({ "from": "draft", "to": "done" }), &[])]), "ok"),
        (2, json!([set("opinion", "a", &[])]), "quarantined forbidden"),
        (2, json!([{ "o": "del", "seen": [] }]), "quarantined forbidden"),
    ] {
        let who = &mut people[who];
        let draft = world.draft(who, &visit.rec(), ops.clone());
        assert_eq!(outcome(&who.push(&world, &draft).await), told, "{ops}");
    }
    let [mut mori, _, mut reader] = people;
    let shown = world.record(&mori, &visit.rec()).await;
    assert_eq!(shown["view"]["fields"]["opinion"]["shown"], "a", "nothing of a change that waits");
    assert_eq!(shown["view"]["fields"]["raw.unknown_field"]["shown"], 7);
    let new = world.new_visit(&reader, SOUTH);
    assert_eq!(outcome(&reader.push(&world, &new).await), "quarantined forbidden");
    let everyone = world.new_visit(&mori, "everyone");
    assert_eq!(outcome(&mori.push(&world, &everyone).await), "quarantined forbidden");
    Ok(())
}

async fn what_only_the_server_makes_is_forbidden(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    for role in [Role::Supervisor, Role::Approver] {
        world.grant(mori.user, SOUTH, role).await?;
    }
    let id = visit.id();
    for op in [
        json!({ "o": "place", "in": [NORTH], "x": [] }),
        json!({ "o": "seal", "rv": 1, "covers": [id], "view_hash": "sha256:0", "x": [] }),
        json!({ "o": "unseal", "x": [], "why": "because" }),
        json!({ "o": "accept", "change": id, "x": [] }),
        json!({ "o": "aside", "change": id, "x": [], "why": "because" }),
    ] {
        for ops in [json!([op]), json!([set("title", "b", &[]), op])] {
            let draft = world.draft(&mori, &visit.rec(), ops);
            assert_eq!(outcome(&mori.push(&world, &draft).await), "quarantined forbidden", "{op}");
        }
    }
    let shown = world.record(&mori, &visit.rec()).await;
    assert_eq!((&shown["in"], &shown["rv"]), (&json!([SOUTH]), &json!(1)));
    assert_eq!(shown["state"]["seal"], Value::Null);
    Ok(())
}

async fn an_author_is_who_holds_the_device(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let hara = world.inspector("hara").await?;
    let forged = world.new_visit(&hara, SOUTH);
    assert_eq!(outcome(&mori.push(&world, &forged).await), "quarantined forbidden");
    let nobody = world.new_visit(&hara, SOUTH).with(json!({ "by": world.id() }));
    assert_eq!(outcome(&mori.push(&world, &nobody).await), "quarantined forbidden");
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let open = world.get(&boss, "/v1/quarantine").await.ok();
    assert_eq!(items(&open["changes"]).len(), 2);
    assert_eq!(open["changes"][0]["by"], json!(mori.user), "the one who sent it answers for it");
    let path =
        format!("/v1/quarantine/{}/release", open["changes"][0]["q"].as_str().unwrap_or_default());
    world.post(&boss, &path, &json!({})).await.refused(422, "unprocessable");
    Ok(())
}

async fn an_id_with_other_content_is_kept_beside(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    let other = visit.with(json!({ "sv": 2 }));
    let first = mori.push(&world, &other).await;
    assert_eq!(outcome(&first), "quarantined id_reuse");
    let again = mori.push(&world, &other).await;
    assert_eq!(outcome(&again), "dup quarantined id_reuse");
    assert_eq!(again["q"], first["q"]);
    assert_eq!(outcome(&mori.push(&world, &visit).await), "dup ok");
    let mut envelope = mori.envelope(&world);
    envelope["open"] = json!([visit.id()]);
    let asked = world.post_sync(&mori, envelope.to_string()).await.ok();
    assert_eq!(asked["results"], json!([]), "its other text is still open");
    mori.take(&asked);
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let path = format!("/v1/quarantine/{}/release", first["q"].as_str().unwrap_or_default());
    world.post(&boss, &path, &json!({})).await.refused(422, "unprocessable");
    Ok(())
}

async fn a_second_new_is_kept_beside(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    let second = Draft(visit.with(json!({ "id": world.id() })).0);
    let answer = mori.sync(&world, &[&visit, &second]).await;
    assert_eq!(outcomes(&answer), ["ok", "quarantined id_reuse"]);
    let other = world.draft(&mori, &visit.rec(), json!([set("title", "x", &[])]));
    let other = other.with(json!({ "type": "note" }));
    assert_eq!(outcome(&mori.push(&world, &other).await), "quarantined forbidden", "another kind");
    Ok(())
}

async fn what_waits_is_applied_when_its_record_comes(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    let edit = world.draft(&mori, &visit.rec(), json!([set("title", "second", &[visit.dot(1)])]));
    let early = mori.push(&world, &edit).await;
    assert_eq!(outcome(&early), "quarantined forbidden");
    world.clock.advance(1_000);
    let mut envelope = mori.envelope(&world);
    envelope["open"] = json!([edit.id()]);
    let text = crate::support::with_changes(&envelope, &[visit.text()]);
    let answer = world.post_sync(&mori, text).await.ok();
    assert_eq!(outcomes(&answer), ["ok", "ok"]);
    let released = &answer["results"][1];
    assert_eq!(released["id"], json!(edit.id()));
    assert!(released.get("n").is_none());
    assert_eq!(released["seq"], 3, "its release takes a seq of its own");
    assert_eq!(released["t_eff"], early["t_eff"], "and it keeps its stamp");
    mori.take(&answer);
    let shown = world.record(&mori, &visit.rec()).await;
    assert_eq!(shown["view"]["fields"]["title"]["shown"], "second");
    assert_eq!(shown["view"]["fields"]["title"]["mark"], "agreed");
    mori.replica = world.id();
    (mori.lease, mori.next) = (Value::Null, 1);
    assert_eq!(outcome(&mori.push(&world, &edit).await), "dup ok");
    Ok(())
}

async fn what_waits_in_the_same_push_is_applied(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    let edit = world.draft(&mori, &visit.rec(), json!([set("title", "second", &[visit.dot(1)])]));
    let note = world.draft(&mori, &world.id(), json!([{ "o": "new", "about": visit.rec() }]));
    let note = note.with(json!({ "type": "note" }));
    let text = world.draft(&mori, &note.rec(), json!([set("text", "t", &[])]));
    let text = text.with(json!({ "type": "note" }));
    let answer = mori.sync(&world, &[&text, &note, &edit, &visit]).await;
    assert_eq!(outcomes(&answer), ["ok", "ok", "ok", "ok"]);
    let shown = world.record(&mori, &visit.rec()).await;
    assert_eq!(shown["view"]["fields"]["title"]["shown"], "second");
    let note = world.record(&mori, &note.rec()).await;
    assert_eq!(
        (&note["view"]["fields"]["text"]["shown"], &note["in"]),
        (&json!("t"), &json!([SOUTH]))
    );
    let answers = mori.drain(&world).await;
    assert_eq!(answers.iter().map(|answer| items(&answer["records"]).len()).sum::<usize>(), 2);
    Ok(())
}

async fn what_is_about_a_record_follows_it_downwards(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    let note_about = |rec: &str| {
        let ops = json!([{ "o": "new", "about": rec }, set("text", "t", &[])]);
        world.draft(&mori, &world.id(), ops).with(json!({ "type": "note" }))
    };
    let first = note_about(&visit.rec());
    let second = note_about(&first.rec());
    let third = note_about(&second.rec());
    let edit = world.draft(&mori, &third.rec(), json!([set("text", "u", &[third.dot(1)])]));
    let edit = edit.with(json!({ "type": "note" }));
    for waiting in [&edit, &third, &second, &first] {
        assert_eq!(outcome(&mori.push(&world, waiting).await), "quarantined forbidden");
    }
    assert_eq!(outcome(&mori.push(&world, &visit).await), "ok");
    let shown = world.record(&mori, &third.rec()).await;
    assert_eq!(shown["view"]["fields"]["text"]["shown"], "u");
    assert_eq!((&shown["about"], &shown["in"]), (&json!(second.rec()), &json!([SOUTH])));
    Ok(())
}

async fn an_unknown_type_waits_for_its_form(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let mut hara = world.person("hara", NORTH, Role::Reader).await?;
    let survey = world.new_visit(&mori, SOUTH).with(json!({ "type": "survey" }));
    let edit = world.draft(&mori, &survey.rec(), json!([set("title", "b", &[survey.dot(1)])]));
    let edit = edit.with(json!({ "type": "survey" }));
    let foreign = world.new_visit(&hara, NORTH).with(json!({ "type": "survey" }));
    let before = mori.sync(&world, &[&survey, &edit]).await;
    assert_eq!(outcomes(&before), ["quarantined unknown_type", "quarantined unknown_type"]);
    assert_eq!(outcome(&hara.push(&world, &foreign).await), "quarantined unknown_type");
    world.publish(SURVEY).await?;
    let mut envelope = mori.envelope(&world);
    envelope["open"] = json!([survey.id(), edit.id()]);
    let answer = world.post_sync(&mori, envelope.to_string()).await.ok();
    assert_eq!(outcomes(&answer), ["ok", "ok"]);
    assert_ne!(answer["bundle"], before["bundle"]);
    mori.take(&answer);
    let shown = world.record(&mori, &survey.rec()).await;
    assert_eq!(shown["title"], "b");
    assert_eq!(
        outcome(&hara.push(&world, &foreign).await),
        "dup quarantined unknown_type",
        "a reader may not"
    );
    Ok(())
}

async fn a_tablet_learns_what_became_of_its_work_and_nothing_else(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let mut hara = world.inspector("hara").await?;
    let own = world.new_visit(&mori, SOUTH);
    let waiting = world.draft(&mori, &world.id(), json!([set("title", "x", &[])]));
    mori.sync(&world, &[&own, &waiting]).await;
    let ask = |ids: Value, tablet: &Tablet| {
        let mut envelope = tablet.envelope(&world);
        envelope["open"] = ids;
        envelope.to_string()
    };
    let ids = json!([own.id(), waiting.id(), world.id()]);
    let answer = world.post_sync(&mori, ask(ids.clone(), &mori)).await.ok();
    assert_eq!(outcomes(&answer), ["ok"], "what is open or unknown is not told");
    let answer = world.post_sync(&hara, ask(ids, &hara)).await.ok();
    assert_eq!(answer["results"], json!([]), "nor is the work of others");
    hara.take(&answer);
    Ok(())
}

async fn a_revoked_device_deposits(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    mori.drain(&world).await;
    world.set_aside(&mori, DeviceState::Revoked).await?;
    let edit = world.draft(&mori, &visit.rec(), json!([set("title", "b", &[visit.dot(1)])]));
    let mut other = world.inspector("hara").await?;
    other.sync(&world, &[&world.new_visit(&other, SOUTH)]).await;
    let answer = mori.sync(&world, &[&edit]).await;
    assert_eq!(outcomes(&answer), ["quarantined revoked"]);
    for part in ["leave", "enter", "records", "snap"] {
        assert_eq!(answer[part], json!([]), "{part}");
    }
    assert_eq!(outcome(&mori.push(&world, &visit).await), "dup ok");
    // A fresh copy of a revoked tablet can go on handing in, with the cursor that it was given.
    mori.replica = world.id();
    (mori.lease, mori.cursor, mori.next) = (Value::Null, Value::Null, 1);
    for _ in 0..2 {
        assert_eq!(mori.sync(&world, &[]).await["records"], json!([]));
    }
    for path in ["/v1/records", "/v1/conflicts", "/v1/quarantine"] {
        world.get(&mori, path).await.refused(403, "forbidden");
    }
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let open = world.get(&boss, "/v1/quarantine").await.ok();
    let path =
        format!("/v1/quarantine/{}/release", open["changes"][0]["q"].as_str().unwrap_or_default());
    world.post(&boss, &path, &json!({ "why": "he handed it in" })).await.ok();
    assert_eq!(world.record(&boss, &visit.rec()).await["title"], "b");
    Ok(())
}

async fn a_form_releases_nothing_of_a_revoked_device(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    mori.sync(&world, &[]).await;
    world.set_aside(&mori, DeviceState::Revoked).await?;
    let survey = world.new_visit(&mori, SOUTH).with(json!({ "type": "survey" }));
    assert_eq!(outcome(&mori.push(&world, &survey).await), "quarantined revoked");
    world.publish(SURVEY).await?;
    mori.next = 1;
    assert_eq!(outcome(&mori.push(&world, &survey).await), "dup quarantined revoked");
    Ok(())
}

async fn a_stolen_device_is_refused(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    mori.sync(&world, &[]).await;
    world.set_aside(&mori, DeviceState::Stolen).await?;
    let visit = world.new_visit(&mori, SOUTH);
    let answer = world.post_sync(&mori, mori.request(&world, &[visit.text()])).await;
    answer.refused(403, "device-stolen");
    assert_eq!(world.head().await?, 0);
    Ok(())
}

async fn work_of_who_left_is_late_for_ninety_days(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    mori.drain(&world).await;
    let user = mori.user;
    let rows = world.state.store.read().await?.grants().of_users(&tenant("fire"), &[user]).await?;
    world.clock.advance(DAY);
    world.end(&rows[0]).await?;
    let head = world.sync_head(&mut mori).await;
    for (wait, told) in
        [(0, "late left_scope"), (90 * DAY - 1, "late left_scope"), (1, "quarantined forbidden")]
    {
        world.clock.advance(wait);
        let edit = world.draft(&mori, &visit.rec(), json!([set("title", "late", &[])]));
        let new = world.new_visit(&mori, SOUTH);
        let answer = mori.sync(&world, &[&edit, &new]).await;
        assert_eq!(outcomes(&answer), [told, told], "after {wait}");
        assert_eq!(answer["records"], json!([]), "the answer never holds the record");
    }
    assert!(head > 0);
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let inbox = world.get(&boss, "/v1/conflicts").await.ok();
    assert_eq!(items(&inbox["records"]).len(), 3, "the present bucket hears of it: {inbox}");
    let listed = world.get(&boss, "/v1/records?flag=left_scope").await.ok();
    assert_eq!(items(&listed["records"]).len(), 3);
    Ok(())
}

async fn a_record_that_moved_away_takes_late_work(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    world.grant(boss.user, NORTH, Role::Supervisor).await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    mori.drain(&world).await;
    world.clock.advance(DAY);
    let to = json!({ "to": [NORTH] });
    world.post(&boss, &format!("/v1/records/{}/move", visit.rec()), &to).await.ok();
    let edit = world.draft(&mori, &visit.rec(), json!([set("title", "late", &[visit.dot(1)])]));
    let answer = mori.sync(&world, &[&edit]).await;
    assert_eq!(outcomes(&answer), ["late left_scope"]);
    assert_eq!(answer["records"], json!([]));
    assert_eq!(answer["leave"][0]["rec"], json!(visit.rec()));
    assert_eq!(world.record(&boss, &visit.rec()).await["title"], "late");
    world.clock.advance(90 * DAY);
    let edit = world.draft(&mori, &visit.rec(), json!([set("title", "later", &[edit.dot(0)])]));
    assert_eq!(outcome(&mori.push(&world, &edit).await), "quarantined forbidden");
    Ok(())
}

/// The grant ended before the record came: there was no common instant.
async fn who_was_never_there_together_with_the_record_is_refused(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let user = world.user("mori").await?;
    let grant = world.grant(user, SOUTH, Role::Inspector).await?;
    let mut mori = world.tablet(user).await?;
    world.clock.advance(DAY);
    world.end(&grant).await?;
    world.clock.advance(1);
    let mut hara = world.inspector("hara").await?;
    let visit = world.new_visit(&hara, SOUTH);
    hara.sync(&world, &[&visit]).await;
    let edit = world.draft(&mori, &visit.rec(), json!([set("title", "b", &[])]));
    assert_eq!(outcome(&mori.push(&world, &edit).await), "quarantined forbidden");
    Ok(())
}

impl World {
    async fn sync_head(&self, tablet: &mut Tablet) -> i64 {
        tablet.sync(self, &[]).await;
        self.head().await.unwrap_or_default()
    }

    async fn release(&self, who: &Tablet, result: &Value) -> crate::support::Answer {
        let q = result["q"].as_str().unwrap_or_default();
        self.post(who, &format!("/v1/quarantine/{q}/release"), &json!({ "why": "looked at" })).await
    }

    async fn close(&self, who: &Tablet, result: &Value) -> crate::support::Answer {
        let q = result["q"].as_str().unwrap_or_default();
        self.post(who, &format!("/v1/quarantine/{q}/close"), &json!({ "why": "not ours" })).await
    }
}

async fn a_supervisor_of_the_place_releases(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    let edit = world.draft(&mori, &visit.rec(), json!([set("decision", "yes", &[])]));
    let waiting = mori.push(&world, &edit).await;
    assert_eq!(outcome(&waiting), "quarantined forbidden");
    let open = world.get(&boss, "/v1/quarantine").await.ok();
    let row = &open["changes"][0];
    assert_eq!(
        (&row["q"], &row["code"], &row["text"]),
        (&waiting["q"], &json!("forbidden"), &json!(edit.text()))
    );
    world.release(&boss, &waiting).await.ok();
    world.release(&boss, &waiting).await.ok();
    assert_eq!(world.head().await?, 3, "a second release changes nothing");
    world.close(&boss, &waiting).await.refused(409, "conflict");
    assert_eq!(outcome(&mori.push(&world, &edit).await), "dup ok");
    let shown = world.record(&boss, &visit.rec()).await;
    assert_eq!(shown["view"]["fields"]["decision"]["shown"], "yes");
    Ok(())
}

async fn releasing_tries_what_came_later(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let new = world.new_visit(&mori, NORTH);
    let edit = world.draft(&mori, &new.rec(), json!([set("opinion", "a", &[])]));
    let reused = edit.with(json!({ "sv": 1 }));
    let first = mori.sync(&world, &[&new, &edit, &reused]).await;
    assert_eq!(
        outcomes(&first),
        ["quarantined forbidden", "quarantined forbidden", "quarantined id_reuse"]
    );
    world.grant(boss.user, NORTH, Role::Supervisor).await?;
    world.grant(mori.user, NORTH, Role::Inspector).await?;
    world.release(&boss, &first["results"][0]).await.ok();
    mori.next = 1;
    let again = mori.sync(&world, &[&new, &edit, &reused]).await;
    assert_eq!(outcomes(&again), ["dup ok", "dup ok", "dup quarantined id_reuse"]);
    world.close(&boss, &again["results"][2]).await.ok();
    mori.next = 1;
    assert_eq!(
        outcomes(&mori.sync(&world, &[&new, &edit, &reused]).await)[2],
        "dup closed id_reuse"
    );
    Ok(())
}

async fn a_closed_change_stays_known(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    let edit = world.draft(&mori, &visit.rec(), json!([set("decision", "yes", &[])]));
    let waiting = mori.push(&world, &edit).await;
    world.close(&boss, &waiting).await.ok();
    world.close(&boss, &waiting).await.ok();
    world.release(&boss, &waiting).await.refused(409, "conflict");
    let mut envelope = mori.envelope(&world);
    envelope["open"] = json!([edit.id()]);
    let answer = world.post_sync(&mori, envelope.to_string()).await.ok();
    assert_eq!(outcomes(&answer), ["closed forbidden"]);
    assert_eq!(answer["results"][0]["q"], waiting["q"]);
    mori.take(&answer);
    let again = mori.push(&world, &edit).await;
    assert_eq!(outcome(&again), "dup closed forbidden");
    assert_eq!((&again["q"], &again["seq"]), (&waiting["q"], &waiting["seq"]));
    Ok(())
}

async fn nobody_else_releases_or_closes(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    let edit = world.draft(&mori, &visit.rec(), json!([set("decision", "yes", &[])]));
    let waiting = mori.push(&world, &edit).await;
    let elsewhere = world.person("sato", NORTH, Role::Supervisor).await?;
    let approver = world.person("abe", SOUTH, Role::Approver).await?;
    let welfare = world.user_in("welfare", "ito").await?;
    world.grant_as("welfare", welfare, SOUTH, Role::Supervisor, |_| ()).await?;
    let stranger = world.tablet_in("welfare", welfare).await?;
    let unknown = json!({ "q": world.id() });
    for who in [&mori, &elsewhere, &approver, &stranger] {
        let there = [world.release(who, &waiting).await, world.close(who, &waiting).await];
        let nowhere = [world.release(who, &unknown).await, world.close(who, &unknown).await];
        for (there, nowhere) in there.iter().zip(&nowhere) {
            there.refused(404, "not-found");
            assert_eq!(there.text, nowhere.text);
        }
        let open = world.get(who, "/v1/quarantine").await.ok();
        assert_eq!(open["changes"], json!([]));
    }
    let gone = world.person("kato", SOUTH, Role::Supervisor).await?;
    for grant in
        world.state.store.read().await?.grants().of_users(&tenant("fire"), &[gone.user]).await?
    {
        world.end(&grant).await?;
    }
    world.release(&gone, &waiting).await.refused(404, "not-found");
    Ok(())
}

async fn what_claims_no_place_is_for_the_unplaced_inbox(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let unplaced = world.draft(&mori, &world.id(), json!([set("title", "x", &[])]));
    let claimed = world.new_visit(&mori, NORTH);
    let answer = mori.sync_texts(&world, &[unplaced.text(), "[]".to_owned(), claimed.text()]).await;
    let q = |i: usize| answer["results"][i].clone();
    let clerk = world.person("sato", "inbox:unplaced", Role::Supervisor).await?;
    let north = world.person("abe", NORTH, Role::Supervisor).await?;
    for (who, listed) in [(&clerk, vec![q(1), q(0)]), (&north, vec![q(2)])] {
        let open = world.get(who, "/v1/quarantine").await.ok();
        let ids: Vec<Value> = items(&open["changes"]).iter().map(|row| row["q"].clone()).collect();
        assert_eq!(ids, listed.iter().map(|row| row["q"].clone()).collect::<Vec<_>>());
    }
    world.release(&clerk, &q(2)).await.refused(404, "not-found");
    world.release(&clerk, &q(0)).await.refused(422, "unprocessable");
    world.release(&clerk, &q(1)).await.refused(422, "unprocessable");
    world.close(&clerk, &q(1)).await.ok();
    world.release(&north, &q(2)).await.ok();
    assert_eq!(world.record(&north, &claimed.rec()).await["title"], "first");
    Ok(())
}

async fn the_inbox_has_pages_and_states(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let boss = world.person("sato", NORTH, Role::Supervisor).await?;
    let drafts: Vec<Draft> = (0..5).map(|_| world.new_visit(&mori, NORTH)).collect();
    let answer = mori.sync(&world, &drafts.iter().collect::<Vec<_>>()).await;
    world.close(&boss, &answer["results"][0]).await.ok();
    world.release(&boss, &answer["results"][1]).await.ok();
    for (state, count) in [("open", 3), ("closed", 1), ("released", 1)] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        for _ in 0..5 {
            let path = format!("/v1/quarantine?state={state}&limit=2{after}");
            let page = world.get(&boss, &path).await.ok();
            seen.extend(items(&page["changes"]).iter().map(|row| row["id"].clone()));
            let Some(next) = page["next"].as_i64() else { break };
            after = format!("&after={next}");
        }
        seen.dedup();
        assert_eq!(seen.len(), count, "{state}");
    }
    for query in ["state=lost", "limit=0", "limit=201", "limit=x", "after=x", "nonsense=1"] {
        world.get(&boss, &format!("/v1/quarantine?{query}")).await.refused(400, "bad-parameter");
    }
    Ok(())
}
