//! Where records lie and have lain.

use crate::sample::{NOW, bucket, rec, tenant};
use storage::testing::TestResult;
use storage::{Placement, Store};
use sync_protocol::clock::UnixMillis;

storage::on_both!(
    a_stay_begins_and_ends_and_leaves_its_history,
    only_open_stays_are_ended,
    a_stay_that_ended_at_this_instant_goes_on,
);

fn stay(n: u128, name: &str, from: i64, to: Option<i64>) -> Placement {
    Placement {
        rec: rec(n),
        bucket: bucket(name),
        from_at: UnixMillis(from),
        to_at: to.map(UnixMillis),
    }
}

async fn a_stay_begins_and_ends_and_leaves_its_history(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let (south, north) = (bucket("station:south"), bucket("station:north"));
    let mut tx = store.write().await?;
    let both = [(rec(2), south.clone()), (rec(1), south.clone())];
    tx.placements().open(&tenant, &both, UnixMillis(10)).await?;
    tx.placements().close(&tenant, &[(rec(1), south.clone())], UnixMillis(20)).await?;
    tx.placements().open(&tenant, &[(rec(1), north)], UnixMillis(20)).await?;
    tx.placements().close(&tenant, &[], UnixMillis(30)).await?;
    let found = tx.placements().of_records(&tenant, &[rec(2), rec(3), rec(1)]).await?;
    let expected = [
        stay(1, "station:south", 10, Some(20)),
        stay(1, "station:north", 20, None),
        stay(2, "station:south", 10, None),
    ];
    assert_eq!(found, expected);
    Ok(())
}

async fn only_open_stays_are_ended(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let stays = [(rec(1), bucket("area:a"))];
    let mut tx = store.write().await?;
    tx.placements().open(&tenant, &stays, UnixMillis(10)).await?;
    tx.placements().close(&tenant, &stays, UnixMillis(20)).await?;
    tx.placements().close(&tenant, &stays, UnixMillis(30)).await?;
    let found = tx.placements().of_records(&tenant, &[rec(1)]).await?;
    assert_eq!(found, [stay(1, "area:a", 10, Some(20))]);
    Ok(())
}

async fn a_stay_that_ended_at_this_instant_goes_on(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let stays = [(rec(1), bucket("area:a"))];
    let mut tx = store.write().await?;
    tx.placements().open(&tenant, &stays, NOW).await?;
    tx.placements().close(&tenant, &stays, NOW).await?;
    tx.placements().open(&tenant, &stays, NOW).await?;
    let found = tx.placements().of_records(&tenant, &[rec(1)]).await?;
    assert_eq!(found, [stay(1, "area:a", NOW.0, None)]);
    Ok(())
}
