//! Photos that travel beside the changes that name them: what a tablet is told, what a record shows, what a seal asks.

use crate::support::{
    Draft, NORTH, SOUTH, Tablet, TestResult, World, outcome, outcomes, set, tenant,
};
use serde_json::{Value, json};
use storage::Store;
use storage::testing::show_blob;
use sync_protocol::blob::{BlobHash, BlobRef, PHOTO_BYTES_MAX};
use sync_protocol::form::Role;
use sync_protocol::value::hash_of;

storage::on_both!(
    a_named_blob_is_needed_until_it_is_shown,
    bytes_may_come_before_the_change_that_names_them,
    a_repeated_change_says_nothing_new,
    a_quarantined_change_asks_for_its_blobs_too,
    knowing_a_hash_gives_nothing,
    tenants_know_nothing_of_each_others_blobs,
    a_device_that_deposits_is_told_nothing,
    what_names_no_blob_is_a_plain_value,
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
    let blob = BlobRef::read(&photo(name)).ok_or("a photo")?;
    let mut tx = world.state.store.write().await?;
    show_blob(&mut tx, &tenant(&who.place), who.user, blob, world.now()).await?;
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
