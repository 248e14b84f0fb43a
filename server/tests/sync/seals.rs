//! Seals, what stands beside them, and the verdicts on it: sync.md 2.5.

use crate::support::{
    Answer, Draft, NORTH, SOUTH, Tablet, TestResult, World, items, outcome, records, set, tenant,
};
use serde_json::{Value, json};
use storage::Store;
use sync_protocol::form::Role;
use sync_protocol::value::{canonical, hash_of, hash_text};

storage::on_both!(
    what_is_sealed_is_what_the_approver_saw,
    a_seal_needs_a_record_that_is_ready,
    a_change_after_the_seal_stands_beside_it,
    the_sealed_view_stays_while_others_write,
    an_accepted_change_joins_the_next_seal,
    a_change_set_aside_is_in_no_view,
    two_people_who_differ_leave_it_open,
    an_opened_seal_shows_what_it_covered,
    only_approvers_of_the_place_seal,
    a_command_repeated_is_one,
    the_id_of_another_change_is_no_command,
    tablets_hear_of_seals_and_verdicts,
);

/// A sealed visit with a title, its inspector and its approver.
struct Scene {
    world: World,
    mori: Tablet,
    chief: Tablet,
    visit: Draft,
}

impl Scene {
    async fn new(store: Store) -> TestResult<Self> {
        let world = World::new(store).await?;
        let mut mori = world.inspector("mori").await?;
        let chief = world.person("chief", SOUTH, Role::Approver).await?;
        let visit = world.new_visit(&mori, SOUTH);
        mori.sync(&world, &[&visit]).await;
        Ok(Self { world, mori, chief, visit })
    }

    async fn sealed(store: Store) -> TestResult<Self> {
        let scene = Self::new(store).await?;
        scene.seal().await.ok();
        Ok(scene)
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/records/{}{rest}", self.visit.rec())
    }

    async fn shown(&self) -> Value {
        self.world.record(&self.chief, &self.visit.rec()).await
    }

    async fn post(&self, rest: &str, body: Value) -> Answer {
        self.world.post(&self.chief, &self.path(rest), &body).await
    }

    /// Seals what GET shows.
    async fn seal(&self) -> Answer {
        let seen = self.shown().await["to_seal"].clone();
        self.post("/seal", json!({ "rv": seen["rv"], "view_hash": seen["view_hash"] })).await
    }

    /// An edit of a field by the inspector, who has seen these seals.
    async fn edit(
        &mut self,
        field: &str,
        value: &str,
        x: &[String],
        seals: Value,
    ) -> (Draft, Value) {
        let ops = json!([set(field, value, x)]);
        let edit =
            self.world.draft(&self.mori, &self.visit.rec(), ops).with(json!({ "ss": seals }));
        let result = self.mori.push(&self.world, &edit).await;
        (edit, result)
    }

    async fn title(&self) -> Value {
        self.shown().await["view"]["fields"]["title"]["shown"].clone()
    }

    async fn judge(&self, change: &Draft, verdict: &str, why: Option<&str>) -> Answer {
        let body = why.map_or_else(|| json!({}), |why| json!({ "why": why }));
        self.post(&format!("/late/{}/{verdict}", change.id()), body).await
    }

    /// The stored text of a seal that was made, and its hash.
    async fn snapshot(&self, made: &Value) -> TestResult<(String, String)> {
        let seal = made["changes"][0]["id"].as_str().ok_or("a seal")?.parse()?;
        let mut tx = self.world.state.store.read().await?;
        let row = tx.seals().find(&tenant("fire"), self.visit.rec().parse()?, seal).await?;
        let row = row.ok_or("a snapshot")?;
        Ok((String::from_utf8(row.body)?, hash_text(&row.view_hash)))
    }
}

async fn what_is_sealed_is_what_the_approver_saw(store: Store) -> TestResult {
    let mut scene = Scene::new(store).await?;
    let before = scene.shown().await["to_seal"].clone();
    scene.edit("title", "second", &[scene.visit.dot(1)], Value::Null).await;
    let body = json!({ "rv": before["rv"], "view_hash": before["view_hash"] });
    let refused = scene.post("/seal", body).await;
    refused.refused(409, "changed-since-seen");
    let now = scene.shown().await["to_seal"].clone();
    assert_eq!(
        (&refused.json()["rv"], &refused.json()["view_hash"]),
        (&now["rv"], &now["view_hash"])
    );
    for (rv, hash) in [(&before["rv"], &now["view_hash"]), (&now["rv"], &before["view_hash"])] {
        scene
            .post("/seal", json!({ "rv": rv, "view_hash": hash }))
            .await
            .refused(409, "changed-since-seen");
    }
    let made = scene.seal().await.ok();
    let (text, hash) = scene.snapshot(&made).await?;
    assert_eq!(json!(hash), now["view_hash"]);
    assert_eq!(hash, hash_text(&hash_of(text.as_bytes())));
    let read: Value = serde_json::from_str(&text)?;
    assert_eq!(canonical(&read), text);
    assert_eq!(read["fields"]["title"], "second");
    assert_eq!(read["form_version"], 3);
    let seal = scene.shown().await["state"]["seal"].clone();
    assert_eq!((&seal["id"], &seal["rv"]), (&made["changes"][0]["id"], &now["rv"]));
    assert_eq!((&seal["view_hash"], &seal["by"]), (&now["view_hash"], &json!(scene.chief.user)));
    Ok(())
}

