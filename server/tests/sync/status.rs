//! Steps between states that are commands: domain.md 4 and sync.md 2.4.

use crate::support::{Answer, Draft, NORTH, SOUTH, Tablet, TestResult, World, items, outcome, set};
use serde_json::{Value, json};
use storage::Store;
use sync_protocol::form::Role;

storage::on_both!(
    a_record_goes_along_the_ways_of_its_form,
    each_step_asks_for_its_role_and_its_reason,
    what_was_seen_is_what_goes_on,
    a_step_sent_twice_is_one,
    submitting_asks_for_a_whole_record,
    a_step_settles_a_disagreement,
    a_step_beside_a_seal_is_an_amendment,
    a_tablet_makes_only_the_steps_that_are_its_own,
);

/// Visits with a step of each kind; published as the next version of the form of the other tests.
const STEPS: &str = r#"{
  "type": "visit", "version": 4, "ja": "記録", "en": "Record", "title": "title",
  "home": {"bucket": ["station"]}, "write": ["inspector", "supervisor"],
  "sections": [{"code": "A", "ja": "甲", "en": "A"}],
  "statuses": {
    "initial": "draft",
    "states": [
      {"code": "draft", "ja": "作成中", "en": "Draft", "rank": 0},
      {"code": "done", "ja": "済", "en": "Done", "rank": 2},
      {"code": "dropped", "ja": "中止", "en": "Dropped", "rank": 2},
      {"code": "returned", "ja": "差戻し", "en": "Returned", "rank": 3},
      {"code": "submitted", "ja": "起案中", "en": "Submitted", "rank": 4},
      {"code": "approved", "ja": "決裁済", "en": "Approved", "rank": 5},
      {"code": "closed", "ja": "完結", "en": "Closed", "rank": 6}
    ],
    "transitions": [
      {"from": ["draft"], "to": "done", "offline": "yes", "roles": ["inspector"]},
      {"from": ["draft", "done"], "to": "dropped", "offline": "yes", "roles": ["supervisor"]},
      {"from": ["done", "returned"], "to": "submitted", "offline": "request", "roles": ["inspector"]},
      {"from": ["submitted"], "to": "returned", "offline": "no", "roles": ["supervisor", "approver"], "why": true},
      {"from": ["submitted"], "to": "approved", "offline": "no", "roles": ["approver"]},
      {"from": ["approved"], "to": "closed", "offline": "no", "roles": []}
    ]
  },
  "fields": [
    {"path": "title", "section": "A", "kind": "text", "ja": "題", "en": "Title", "required": true},
    {"path": "opinion", "section": "A", "kind": "narrative", "ja": "所見", "en": "Opinion"},
    {"path": "grade", "section": "A", "kind": "choice", "ja": "程度", "en": "Grade", "merge": "strict", "choices": [
      {"code": "serious", "ja": "重大", "en": "Serious", "rank": 2}, {"code": "minor", "ja": "軽微", "en": "Minor", "rank": 1}]},
    {"path": "submit_requested", "section": "A", "kind": "flag", "ja": "起案の依頼", "en": "Submission requested"},
    {"path": "status", "section": "A", "kind": "status", "ja": "状態", "en": "Status"}
  ]
}"#;

/// The people of one office and one visit of theirs.
struct Office {
    world: World,
    mori: Tablet,
    boss: Tablet,
    chief: Tablet,
    visit: Draft,
}

impl Office {
    async fn new(store: Store) -> TestResult<Self> {
        let world = World::new(store).await?;
        world.publish(STEPS).await?;
        let mut mori = world.inspector("mori").await?;
        let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
        let chief = world.person("abe", SOUTH, Role::Approver).await?;
        let visit = world.new_visit(&mori, SOUTH);
        mori.sync(&world, &[&visit]).await;
        Ok(Self { world, mori, boss, chief, visit })
    }

    async fn shown(&self) -> Value {
        self.world.record(&self.boss, &self.visit.rec()).await
    }

    /// Takes the visit on, having seen what is there now.
    async fn step(&self, who: &Tablet, to: &str, more: Value) -> Answer {
        let mut body = json!({ "to": to, "seen_rv": self.shown().await["rv"] });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        self.post(who, &body).await
    }

    async fn post(&self, who: &Tablet, body: &Value) -> Answer {
        self.world.post(who, &format!("/v1/records/{}/status", self.visit.rec()), body).await
    }

    fn edit(&self, ops: Value) -> Draft {
        self.world.draft(&self.mori, &self.visit.rec(), ops)
    }
}

/// A refusal by the word in `reason`.
fn refused(answer: &Answer, reason: &str) {
    answer.refused(422, "unprocessable");
    assert_eq!(answer.json()["reason"], reason, "{}", answer.text);
}

