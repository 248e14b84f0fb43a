//! Moves of records, and of what is about them: sync.md 2.6.

use crate::scenes::{note_about, station_of, visited};
use crate::support::{NORTH, SOUTH, TestResult, World, items, outcome, tenant};
use serde_json::json;
use storage::{RecordRow, Store};
use sync_protocol::form::Role;
use sync_protocol::id::RecordId;
use uuid::Uuid;

storage::on_both!(
    a_move_takes_its_followers_along,
    a_follower_that_lies_elsewhere_stays,
    a_move_needs_both_places,
    bad_moves_are_named,
    a_move_takes_ten_thousand_records_along_and_no_more,
);

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

/// The followers are copies of one row and lie nowhere, so that the move looks at all of them and takes one along.
async fn a_move_takes_ten_thousand_records_along_and_no_more(store: Store) -> TestResult {
    const MOVED_MAX: u64 = 10_000;
    let world = World::new(store).await?;
    let (mut mori, visit) = visited(&world).await?;
    let boss = station_of(&world).await?;
    let note = note_about(&world, &mori, &visit.rec());
    mori.sync(&world, &[&note]).await;
    let place = tenant("fire");
    let mut tx = world.state.store.write().await?;
    let row = tx.records().load(&place, &[note.rec().parse()?]).await?.pop().ok_or("a note")?;
    let copy = |n: u64| RecordRow { rec: RecordId(Uuid::from_u128(n.into())), ..row.clone() };
    let copies: Vec<RecordRow> = (1..=MOVED_MAX - 2).map(copy).collect();
    tx.records().save(&place, &copies).await?;
    tx.commit().await?;
    let relocate = async |to: &str| {
        let path = format!("/v1/records/{}/move", visit.rec());
        world.post(&boss, &path, &json!({ "to": [to] })).await
    };
    let made = relocate(NORTH).await.ok();
    assert_eq!(items(&made["changes"]).len(), 2, "the visit and its note, of ten thousand");
    let mut tx = world.state.store.write().await?;
    tx.records().save(&place, &[copy(MOVED_MAX)]).await?;
    tx.commit().await?;
    let head = world.head().await?;
    let refused = relocate(SOUTH).await;
    refused.refused(422, "unprocessable");
    assert_eq!(refused.json()["reason"], "too-many");
    assert_eq!(world.head().await?, head);
    assert_eq!(world.record(&boss, &visit.rec()).await["in"], json!([NORTH]));
    Ok(())
}