async fn a_seal_needs_a_record_that_is_ready(store: Store) -> TestResult {
    let mut scene = Scene::new(store).await?;
    let dot = scene.visit.dot(1);
    let (first, _) = scene.edit("grade", "minor", &[], Value::Null).await;
    let (second, _) = scene.edit("grade", "serious", &[], Value::Null).await;
    let shown = scene.shown().await;
    assert_eq!(shown["conflicts"], json!(["grade"]));
    assert_eq!(
        shown["view"]["fields"]["grade"]["shown"], "serious",
        "the graver one for the time being"
    );
    let refused = scene.seal().await;
    refused.refused(422, "unprocessable");
    assert_eq!(refused.json()["reason"], "not-ready-to-seal");
    assert!(refused.text.contains("grade"), "{}", refused.text);
    scene.edit("grade", "minor", &[first.dot(0), second.dot(0)], Value::Null).await;
    let (_, emptied) = scene.edit("title", "", &[dot], Value::Null).await;
    assert_eq!(outcome(&emptied), "ok");
    let ready = scene.shown().await["to_seal"]["problems"].clone();
    let answer = scene.seal().await;
    assert_eq!(answer.status.is_success(), ready == json!([]), "{ready}");
    Ok(())
}

async fn a_change_after_the_seal_stands_beside_it(store: Store) -> TestResult {
    let mut scene = Scene::sealed(store).await?;
    let dot = scene.visit.dot(1);
    let seal = scene.shown().await["state"]["seal"]["id"].clone();
    let (late, told) = scene.edit("title", "late", std::slice::from_ref(&dot), Value::Null).await;
    assert_eq!(outcome(&told), "late sealed");
    let (amendment, told) = scene.edit("title", "amended", &[dot], json!([seal])).await;
    assert_eq!(outcome(&told), "late amendment");
    assert_eq!(scene.title().await, "first");
    let shown = scene.shown().await;
    let beside: Vec<(Value, Value, Value)> = items(&shown["state"]["late"])
        .iter()
        .map(|late| (late["id"].clone(), late["class"].clone(), late["verdict"].clone()))
        .collect();
    assert_eq!(
        beside,
        [
            (json!(late.id()), json!("late"), json!("open")),
            (json!(amendment.id()), json!("amendment"), json!("open")),
        ]
    );
    assert_eq!(shown["state"]["late"][0]["ops"], late.0["ops"]);
    assert_eq!(shown["state"]["flags"], json!(["late", "sealed"]));
    let inbox = scene.world.get(&scene.chief, "/v1/conflicts").await.ok();
    assert_eq!(inbox["records"][0]["late"][1]["id"], json!(amendment.id()));
    scene.mori.replica = scene.world.id();
    (scene.mori.lease, scene.mori.next) = (Value::Null, 1);
    let again = scene.mori.push(&scene.world, &late).await;
    assert_eq!(outcome(&again), "dup late sealed");
    Ok(())
}

async fn the_sealed_view_stays_while_others_write(store: Store) -> TestResult {
    let mut scene = Scene::new(store).await?;
    let made = scene.seal().await.ok();
    let before = scene.snapshot(&made).await?;
    let hash = scene.shown().await["to_seal"]["view_hash"].clone();
    for value in ["a", "b", "c"] {
        scene.edit("opinion", value, &[], Value::Null).await;
        let del = scene.world.draft(
            &scene.mori,
            &scene.visit.rec(),
            json!([{ "o": "del", "seen": [scene.visit.id()] }]),
        );
        scene.mori.push(&scene.world, &del).await;
    }
    let shown = scene.shown().await;
    assert_eq!(shown["view"]["fields"]["opinion"], Value::Null);
    assert_eq!((&shown["view"]["deleted"], &shown["state"]["del"]), (&json!("no"), &json!([])));
    assert_eq!(shown["to_seal"]["view_hash"], hash);
    assert_eq!(scene.snapshot(&made).await?, before);
    Ok(())
}

