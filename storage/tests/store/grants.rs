//! Grants: who may do what, from when to when.

use crate::sample::{NOW, bucket, id, tenant, user, user_row};
use storage::testing::TestResult;
use storage::{Grant, StorageError, Store};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::Tenant;

storage::on_both!(
    all_grants_of_a_user_are_listed_ended_ones_too,
    a_grant_ends_only_earlier_than_before,
    a_grant_needs_its_user,
    the_next_boundary_is_the_nearest_begin_or_end,
);

fn grant(n: u128, of: u128, from: i64, to: Option<i64>) -> Grant {
    Grant {
        id: id(n),
        user: user(of),
        bucket: bucket("station:south"),
        role: "inspector".into(),
        from_at: UnixMillis(from),
        to_at: to.map(UnixMillis),
        hold: true,
        granted_by: user(1),
        granted_at: NOW,
    }
}

async fn granted(store: &Store, grants: &[Grant]) -> TestResult<Tenant> {
    let tenant = tenant(store).await?;
    let mut tx = store.write().await?;
    for n in 1..=3 {
        tx.users().insert(&tenant, &user_row(n)).await?;
    }
    for grant in grants {
        tx.grants().insert(&tenant, grant).await?;
    }
    tx.commit().await?;
    Ok(tenant)
}

async fn all_grants_of_a_user_are_listed_ended_ones_too(store: Store) -> TestResult {
    let north = Grant { bucket: bucket("station:north"), hold: false, ..grant(1, 2, 30, None) };
    let rows = [grant(2, 2, 10, Some(20)), grant(3, 3, 5, None), grant(4, 1, 90, None), north];
    let tenant = granted(&store, &rows).await?;
    let [ended, of_three, of_one, north] = rows;
    let mut tx = store.read().await?;
    let found = tx.grants().of_users(&tenant, &[user(2), user(1)]).await?;
    assert_eq!(found, [of_one.clone(), ended.clone(), north.clone()]);
    let of_bucket = tx.grants().of_bucket(&tenant, &ended.bucket).await?;
    assert_eq!(of_bucket, [of_three, ended, of_one]);
    assert_eq!(tx.grants().find(&tenant, id(1)).await?, Some(north));
    assert_eq!(tx.grants().find(&tenant, id(9)).await?, None);
    Ok(())
}

async fn a_grant_ends_only_earlier_than_before(store: Store) -> TestResult {
    let tenant = granted(&store, &[grant(1, 1, 10, None)]).await?;
    let mut tx = store.write().await?;
    for at in [50, 40] {
        tx.grants().end(&tenant, id(1), UnixMillis(at)).await?;
        let stored = tx.grants().find(&tenant, id(1)).await?;
        assert_eq!(stored, Some(grant(1, 1, 10, Some(at))));
    }
    for (unknown, at) in [(id(1), 40), (id(1), 60), (id(2), 10)] {
        let refused = tx.grants().end(&tenant, unknown, UnixMillis(at)).await;
        assert!(matches!(refused, Err(StorageError::Stale)), "{refused:?}");
    }
    Ok(())
}

async fn a_grant_needs_its_user(store: Store) -> TestResult {
    let tenant = granted(&store, &[]).await?;
    let refused = store.write().await?.grants().insert(&tenant, &grant(1, 9, 0, None)).await;
    assert!(matches!(refused, Err(StorageError::Database(_))), "{refused:?}");
    Ok(())
}

async fn the_next_boundary_is_the_nearest_begin_or_end(store: Store) -> TestResult {
    let rows = [grant(1, 1, 10, Some(40)), grant(2, 1, 20, None), grant(3, 2, 30, Some(35))];
    let tenant = granted(&store, &rows).await?;
    let mut tx = store.read().await?;
    for (after, next) in [(0, Some(10)), (10, Some(20)), (29, Some(30)), (30, Some(35)), (40, None)]
    {
        let found = tx.grants().next_boundary(&tenant, UnixMillis(after)).await?;
        assert_eq!(found, next.map(UnixMillis), "after {after}");
    }
    assert_eq!(tx.grants().next_boundary(&"water".parse()?, UnixMillis(0)).await?, None);
    Ok(())
}
