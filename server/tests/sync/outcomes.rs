//! What becomes of a change: applied, repeated or in quarantine: sync.md 2.6 and 2.8.

use crate::support::{
    Draft, NORTH, SOUTH, Tablet, TestResult, World, items, outcome, outcomes, set, tenant,
};
use serde_json::{Value, json};
use storage::{DeviceState, QuarantineState, Quarantined, Store, Via};
use sync_protocol::form::Role;
use sync_protocol::id::{QuarantineId, Seq};

storage::on_both!(
    a_change_is_stored_byte_for_byte,
    unknown_and_foreign_records_look_the_same,
    only_who_may_write_a_field_writes_it,
    what_only_the_server_makes_is_forbidden,
    an_author_is_who_holds_the_device,
    an_id_with_other_content_is_kept_beside,
    a_second_new_is_kept_beside,
    a_second_new_of_a_foreign_record_is_told_like_every_foreign_op,
    a_tablet_learns_what_became_of_its_work_and_nothing_else,
    a_revoked_device_deposits,
    a_deposit_is_bounded,
    a_stolen_device_is_refused,
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

/// The one who guesses the id of an imported record begins one of his own under it.
async fn a_second_new_of_a_foreign_record_is_told_like_every_foreign_op(
    store: Store,
) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let mut hara = world.person("hara", NORTH, Role::Inspector).await?;
    let foreign = world.new_visit(&hara, NORTH);
    hara.sync(&world, &[&foreign]).await;
    let new_in = |author: &Tablet, bucket: &str| {
        world.draft(author, &foreign.rec(), json!([{ "o": "new", "in": bucket }]))
    };
    let edit = world.draft(&mori, &foreign.rec(), json!([set("title", "x", &[])]));
    let (guess, about) = (new_in(&mori, SOUTH), world.new_visit(&mori, SOUTH));
    let answer = mori.sync(&world, &[&edit, &guess, &about]).await;
    assert_eq!(outcomes(&answer), ["quarantined forbidden", "quarantined forbidden", "ok"]);
    let members = |n: usize| {
        let result = answer["results"][n].as_object().cloned().unwrap_or_default();
        result.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(members(0), members(1), "they look the same");
    let body = json!({ "id": world.id(), "type": "visit", "ops": [{ "o": "new", "in": SOUTH }] });
    world.edit(&mori, &foreign.rec(), &body).await.refused(403, "forbidden");
    let own = new_in(&hara, NORTH);
    assert_eq!(outcome(&hara.push(&world, &own).await), "quarantined id_reuse");
    world
        .edit(
            &hara,
            &foreign.rec(),
            &json!({
        "id": world.id(), "type": "visit", "ops": [{ "o": "new", "in": NORTH }] }),
        )
        .await
        .refused(409, "conflict");
    world.grant(mori.user, NORTH, Role::Reader).await?;
    let again = new_in(&mori, SOUTH);
    assert_eq!(outcome(&mori.push(&world, &again).await), "quarantined id_reuse", "now he sees it");
    assert_eq!(world.record(&hara, &foreign.rec()).await["in"], json!([NORTH]));
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

/// 50 MiB in quarantine are taken; when they are there, nothing more is until a person has settled some.
async fn a_deposit_is_bounded(store: Store) -> TestResult {
    const PIECES: i64 = 5;
    const PIECE_BYTES: usize = 10 * 1024 * 1024;
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    mori.sync(&world, &[]).await;
    world.set_aside(&mori, DeviceState::Revoked).await?;
    let place = tenant("fire");
    let mut tx = world.state.store.write().await?;
    tx.head().advance(&place, PIECES).await?;
    for seq in 1..=PIECES {
        let row = Quarantined {
            q: QuarantineId(world.id().parse()?),
            seq: Seq(seq),
            id: None,
            hash: [u8::try_from(seq)?; 32],
            body: vec![b' '; PIECE_BYTES],
            rec: None,
            about: None,
            type_: None,
            claims: None,
            via: Via::Tablet,
            by: mori.user,
            device: Some(mori.device),
            t_recv: world.now(),
            t_eff: world.now(),
            code: "revoked".to_owned(),
            state: QuarantineState::Open,
            closed_by: None,
            closed_at: None,
            why: None,
        };
        tx.quarantine().append(&place, &[row]).await?;
    }
    tx.commit().await?;
    let (last, beyond) = (world.new_visit(&mori, SOUTH), world.new_visit(&mori, SOUTH));
    assert_eq!(outcome(&mori.push(&world, &last).await), "quarantined revoked");
    let head = world.head().await?;
    let refused = world.post_sync(&mori, mori.request(&world, &[beyond.text()])).await;
    refused.refused(429, "rate-limited");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(world.head().await?, head, "nothing of it is stored");
    mori.sync(&world, &[]).await;
    let boss = world.person("sato", "inbox:unplaced", Role::Supervisor).await?;
    let open = items(&world.get(&boss, "/v1/quarantine?limit=1").await.ok()["changes"]);
    let path = format!("/v1/quarantine/{}/close", open[0]["q"].as_str().ok_or("one")?);
    world.post(&boss, &path, &json!({ "why": "spam" })).await.ok();
    assert_eq!(outcome(&mori.push(&world, &beyond).await), "quarantined revoked");
    Ok(())
}