async fn an_accepted_change_joins_the_next_seal(store: Store) -> TestResult {
    let mut scene = Scene::new(store).await?;
    let first = scene.seal().await.ok();
    let (late, _) = scene.edit("title", "late", &[scene.visit.dot(1)], Value::Null).await;
    let (other, _) = scene.edit("opinion", "x", &[], Value::Null).await;
    scene.judge(&late, "accept", None).await.ok();
    assert_eq!(scene.title().await, "first", "not before it is sealed again");
    assert_eq!(scene.shown().await["state"]["late"][0]["verdict"], "accepted");
    let second = scene.seal().await.ok();
    let shown = scene.shown().await;
    assert_eq!(shown["view"]["fields"]["title"]["shown"], "late");
    assert_eq!(shown["view"]["fields"]["opinion"], Value::Null);
    let beside = items(&shown["state"]["late"]);
    assert_eq!((beside.len(), &beside[0]["id"]), (1, &json!(other.id())));
    assert!(scene.snapshot(&second).await?.0.contains("\"late\""));
    assert!(scene.snapshot(&first).await?.0.contains("\"first\""), "it stays as it was");
    Ok(())
}

async fn a_change_set_aside_is_in_no_view(store: Store) -> TestResult {
    let mut scene = Scene::sealed(store).await?;
    let (late, _) = scene.edit("title", "late", &[scene.visit.dot(1)], Value::Null).await;
    scene.judge(&late, "aside", Some(" ")).await.refused(400, "bad-body");
    scene.judge(&late, "aside", Some("not his to say")).await.ok();
    assert_eq!(scene.shown().await["state"]["flags"], json!(["sealed"]));
    scene.seal().await.ok();
    assert_eq!(scene.title().await, "first");
    scene.post("/unseal", json!({ "why": "to go on" })).await.ok();
    assert_eq!(scene.title().await, "first", "also after the seal was opened");
    let history = scene.world.get(&scene.chief, &scene.path("/history")).await.ok();
    assert!(
        items(&history["changes"]).iter().any(|row| row["id"] == json!(late.id())),
        "it is not gone"
    );
    Ok(())
}

async fn two_people_who_differ_leave_it_open(store: Store) -> TestResult {
    let mut scene = Scene::sealed(store).await?;
    let (late, _) = scene.edit("title", "late", &[scene.visit.dot(1)], Value::Null).await;
    scene.judge(&late, "accept", None).await.ok();
    scene.judge(&late, "aside", Some("on second thought")).await.ok();
    assert_eq!(
        scene.shown().await["state"]["late"][0]["verdict"],
        "aside",
        "who changes their mind is believed"
    );
    let verdict = |shown: &Value| shown["state"]["late"][0]["verdict"].clone();
    scene.judge(&late, "accept", None).await.ok();
    assert_eq!(verdict(&scene.shown().await), "accepted");
    let unknown = scene.world.draft(&scene.mori, &scene.visit.rec(), json!([]));
    scene.judge(&unknown, "accept", None).await.refused(404, "not-found");
    scene.judge(&scene.visit.clone(), "aside", Some("x")).await.refused(404, "not-found");
    scene.post("/late/nonsense/accept", json!({})).await.refused(404, "not-found");
    Ok(())
}

async fn an_opened_seal_shows_what_it_covered(store: Store) -> TestResult {
    let mut scene = Scene::sealed(store).await?;
    let (late, _) = scene.edit("title", "late", &[scene.visit.dot(1)], Value::Null).await;
    scene.post("/unseal", json!({})).await.refused(400, "bad-body");
    scene.post("/unseal", json!({ "why": "to correct it" })).await.ok();
    let shown = scene.shown().await;
    assert_eq!(shown["state"]["seal"], Value::Null);
    assert_eq!(shown["view"]["fields"]["title"]["shown"], "first", "nobody accepted the other");
    assert_eq!(shown["state"]["late"][0]["id"], json!(late.id()));
    scene.post("/unseal", json!({ "why": "again" })).await.refused(409, "conflict");
    let (_, told) = scene.edit("opinion", "open", &[], Value::Null).await;
    assert_eq!(outcome(&told), "ok");
    scene.judge(&late, "accept", None).await.ok();
    assert_eq!(scene.title().await, "late");
    Ok(())
}