async fn a_record_goes_along_the_ways_of_its_form(store: Store) -> TestResult {
    let office = Office::new(store).await?;
    let (mori, boss, chief) = (&office.mori, &office.boss, &office.chief);
    for (who, to, why, from) in [
        (mori, "done", None, "draft"),
        (mori, "submitted", None, "done"),
        (boss, "returned", Some("写真がない"), "submitted"),
        (mori, "submitted", None, "returned"),
        (chief, "approved", None, "submitted"),
    ] {
        let made = office.step(who, to, json!({ "why": why })).await.ok();
        assert_eq!(made["late"], Value::Null);
        let shown = office.shown().await;
        assert_eq!(shown["status"], to);
        let field = &shown["view"]["fields"]["status"];
        assert_eq!((&field["shown"]["from"], &field["mark"]), (&json!(from), &json!("agreed")));
        assert_eq!(field["versions"][0]["by"], json!(who.user), "in the name of the person");
    }
    let path = format!("/v1/records/{}/history", office.visit.rec());
    let history = items(&office.world.get(mori, &path).await.ok()["changes"]);
    let last = history.last().ok_or("a change")?;
    assert_eq!(
        (history.len(), &last["via"], &last["by"]),
        (6, &json!("server"), &json!(chief.user))
    );
    assert_eq!(history[3]["change"]["ops"][0]["v"]["why"], "写真がない", "the reason is kept");
    Ok(())
}

async fn each_step_asks_for_its_role_and_its_reason(store: Store) -> TestResult {
    let office = Office::new(store).await?;
    let (mori, boss, chief) = (&office.mori, &office.boss, &office.chief);
    let north = office.world.person("hara", NORTH, Role::Approver).await?;
    office.step(&north, "done", json!({})).await.refused(404, "not-found");
    office.step(boss, "done", json!({})).await.refused(403, "forbidden");
    for to in ["submitted", "approved", "draft", "nowhere", ""] {
        refused(&office.step(mori, to, json!({})).await, "transition");
    }
    office.step(mori, "done", json!({})).await.ok();
    office.step(mori, "submitted", json!({})).await.ok();
    office.step(mori, "returned", json!({ "why": "w" })).await.refused(403, "forbidden");
    refused(&office.step(boss, "returned", json!({})).await, "why-missing");
    office.step(boss, "returned", json!({ "why": " " })).await.refused(400, "bad-body");
    office.step(boss, "approved", json!({})).await.refused(403, "forbidden");
    office.step(chief, "approved", json!({})).await.ok();
    office.step(chief, "closed", json!({})).await.refused(403, "forbidden");
    assert_eq!(office.shown().await["status"], "approved");
    let note = office.world.draft(
        mori,
        &office.world.id(),
        json!([{ "o": "new", "about": office.visit.rec() }]),
    );
    let note = note.with(json!({ "type": "note" }));
    office.mori.clone().sync(&office.world, &[&note]).await;
    let body = json!({ "to": "done", "seen_rv": office.world.head().await? });
    let path = format!("/v1/records/{}/status", note.rec());
    refused(&office.world.post(mori, &path, &body).await, "transition");
    Ok(())
}

async fn what_was_seen_is_what_goes_on(store: Store) -> TestResult {
    let mut office = Office::new(store).await?;
    let seen = office.shown().await["rv"].clone();
    let edit = office.edit(json!([set("opinion", "新しい所見", &[])]));
    assert_eq!(outcome(&office.mori.push(&office.world, &edit).await), "ok");
    let stale = office.post(&office.mori, &json!({ "to": "done", "seen_rv": seen })).await;
    stale.refused(409, "changed-since-seen");
    let rv = office.shown().await["rv"].clone();
    assert_eq!(stale.json()["rv"], rv);
    office.post(&office.mori, &json!({ "to": "done" })).await.refused(400, "bad-body");
    office.post(&office.mori, &json!({ "to": "done", "seen_rv": rv })).await.ok();
    Ok(())
}

async fn a_step_sent_twice_is_one(store: Store) -> TestResult {
    let office = Office::new(store).await?;
    let body =
        json!({ "id": office.world.id(), "to": "done", "seen_rv": office.shown().await["rv"] });
    let first = office.post(&office.mori, &body).await.ok();
    let head = office.world.head().await?;
    assert_eq!(
        office.post(&office.mori, &body).await.ok(),
        first,
        "though the record has moved on"
    );
    let mut other = body.clone();
    other["to"] = json!("dropped");
    office.post(&office.mori, &other).await.refused(409, "conflict");
    assert_eq!(office.world.head().await?, head);
    Ok(())
}

