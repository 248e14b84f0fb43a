//! What came under which n.

use crate::sample::{change, hash, id, tenant};
use storage::testing::TestResult;
use storage::{Received, StorageError, Store};
use sync_protocol::id::{ReplicaId, Seq};

storage::on_both!(
    a_range_is_in_order_and_of_one_replica,
    an_n_is_taken_once,
    durable_is_the_longest_covered_prefix,
);

fn row(replica: u128, n: i64, seq: i64) -> Received {
    Received {
        replica: ReplicaId(id(replica)),
        n,
        id: change(u128::try_from(n).unwrap_or(0)),
        hash: hash(1),
        seq: Seq(seq),
    }
}

async fn a_range_is_in_order_and_of_one_replica(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let rows = [row(1, 3, 3), row(1, 1, 1), row(2, 1, 4), row(1, 2, 2), row(1, 4, 5)];
    tx.received().append(&tenant, &rows).await?;
    let range = tx.received().range(&tenant, ReplicaId(id(1)), 2, 3).await?;
    assert_eq!(range, [row(1, 2, 2), row(1, 3, 3)]);
    assert_eq!(tx.received().range(&tenant, ReplicaId(id(3)), 0, 99).await?, []);
    Ok(())
}

async fn an_n_is_taken_once(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    tx.received().append(&tenant, &[row(1, 1, 1)]).await?;
    let refused = tx.received().append(&tenant, &[row(1, 1, 2)]).await;
    assert!(matches!(refused, Err(StorageError::AlreadyStored(_))), "{refused:?}");
    Ok(())
}

async fn durable_is_the_longest_covered_prefix(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    // The second was first received early, by another replica; the fourth is not yet in a backup.
    let rows = [row(1, 1, 10), row(1, 2, 3), row(1, 3, 11), row(1, 4, 20), row(1, 5, 12)];
    tx.received().append(&tenant, &rows).await?;
    let replicas = [ReplicaId(id(2)), ReplicaId(id(1))];
    for (backup, n) in [(0, 0), (9, 0), (10, 2), (11, 3), (19, 3), (20, 5), (99, 5)] {
        let durable = tx.received().durable(&tenant, &replicas, Seq(backup)).await?;
        assert_eq!(durable, [(replicas[1], n), (replicas[0], 0)].into(), "at {backup}");
    }
    Ok(())
}