async fn only_approvers_of_the_place_seal(store: Store) -> TestResult {
    let mut scene = Scene::new(store).await?;
    let seen = scene.shown().await["to_seal"].clone();
    let body = json!({ "rv": seen["rv"], "view_hash": seen["view_hash"] });
    let supervisor = scene.world.person("sato", SOUTH, Role::Supervisor).await?;
    let elsewhere = scene.world.person("abe", NORTH, Role::Approver).await?;
    for (who, status, name) in [
        (&scene.mori, 403, "forbidden"),
        (&supervisor, 403, "forbidden"),
        (&elsewhere, 404, "not-found"),
    ] {
        scene.world.post(who, &scene.path("/seal"), &body).await.refused(status, name);
    }
    scene.seal().await.ok();
    let (late, _) = scene.edit("title", "late", &[], Value::Null).await;
    for (rest, body) in [
        ("/unseal".to_owned(), json!({ "why": "x" })),
        (format!("/late/{}/accept", late.id()), json!({})),
        (format!("/late/{}/aside", late.id()), json!({ "why": "x" })),
    ] {
        for (who, status, name) in [(&scene.mori, 403, "forbidden"), (&elsewhere, 404, "not-found")]
        {
            scene.world.post(who, &scene.path(&rest), &body).await.refused(status, name);
        }
    }
    Ok(())
}

async fn a_command_repeated_is_one(store: Store) -> TestResult {
    let mut scene = Scene::new(store).await?;
    let seen = scene.shown().await["to_seal"].clone();
    let id = scene.world.id();
    let seal = json!({ "id": id, "rv": seen["rv"], "view_hash": seen["view_hash"] });
    let first = scene.post("/seal", seal.clone()).await.ok();
    let head = scene.world.head().await?;
    assert_eq!(scene.post("/seal", seal).await.ok(), first);
    let (late, _) = scene.edit("title", "late", &[], Value::Null).await;
    let accept = json!({ "id": scene.world.id() });
    let path = format!("/late/{}/accept", late.id());
    let accepted = scene.post(&path, accept.clone()).await.ok();
    assert_eq!(scene.post(&path, accept).await.ok(), accepted);
    let unseal = json!({ "id": scene.world.id(), "why": "to go on" });
    let opened = scene.post("/unseal", unseal.clone()).await.ok();
    assert_eq!(scene.post("/unseal", unseal).await.ok(), opened);
    assert_eq!(scene.world.head().await?, head + 3);
    Ok(())
}

async fn the_id_of_another_change_is_no_command(store: Store) -> TestResult {
    let mut scene = Scene::new(store).await?;
    let waiting =
        scene.world.draft(&scene.mori, &scene.world.id(), json!([set("title", "x", &[])]));
    scene.mori.push(&scene.world, &waiting).await;
    let seen = scene.shown().await["to_seal"].clone();
    for id in [scene.visit.id(), waiting.id()] {
        let seal = json!({ "id": id, "rv": seen["rv"], "view_hash": seen["view_hash"] });
        scene.post("/seal", seal).await.refused(409, "conflict");
        scene.post("/unseal", json!({ "id": id, "why": "x" })).await.refused(409, "conflict");
    }
    assert_eq!(scene.shown().await["state"]["seal"], Value::Null);
    Ok(())
}

async fn tablets_hear_of_seals_and_verdicts(store: Store) -> TestResult {
    let mut scene = Scene::new(store).await?;
    scene.edit("opinion", "a", &[], Value::Null).await;
    let mut hara = scene.world.inspector("hara").await?;
    hara.drain(&scene.world).await;
    let made = scene.seal().await.ok();
    let answer = hara.sync(&scene.world, &[]).await;
    let record = &answer["records"][0];
    assert_eq!(record["seal"]["id"], made["changes"][0]["id"]);
    assert_eq!(
        record["fields"].as_object().map(serde_json::Map::len),
        Some(2),
        "a seal is a change of every field"
    );
    let (late, _) = scene.edit("title", "late", &[scene.visit.dot(1)], Value::Null).await;
    let answer = hara.sync(&scene.world, &[]).await;
    let record = &answer["records"][0];
    assert_eq!(record["late"][0]["id"], json!(late.id()));
    assert_eq!(record["fields"]["title"][0][2], "first", "what travels is what the seal covers");
    scene.judge(&late, "accept", None).await.ok();
    let answer = hara.sync(&scene.world, &[]).await;
    assert_eq!(answer["records"][0]["late"][0]["verdict"], "accepted");
    scene.post("/unseal", json!({ "why": "to go on" })).await.ok();
    let answer = hara.sync(&scene.world, &[]).await;
    let record = &answer["records"][0];
    assert_eq!((&record["seal"], &record["late"]), (&Value::Null, &json!([])));
    assert_eq!(record["fields"]["title"][0][2], "late");
    let mut fresh = scene.world.inspector("kato").await?;
    let sent: Vec<_> = fresh.drain(&scene.world).await.iter().flat_map(records).collect();
    assert_eq!(sent[0].1["fields"]["title"][0][2], "late", "whole and by parts it is the same");
    Ok(())
}
