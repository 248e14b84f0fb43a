//! Replicas, their leases and what is known of them.

use crate::sample::{NOW, id, replica_row, tenant_with_device};
use storage::testing::TestResult;
use storage::{Replica, StorageError, Store};
use sync_protocol::id::{AttemptId, ChangeId, DeviceId, LeaseId, ReplicaId};

storage::on_both!(
    a_replica_is_found_as_it_was_saved,
    unknown_replicas_are_absent_and_the_rest_in_order,
    a_replica_id_is_taken_once,
    a_replica_needs_its_device,
    a_restore_voids_all_leases_once,
);

async fn a_replica_is_found_as_it_was_saved(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let first = replica_row(1);
    let next = Replica {
        lease_cur: LeaseId(id(7)),
        lease_prev: Some(first.lease_cur),
        attempt_prev: Some(AttemptId(id(8))),
        known_n: 40,
        known_id: Some(ChangeId(id(9))),
        ..first.clone()
    };
    let mut tx = store.write().await?;
    tx.replicas().insert(&tenant, &first).await?;
    assert_eq!(tx.replicas().lock(&tenant, &[first.replica]).await?, [first]);
    tx.replicas().save(&tenant, std::slice::from_ref(&next)).await?;
    tx.commit().await?;
    assert_eq!(store.write().await?.replicas().lock(&tenant, &[next.replica]).await?, [next]);
    Ok(())
}

async fn unknown_replicas_are_absent_and_the_rest_in_order(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let mut tx = store.write().await?;
    let late = Replica { created_at: NOW.plus(1), ..replica_row(1) };
    for replica in [&replica_row(3), &replica_row(2), &late] {
        tx.replicas().insert(&tenant, replica).await?;
    }
    let asked = [3, 9, 1].map(|n| ReplicaId(id(n)));
    let found = tx.replicas().lock(&tenant, &asked).await?;
    assert_eq!(found, [late.clone(), replica_row(3)]);
    assert_eq!(tx.replicas().lock(&"water".parse()?, &asked).await?, []);
    let of_device = tx.replicas().of_device(&tenant, DeviceId(id(1))).await?;
    assert_eq!(of_device, [replica_row(2), replica_row(3), late]);
    tx.replicas().save(&tenant, &[]).await?;
    Ok(())
}

async fn a_replica_id_is_taken_once(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let mut tx = store.write().await?;
    tx.replicas().insert(&tenant, &replica_row(1)).await?;
    let refused = tx.replicas().insert(&tenant, &replica_row(1)).await;
    assert!(matches!(refused, Err(StorageError::AlreadyStored(_))), "{refused:?}");
    Ok(())
}

async fn a_replica_needs_its_device(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let foreign = Replica { device: DeviceId(id(2)), ..replica_row(1) };
    let refused = store.write().await?.replicas().insert(&tenant, &foreign).await;
    assert!(matches!(refused, Err(StorageError::Database(_))), "{refused:?}");
    Ok(())
}

async fn a_restore_voids_all_leases_once(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let mut tx = store.write().await?;
    for n in 1..=3 {
        tx.replicas().insert(&tenant, &replica_row(n)).await?;
    }
    assert_eq!(tx.replicas().void_all(&tenant).await?, 3);
    assert_eq!(tx.replicas().void_all(&tenant).await?, 0);
    let found = tx.replicas().lock(&tenant, &[ReplicaId(id(2))]).await?;
    assert_eq!(found, [Replica { void: true, ..replica_row(2) }]);
    Ok(())
}
