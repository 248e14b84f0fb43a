//! What waits for a record, a subject or a form, and how late work is taken: sync.md 2.6 and 2.8.

use crate::forms::SURVEY;
use crate::support::{DAY, NORTH, SOUTH, TestResult, World, items, outcome, outcomes, set, tenant};
use serde_json::{Value, json};
use storage::{DeviceState, Store};
use sync_protocol::form::Role;

storage::on_both!(
    what_waits_is_applied_when_its_record_comes,
    what_waits_in_the_same_push_is_applied,
    what_is_about_a_record_follows_it_downwards,
    an_unknown_type_waits_for_its_form,
    more_than_one_piece_waits_for_a_form,
    a_form_releases_nothing_of_a_revoked_device,
    work_of_who_left_is_late_for_ninety_days,
    a_record_that_moved_away_takes_late_work,
    who_was_never_there_together_with_the_record_is_refused,
);

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

/// More than the 200 that one transaction judges again; what a piece releases may wait for a record of another piece.
async fn more_than_one_piece_waits_for_a_form(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let last = world.new_visit(&mori, SOUTH).with(json!({ "type": "survey" }));
    let early = world.draft(&mori, &last.rec(), json!([set("title", "b", &[last.dot(1)])]));
    let early = early.with(json!({ "type": "survey" }));
    let surveys: Vec<_> =
        (0..250).map(|_| world.new_visit(&mori, SOUTH).with(json!({ "type": "survey" }))).collect();
    let drafts: Vec<_> = [&early].into_iter().chain(&surveys).chain([&last]).collect();
    for piece in drafts.chunks(200) {
        let answer = mori.sync(&world, piece).await;
        assert!(outcomes(&answer).iter().all(|told| told == "quarantined unknown_type"));
    }
    world.publish(SURVEY).await?;
    let waiting = world.state.store.read().await?.quarantine().count_open(&tenant("fire")).await?;
    assert_eq!(waiting, 0, "every piece was judged");
    assert_eq!(world.record(&mori, &last.rec()).await["title"], "b");
    let head = world.head().await?;
    assert_eq!(head, 2 * i64::try_from(drafts.len())?, "each release takes a seq of its own");
    world.publish(SURVEY).await?;
    assert_eq!(world.head().await?, head, "once more changes nothing");
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
