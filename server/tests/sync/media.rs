//! Photos that travel beside the changes that name them: what a tablet is told, what a record shows, what a seal asks.

use crate::support::{
    Answer, Draft, MINUTE, NORTH, SOUTH, Tablet, TestResult, World, items, outcome, outcomes, set,
    tenant,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use storage::{Blob, BlobState, Render, Store};
use sync_protocol::blob::{BlobHash, BlobRef, PHOTO_BYTES_MAX};
use sync_protocol::form::Role;
use sync_protocol::id::UploadId;
use sync_protocol::value::hash_of;

storage::on_both!(
    a_named_blob_is_needed_until_it_is_shown,
    bytes_may_come_before_the_change_that_names_them,
    a_repeated_change_says_nothing_new,
    a_quarantined_change_asks_for_its_blobs_too,
    what_comes_before_its_record_is_noted_when_it_is_applied,
    nobodys_reference_stands_in_the_way_of_anothers,
    knowing_a_hash_gives_nothing,
    tenants_know_nothing_of_each_others_blobs,
    a_device_that_deposits_is_told_nothing,
    what_names_no_blob_is_a_plain_value,
    a_record_tells_which_of_its_blobs_hold,
    lists_tell_how_complete_records_are,
    an_edit_at_the_console_names_blobs_too,
    a_seal_waits_for_the_blobs_that_it_shows,
    a_seal_asks_only_for_what_it_would_show,
);

/// A photo of a test: its payload in a change.
fn photo(name: &str) -> Value {
    json!({
        "sha256": BlobHash(hash_of(name.as_bytes())), "bytes": 1_000 + name.len(), "mime": "image/jpeg",
        "taken_at": "2026-11-22T14:00:00.000Z",
    })
}

/// The op that adds a photo.
fn add(element: &str, photo: &Value) -> Value {
    json!({ "o": "add", "f": "photos", "e": element, "v": photo })
}

/// A visit of the tablet's user with photos, each an element of its own name.
fn with_photos(world: &World, author: &Tablet, bucket: &str, names: &[&str]) -> Draft {
    let mut ops = vec![json!({ "o": "new", "in": bucket }), set("title", "first", &[])];
    ops.extend(names.iter().map(|name| add(name, &photo(name))));
    world.draft(author, &world.id(), json!(ops))
}

/// What a finished upload of a photo by the tablet's user leaves behind.
async fn show(world: &World, who: &Tablet, name: &str) -> TestResult {
    let photo = BlobRef::read(&photo(name)).ok_or("a photo")?;
    let blob = Blob {
        sha256: photo.sha256.0,
        home: UploadId(world.id().parse()?),
        bytes: i64::try_from(photo.bytes)?,
        mime: photo.kind.mime().to_owned(),
        state: BlobState::Have,
        stored_at: world.now(),
        facts: None,
        render: Render::Pending,
        thumb: None,
        screen: None,
    };
    let mut tx = world.state.store.write().await?;
    tx.blobs().show(&tenant(&who.place), &blob, who.user).await?;
    Ok(tx.commit().await?)
}

/// Asks about photos and pushes changes; gives the answer.
async fn ask(world: &World, tablet: &mut Tablet, names: &[&str], drafts: &[&Draft]) -> Value {
    let mut envelope = tablet.envelope(world);
    envelope["blobs"] = names.iter().map(|name| photo(name)["sha256"].clone()).collect();
    envelope["push"]["changes"] = drafts.iter().map(|draft| draft.0.clone()).collect();
    let answer = world.post_sync(tablet, envelope.to_string()).await.ok();
    tablet.next += i64::try_from(drafts.len()).unwrap_or_default();
    tablet.take(&answer);
    answer
}

/// The `need` and `have` of photos, as an answer tells them: in the order of the hashes.
fn told(need: &[&str], have: &[&str]) -> Value {
    let sorted = |names: &[&str]| {
        let mut hashes: Vec<String> = names
            .iter()
            .map(|name| photo(name)["sha256"].as_str().unwrap_or_default().to_owned())
            .collect();
        hashes.sort();
        hashes
    };
    json!({ "need": sorted(need), "have": sorted(have) })
}

async fn a_named_blob_is_needed_until_it_is_shown(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = with_photos(&world, &mori, SOUTH, &["a", "b"]);
    let nothing = ask(&world, &mut mori, &["a", "b", "c"], &[]).await;
    assert_eq!(nothing["blobs"], told(&[], &[]), "no change names them yet");
    let first = ask(&world, &mut mori, &["a", "b", "c"], &[&visit]).await;
    assert_eq!(outcomes(&first), ["ok"], "before its photos have come");
    assert_eq!(first["blobs"], told(&["a", "b"], &[]));
    show(&world, &mori, "a").await?;
    let second = ask(&world, &mut mori, &["a", "b", "a"], &[]).await;
    assert_eq!(second["blobs"], told(&["b"], &["a"]));
    assert_eq!(mori.sync(&world, &[]).await["blobs"], told(&[], &[]), "nobody asked");
    Ok(())
}

async fn bytes_may_come_before_the_change_that_names_them(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    show(&world, &mori, "a").await?;
    assert_eq!(ask(&world, &mut mori, &["a"], &[]).await["blobs"], told(&[], &[]));
    let visit = with_photos(&world, &mori, SOUTH, &["a"]);
    assert_eq!(ask(&world, &mut mori, &["a"], &[&visit]).await["blobs"], told(&[], &["a"]));
    Ok(())
}

async fn a_repeated_change_says_nothing_new(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = with_photos(&world, &mori, SOUTH, &["a", "b"]);
    let twice = world.draft(&mori, &visit.rec(), json!([add("twice", &photo("a"))]));
    ask(&world, &mut mori, &[], &[&visit, &twice]).await;
    mori.next = 1;
    let again = ask(&world, &mut mori, &["a"], &[&visit, &twice]).await;
    assert_eq!(outcomes(&again), ["dup ok", "dup ok"]);
    assert_eq!(again["blobs"], told(&["a"], &[]));
    Ok(())
}

async fn a_quarantined_change_asks_for_its_blobs_too(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = with_photos(&world, &mori, NORTH, &["a", "b"]);
    let waiting = ask(&world, &mut mori, &["a", "b"], &[&visit]).await;
    assert_eq!(outcomes(&waiting), ["quarantined forbidden"]);
    assert_eq!(waiting["blobs"], told(&["a", "b"], &[]));
    show(&world, &mori, "a").await?;
    assert_eq!(ask(&world, &mut mori, &["a", "b"], &[]).await["blobs"], told(&["b"], &["a"]));
    let boss = world.person("sato", NORTH, Role::Supervisor).await?;
    world.release(&boss, &waiting["results"][0]).await.ok();
    assert_eq!(ask(&world, &mut mori, &["a", "b"], &[]).await["blobs"], told(&["b"], &["a"]));
    let shown = world.record(&boss, &visit.rec()).await;
    assert_eq!(media_of(&shown, &[]).0, "1 of 2", "what is released counts");
    let offset = &shown["media"]["blobs"][0]["clock_offset_ms"];
    assert_eq!(offset, &json!(0), "as it was when the change came");
    Ok(())
}

async fn what_comes_before_its_record_is_noted_when_it_is_applied(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = world.new_visit(&mori, SOUTH);
    let early = world.draft(&mori, &visit.rec(), json!([add("a", &photo("a"))]));
    let answer = ask(&world, &mut mori, &["a"], &[&early, &visit]).await;
    assert_eq!(outcomes(&answer), ["ok", "ok"]);
    assert_eq!(answer["blobs"], told(&["a"], &[]));
    show(&world, &mori, "a").await?;
    let shown = world.record(&mori, &visit.rec()).await;
    assert_eq!(media_of(&shown, &["a"]), ("1 of 1".into(), vec!["a have".into()]));
    Ok(())
}

async fn nobodys_reference_stands_in_the_way_of_anothers(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let mut hara = world.inspector("hara").await?;
    let visit = with_photos(&world, &mori, SOUTH, &["a"]);
    ask(&world, &mut mori, &[], &[&visit]).await;
    let reused = visit.with(json!({ "by": hara.user }));
    let answer = ask(&world, &mut hara, &["a"], &[&reused]).await;
    assert_eq!(outcomes(&answer), ["quarantined id_reuse"]);
    assert_eq!(answer["blobs"], told(&["a"], &[]), "it is kept, so its bytes are asked for");
    show(&world, &hara, "a").await?;
    let shown = world.record(&mori, &visit.rec()).await;
    assert_eq!(media_of(&shown, &["a"]).0, "0 of 1", "what is not applied holds nothing");
    Ok(())
}

async fn knowing_a_hash_gives_nothing(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let mut thief = world.inspector("thief").await?;
    let visit = with_photos(&world, &mori, SOUTH, &["a"]);
    ask(&world, &mut mori, &["a"], &[&visit]).await;
    show(&world, &mori, "a").await?;
    let there = ask(&world, &mut thief, &["a"], &[]).await;
    assert_eq!(there["blobs"], told(&[], &[]), "of what others name nothing is told");
    let claim = with_photos(&world, &thief, SOUTH, &["a", "nowhere"]);
    let claimed = ask(&world, &mut thief, &["a", "nowhere"], &[&claim]).await;
    assert_eq!(claimed["blobs"], told(&["a", "nowhere"], &[]), "as if nobody had it");
    show(&world, &thief, "a").await?;
    let shown = ask(&world, &mut thief, &["a", "nowhere"], &[]).await;
    assert_eq!(shown["blobs"], told(&["nowhere"], &["a"]));
    assert_eq!(ask(&world, &mut mori, &["a"], &[]).await["blobs"], told(&[], &["a"]));
    Ok(())
}

async fn tenants_know_nothing_of_each_others_blobs(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = with_photos(&world, &mori, SOUTH, &["a"]);
    ask(&world, &mut mori, &["a"], &[&visit]).await;
    show(&world, &mori, "a").await?;
    let user = world.user_in("welfare", "mori").await?;
    world.grant_as("welfare", user, SOUTH, Role::Inspector, |_| ()).await?;
    let mut other = world.tablet_in("welfare", user).await?;
    assert_eq!(ask(&world, &mut other, &["a"], &[]).await["blobs"], told(&[], &[]));
    let visit = with_photos(&world, &other, SOUTH, &["a"]);
    let answer = ask(&world, &mut other, &["a"], &[&visit]).await;
    assert_eq!((outcomes(&answer), &answer["blobs"]), (vec!["ok".to_owned()], &told(&["a"], &[])));
    Ok(())
}

async fn a_device_that_deposits_is_told_nothing(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let visit = with_photos(&world, &mori, SOUTH, &["a"]);
    ask(&world, &mut mori, &[], &[]).await;
    world.set_aside(&mori, storage::DeviceState::Revoked).await?;
    let answer = ask(&world, &mut mori, &["a"], &[&visit]).await;
    assert_eq!(outcomes(&answer), ["quarantined revoked"]);
    assert_eq!(answer["blobs"], told(&[], &[]));
    Ok(())
}

async fn what_names_no_blob_is_a_plain_value(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let (mut big, mut svg, mut short, mut upper) = (photo("a"), photo("a"), photo("a"), photo("a"));
    big["bytes"] = json!(PHOTO_BYTES_MAX + 1);
    svg["mime"] = json!("image/svg+xml");
    short["sha256"] = json!("0a");
    upper["sha256"] = json!(photo("a")["sha256"].as_str().unwrap_or_default().to_uppercase());
    let bad = [big, svg, short, upper, json!("x"), json!([]), json!({ "sha256": 7 }), Value::Null];
    let mut ops = vec![json!({ "o": "new", "in": SOUTH })];
    let elements = bad.iter().enumerate();
    ops.extend(elements.map(|(i, value)| add(&format!("p{i}"), value)));
    let visit = world.draft(&mori, &world.id(), json!(ops));
    let unread = json!({ "id": world.id(), "rec": visit.rec(), "ops": [add("x", &photo("a"))] });
    let texts = [visit.text(), unread.to_string()];
    assert_eq!(outcomes(&mori.sync_texts(&world, &texts).await), ["ok", "quarantined bad_op"]);
    assert_eq!(ask(&world, &mut mori, &["a"], &[]).await["blobs"], told(&[], &[]));
    let field = world.draft(&mori, &visit.rec(), json!([set("opinion", photo("a"), &[])]));
    assert_eq!(outcome(&mori.push(&world, &field).await), "ok");
    assert_eq!(ask(&world, &mut mori, &["a"], &[]).await["blobs"], told(&[], &[]));
    Ok(())
}

/// The photos of a record as GET shows them, `have of of` and `name have` or `name missing` by name.
fn media_of(shown: &Value, names: &[&str]) -> (String, Vec<String>) {
    let media = &shown["media"];
    let name = |blob: &Value| {
        let known = names.iter().find(|name| photo(name)["sha256"] == blob["sha256"]);
        format!("{} {}", known.unwrap_or(&"?"), blob["state"].as_str().unwrap_or_default())
    };
    let mut blobs: Vec<String> = items(&media["blobs"]).iter().map(name).collect();
    blobs.sort();
    (format!("{} of {}", media["have"], media["of"]), blobs)
}

async fn a_record_tells_which_of_its_blobs_hold(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let mut thief = world.inspector("thief").await?;
    let visit = with_photos(&world, &mori, SOUTH, &["a", "b"]);
    let mut envelope = mori.envelope(&world);
    envelope["clock"]["now"] = json!(world.now().plus(-7 * MINUTE).to_string());
    envelope["push"]["changes"] = json!([visit.0]);
    mori.take(&world.post_sync(&mori, envelope.to_string()).await.ok());
    let shown = world.record(&mori, &visit.rec()).await;
    assert_eq!(
        media_of(&shown, &["a", "b"]),
        ("0 of 2".into(), vec!["a missing".into(), "b missing".into()])
    );
    let one = &shown["media"]["blobs"][0];
    assert_eq!((&one["bytes"], &one["mime"]), (&json!(1_001), &json!("image/jpeg")));
    assert_eq!((&one["author"], &one["clock_offset_ms"]), (&json!(mori.user), &json!(7 * MINUTE)));
    assert_eq!((&one["facts"], &one["render"]), (&Value::Null, &Value::Null));

    // What a colleague has shown, and what this one says to have without showing it, is not here.
    show(&world, &thief, "a").await?;
    show(&world, &mori, "c").await?;
    let claim = world.draft(&thief, &visit.rec(), json!([add("c", &photo("c"))]));
    thief.sync(&world, &[&claim]).await;
    let names = ["a", "b", "c"];
    let shown = world.record(&mori, &visit.rec()).await;
    let none = names.iter().map(|name| format!("{name} missing")).collect();
    assert_eq!(media_of(&shown, &names), ("0 of 3".into(), none));

    show(&world, &mori, "a").await?;
    let shown = world.record(&mori, &visit.rec()).await;
    let some = vec!["a have".into(), "b missing".into(), "c missing".into()];
    assert_eq!(media_of(&shown, &names), ("1 of 3".into(), some));
    let blobs = items(&shown["media"]["blobs"]);
    let here = blobs.iter().find(|blob| blob["state"] == "have").ok_or("one that holds")?;
    assert_eq!((&here["render"], &here["facts"]), (&json!("pending"), &Value::Null));
    assert_eq!(
        (&here["author"], &here["clock_offset_ms"]),
        (&json!(mori.user), &json!(7 * MINUTE))
    );

    // A removed photo no longer counts.
    let gone = json!([{ "o": "rem", "f": "photos", "e": "b", "x": [format!("{}.3p", visit.id())], "why": "blurred" }]);
    mori.next = 2;
    let removal = world.draft(&mori, &visit.rec(), gone);
    assert_eq!(outcome(&mori.push(&world, &removal).await), "ok");
    let shown = world.record(&mori, &visit.rec()).await;
    let some = vec!["a have".into(), "c missing".into()];
    assert_eq!(media_of(&shown, &names), ("1 of 2".into(), some));
    Ok(())
}

async fn lists_tell_how_complete_records_are(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let bare = world.new_visit(&mori, SOUTH);
    let two = with_photos(&world, &mori, SOUTH, &["a", "b"]);
    let shared = with_photos(&world, &mori, SOUTH, &["a"]);
    mori.sync(&world, &[&bare, &two, &shared]).await;
    let result =
        |value: &str| world.draft(&mori, &two.rec(), json!([set("checks.F07.result", value, &[])]));
    let (good, bad) = (result("good"), result("bad"));
    mori.sync(&world, &[&good, &bad]).await;
    let listed = async |path: &str| {
        let rows = items(&world.get(&mori, path).await.ok()["records"]);
        let rows = rows
            .into_iter()
            .map(|row| if row["record"].is_null() { row } else { row["record"].clone() });
        rows.map(|row| (row["rec"].as_str().unwrap_or_default().to_owned(), row["media"].clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let expected = |two_have: usize, shared_have: usize| {
        BTreeMap::from([
            (bare.rec(), json!({ "have": 0, "of": 0 })),
            (two.rec(), json!({ "have": two_have, "of": 2 })),
            (shared.rec(), json!({ "have": shared_have, "of": 1 })),
        ])
    };
    assert_eq!(listed("/v1/records").await, expected(0, 0));
    show(&world, &mori, "a").await?;
    assert_eq!(listed("/v1/records").await, expected(1, 1));
    show(&world, &mori, "b").await?;
    assert_eq!(listed("/v1/records?type=visit").await, expected(2, 1));
    let inbox = BTreeMap::from([(two.rec(), json!({ "have": 2, "of": 2 }))]);
    assert_eq!(listed("/v1/conflicts").await, inbox);
    Ok(())
}

async fn an_edit_at_the_console_names_blobs_too(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let boss = world.person("sato", SOUTH, Role::Supervisor).await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    let edit = json!({ "id": world.id(), "ops": [add("p", &photo("a"))] });
    world.edit(&boss, &visit.rec(), &edit).await.ok();
    world.edit(&boss, &visit.rec(), &edit).await.ok();
    let shown = world.record(&boss, &visit.rec()).await;
    assert_eq!(media_of(&shown, &["a"]), ("0 of 1".into(), vec!["a missing".into()]));
    let one = &shown["media"]["blobs"][0];
    assert_eq!((&one["author"], &one["clock_offset_ms"]), (&json!(boss.user), &Value::Null));
    show(&world, &mori, "a").await?;
    let shown = world.record(&boss, &visit.rec()).await;
    assert_eq!(media_of(&shown, &["a"]).0, "0 of 1", "the inspector names it nowhere");
    show(&world, &boss, "a").await?;
    let shown = world.record(&boss, &visit.rec()).await;
    assert_eq!(media_of(&shown, &["a"]).0, "1 of 1");
    Ok(())
}

/// Seals what GET shows.
async fn seal(world: &World, chief: &Tablet, rec: &str) -> Answer {
    let seen = world.record(chief, rec).await["to_seal"].clone();
    let body = json!({ "rv": seen["rv"], "view_hash": seen["view_hash"] });
    world.post(chief, &format!("/v1/records/{rec}/seal"), &body).await
}

async fn a_seal_waits_for_the_blobs_that_it_shows(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let chief = world.person("chief", SOUTH, Role::Approver).await?;
    let visit = with_photos(&world, &mori, SOUTH, &["a", "b"]);
    let drawing = json!([{ "o": "add", "f": "drawings", "e": "d", "v": photo("c") }]);
    let drawn = world.draft(&mori, &visit.rec(), drawing);
    mori.sync(&world, &[&visit, &drawn]).await;
    show(&world, &mori, "a").await?;
    let shown = world.record(&chief, &visit.rec()).await;
    let problem = |path: &str, missing: usize, of: usize| {
        json!({
            "path": path, "level": "approve", "code": "blob_missing",
            "ja": format!("写真・動画{of}件のうち{missing}件がまだ届いていません"),
            "en": format!("{missing} of {of} photos and videos not received yet"),
        })
    };
    let missing = json!([problem("drawings", 1, 1), problem("photos", 1, 2)]);
    assert_eq!(shown["to_seal"]["problems"], missing);
    assert_eq!(shown["problems"], json!([]), "nothing is in the way of submitting");
    let refused = seal(&world, &chief, &visit.rec()).await;
    refused.refused(422, "unprocessable");
    assert_eq!(refused.json()["reason"], "not-ready-to-seal");
    assert_eq!(
        refused.json()["detail"],
        "drawings: 1 of 1 photos and videos not received yet; photos: 1 of 2 photos and videos not received yet"
    );
    show(&world, &mori, "b").await?;
    show(&world, &chief, "c").await?;
    seal(&world, &chief, &visit.rec()).await.refused(422, "unprocessable");
    show(&world, &mori, "c").await?;
    seal(&world, &chief, &visit.rec()).await.ok();
    let sealed = world.record(&chief, &visit.rec()).await;
    assert_eq!(sealed["media"]["have"], 3);
    Ok(())
}

async fn a_seal_asks_only_for_what_it_would_show(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    let chief = world.person("chief", SOUTH, Role::Approver).await?;
    let visit = with_photos(&world, &mori, SOUTH, &["a"]);
    mori.sync(&world, &[&visit]).await;
    show(&world, &mori, "a").await?;
    seal(&world, &chief, &visit.rec()).await.ok();
    let late = world.draft(&mori, &visit.rec(), json!([add("b", &photo("b"))]));
    let answer = ask(&world, &mut mori, &["b"], &[&late]).await;
    assert_eq!(
        (outcomes(&answer), &answer["blobs"]),
        (vec!["late sealed".to_owned()], &told(&["b"], &[]))
    );
    let beside = world.record(&chief, &visit.rec()).await;
    assert_eq!(beside["media"]["of"], 1, "it stands beside the view");
    seal(&world, &chief, &visit.rec()).await.ok();
    let accept = format!("/v1/records/{}/late/{}/accept", visit.rec(), late.id());
    world.post(&chief, &accept, &json!({})).await.ok();
    seal(&world, &chief, &visit.rec()).await.refused(422, "unprocessable");
    show(&world, &mori, "b").await?;
    seal(&world, &chief, &visit.rec()).await.ok();
    assert_eq!(world.record(&chief, &visit.rec()).await["media"]["have"], 2);
    Ok(())
}
