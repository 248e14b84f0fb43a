//! Records that enter, leave and lie in two buckets, and their sums: sync.md 2.6 and 2.8.

use crate::scenes::{Held, second, sync_with, two_stations, with_visits};
use crate::support::{NORTH, SOUTH, TestResult, World, items, set};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use storage::Store;

storage::on_both!(
    a_record_in_two_buckets_survives_losing_one,
    a_record_that_leaves_a_bucket_is_named,
    a_record_that_comes_back_is_sent_whole,
    sums_are_those_of_the_records,
);

async fn a_record_in_two_buckets_survives_losing_one(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (boss, mut mori) = two_stations(&world).await?;
    mori.drain(&world).await;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    let mut held = Held::default();
    world.relocate(&boss, &visit.rec(), &[SOUTH, NORTH]).await;
    held.take(&mori.sync(&world, &[]).await);
    assert_eq!(held.0[&visit.rec()].1.len(), 2);
    world.relocate(&boss, &visit.rec(), &[NORTH]).await;
    let answer = mori.sync(&world, &[]).await;
    held.take(&answer);
    assert_eq!(answer["leave"][0]["rec"], json!(visit.rec()));
    assert_eq!(held.0[&visit.rec()].1, BTreeSet::from([NORTH.to_owned()]));
    let edit = world.draft(&mori, &visit.rec(), json!([set("opinion", "a", &[])]));
    held.take(&mori.sync(&world, &[&edit]).await);
    assert_eq!(held.0[&visit.rec()].1, BTreeSet::from([NORTH.to_owned()]));
    let sums = sync_with(&world, &mut mori, json!({ "sums": true })).await;
    for sum in items(&sums["sums"]) {
        assert_eq!(sum, held.sum(sum["bucket"].as_str().unwrap_or_default())?);
    }
    Ok(())
}

async fn a_record_that_leaves_a_bucket_is_named(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (boss, mut mori) = two_stations(&world).await?;
    let mut hara = world.inspector("hara").await?;
    let visit = world.new_visit(&mori, SOUTH);
    mori.sync(&world, &[&visit]).await;
    hara.drain(&world).await;
    world.relocate(&boss, &visit.rec(), &[NORTH]).await;
    let edit = world.draft(&mori, &visit.rec(), json!([set("title", "secret", &[visit.dot(1)])]));
    mori.sync(&world, &[&edit]).await;
    let answer = hara.sync(&world, &[]).await;
    assert_eq!(answer["leave"], json!([{ "bucket": SOUTH, "rec": visit.rec(), "at": 2 }]));
    assert_eq!(answer["records"], json!([]));
    assert!(!answer.to_string().contains("secret"));
    assert_eq!(hara.sync(&world, &[]).await["leave"], json!([]), "once");
    // Who begins after it left never hears of it.
    let mut late = second(&world, &hara).await?;
    for answer in late.drain(&world).await {
        assert!(!answer.to_string().contains(&visit.rec()), "{answer}");
    }
    Ok(())
}

async fn a_record_that_comes_back_is_sent_whole(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (boss, mori) = two_stations(&world).await?;
    let mut hara = world.inspector("hara").await?;
    let visit = world.new_visit(&hara, SOUTH);
    hara.sync(&world, &[&visit]).await;
    hara.drain(&world).await;
    for between in [true, false] {
        world.relocate(&boss, &visit.rec(), &[NORTH]).await;
        if between {
            hara.sync(&world, &[]).await;
        }
        world.relocate(&boss, &visit.rec(), &[SOUTH]).await;
        let answer = hara.sync(&world, &[]).await;
        assert_eq!(answer["records"][0]["full"], true);
        assert_eq!(answer["records"][0]["fields"]["title"][0][2], "first");
        assert_eq!(answer["leave"], json!([]));
    }
    drop(mori);
    Ok(())
}

async fn sums_are_those_of_the_records(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, _) = with_visits(&world, 5).await?;
    let mut tablet = second(&world, &mori).await?;
    let mut held = Held::default();
    for answer in tablet.drain(&world).await {
        held.take(&answer);
        assert_eq!(answer["sums"], Value::Null, "only when asked for");
    }
    let sums = items(&sync_with(&world, &mut tablet, json!({ "sums": true })).await["sums"]);
    assert_eq!(sums, [held.sum("everyone")?, held.sum(SOUTH)?]);
    assert_eq!(sums[1]["n"], 5);
    Ok(())
}
