//! What was approved, as it was approved.

use crate::sample::{NOW, change, hash, rec, tenant, user};
use storage::testing::TestResult;
use storage::{SealSnapshot, StorageError, Store};

storage::on_both!(a_snapshot_is_found_by_its_seal_and_the_latest_by_its_record);

async fn a_snapshot_is_found_by_its_seal_and_the_latest_by_its_record(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let seal = |n, at| SealSnapshot {
        rec: rec(1),
        change: change(n),
        view_hash: hash(4),
        form_version: 7,
        body: (0..=255).collect(),
        sealed_at: NOW.plus(at),
        by: user(1),
    };
    let mut tx = store.write().await?;
    tx.seals().insert(&tenant, &seal(9, 0)).await?;
    tx.seals().insert(&tenant, &seal(2, 5)).await?;
    assert_eq!(tx.seals().find(&tenant, rec(1), change(9)).await?, Some(seal(9, 0)));
    assert_eq!(tx.seals().find(&tenant, rec(1), change(8)).await?, None);
    assert_eq!(tx.seals().latest(&tenant, rec(1)).await?, Some(seal(2, 5)));
    assert_eq!(tx.seals().latest(&tenant, rec(2)).await?, None);
    let refused = tx.seals().insert(&tenant, &seal(9, 8)).await;
    assert!(matches!(refused, Err(StorageError::AlreadyStored(_))), "{refused:?}");
    Ok(())
}