async fn submitting_asks_for_a_whole_record(store: Store) -> TestResult {
    let mut office = Office::new(store).await?;
    let emptied = office.edit(json!([set("title", Value::Null, &[office.visit.dot(1)])]));
    office.mori.push(&office.world, &emptied).await;
    office.step(&office.mori, "done", json!({})).await.ok();
    let missing = office.step(&office.mori, "submitted", json!({})).await;
    refused(&missing, "not-ready-to-submit");
    assert!(missing.text.contains("title"), "{}", missing.text);
    let title = office.edit(json!([set("title", "題", &[emptied.dot(0)])]));
    let grades = ["serious", "minor"].map(|grade| office.edit(json!([set("grade", grade, &[])])));
    office.mori.sync(&office.world, &[&title, &grades[0], &grades[1]]).await;
    let contested = office.step(&office.mori, "submitted", json!({})).await;
    refused(&contested, "not-ready-to-submit");
    assert!(contested.text.contains("grade: a disagreement"), "{}", contested.text);
    let settled = json!([set("grade", "serious", &[grades[0].dot(0), grades[1].dot(0)])]);
    let settled = office.edit(settled);
    office.mori.push(&office.world, &settled).await;
    office.step(&office.mori, "submitted", json!({})).await.ok();
    Ok(())
}

/// Two of the same rank: what is shown is what the step leads out of, and it replaces both.
async fn a_step_settles_a_disagreement(store: Store) -> TestResult {
    let mut office = Office::new(store).await?;
    office.world.grant(office.mori.user, SOUTH, Role::Supervisor).await?;
    let [dropped, done] = ["dropped", "done"]
        .map(|to| office.edit(json!([set("status", json!({ "from": "draft", "to": to }), &[])])));
    office.mori.sync(&office.world, &[&dropped, &done]).await;
    let shown = office.shown().await;
    assert_eq!(shown["view"]["fields"]["status"]["mark"], "conflict");
    assert_eq!(shown["status"], "done");
    office.step(&office.boss, "dropped", json!({})).await.ok();
    let shown = office.shown().await;
    assert_eq!(shown["view"]["fields"]["status"]["mark"], "agreed");
    assert_eq!(shown["status"], "dropped");
    Ok(())
}

async fn a_step_beside_a_seal_is_an_amendment(store: Store) -> TestResult {
    let office = Office::new(store).await?;
    for (who, to) in [(&office.mori, "done"), (&office.mori, "submitted")] {
        office.step(who, to, json!({})).await.ok();
    }
    let shown = office.shown().await;
    let seal = json!({ "rv": shown["rv"], "view_hash": shown["to_seal"]["view_hash"] });
    let path = format!("/v1/records/{}/seal", office.visit.rec());
    office.world.post(&office.chief, &path, &seal).await.ok();
    let made = office.step(&office.chief, "approved", json!({})).await.ok();
    assert_eq!(made["late"], "amendment");
    let shown = office.shown().await;
    assert_eq!(shown["status"], "submitted", "what is sealed does not change");
    let change = made["changes"][0]["id"].as_str().unwrap_or_default().to_owned();
    let accept = format!("/v1/records/{}/late/{change}/accept", office.visit.rec());
    office.world.post(&office.chief, &accept, &json!({})).await.ok();
    let shown = office.shown().await;
    let seal = json!({ "rv": shown["rv"], "view_hash": shown["to_seal"]["view_hash"] });
    office.world.post(&office.chief, &path, &seal).await.ok();
    assert_eq!(office.shown().await["status"], "approved");
    Ok(())
}

async fn a_tablet_makes_only_the_steps_that_are_its_own(store: Store) -> TestResult {
    let mut office = Office::new(store).await?;
    for (value, told) in [
        (json!({ "from": "draft", "to": "dropped" }), "quarantined forbidden"),
        (json!({ "from": "submitted", "to": "approved" }), "quarantined forbidden"),
        (json!({ "from": "done", "to": "submitted" }), "quarantined forbidden"),
        (json!({ "from": "closed", "to": "draft" }), "quarantined forbidden"),
        (json!({ "to": "done" }), "quarantined forbidden"),
        (json!("done"), "quarantined forbidden"),
        (Value::Null, "quarantined forbidden"),
        (json!({ "from": "draft", "to": "done" }), "ok"),
    ] {
        let edit = office.edit(json!([set("status", value.clone(), &[])]));
        assert_eq!(outcome(&office.mori.push(&office.world, &edit).await), told, "{value}");
    }
    let body = json!({ "id": office.world.id(),
        "ops": [set("status", json!({ "from": "submitted", "to": "approved" }), &[])] });
    office.world.edit(&office.chief, &office.visit.rec(), &body).await.refused(403, "forbidden");
    Ok(())
}
