//! Tenants and their heads.

use crate::sample::{id, tenant, tenant_row};
use storage::testing::TestResult;
use storage::{StorageError, Store};
use sync_protocol::id::{EpochId, Seq};

storage::on_both!(
    a_tenant_begins_with_an_empty_journal,
    a_second_tenant_of_one_id_is_named,
    a_head_advances_by_what_is_taken,
    a_head_without_a_tenant_is_damage,
    a_backup_never_goes_back_nor_beyond_the_head,
    a_dropped_transaction_leaves_no_trace,
);

async fn a_tenant_begins_with_an_empty_journal(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.read().await?;
    assert_eq!(tx.tenants().find(&tenant).await?, Some(tenant_row("fire")?));
    assert_eq!(tx.tenants().find(&"water".parse()?).await?, None);
    assert_eq!(tx.tenants().list().await?, [tenant_row("fire")?]);
    let head = tx.head().read(&tenant).await?;
    assert_eq!((head.seq, head.epoch, head.backup_seq), (Seq(0), EpochId(id(1)), None));
    Ok(())
}

async fn a_second_tenant_of_one_id_is_named(store: Store) -> TestResult {
    tenant(&store).await?;
    let mut tx = store.write().await?;
    let refused =
        tx.tenants().insert(&tenant_row("fire")?, EpochId(id(2))).await.expect_err("it is there");
    assert!(matches!(refused, StorageError::AlreadyStored(_)), "{refused:?}");
    Ok(())
}

async fn a_head_advances_by_what_is_taken(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    assert_eq!(tx.head().advance(&tenant, 3).await?.seq, Seq(3));
    assert_eq!(tx.head().advance(&tenant, 1).await?.seq, Seq(4));
    tx.head().new_epoch(&tenant, EpochId(id(2))).await?;
    tx.commit().await?;
    let head = store.read().await?.head().read(&tenant).await?;
    assert_eq!((head.seq, head.epoch), (Seq(4), EpochId(id(2))));
    Ok(())
}

async fn a_head_without_a_tenant_is_damage(store: Store) -> TestResult {
    let nobody = "nobody".parse()?;
    let mut tx = store.write().await?;
    assert_eq!(tx.head().find(&nobody).await?, None);
    for refused in [
        tx.head().read(&nobody).await.map(drop),
        tx.head().stand(&nobody, Seq(0)).await.map(drop),
        tx.head().advance(&nobody, 1).await.map(drop),
        tx.head().new_epoch(&nobody, EpochId(id(1))).await,
    ] {
        assert!(matches!(refused, Err(StorageError::Damaged(_))), "{refused:?}");
    }
    Ok(())
}

async fn a_backup_never_goes_back_nor_beyond_the_head(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    tx.head().advance(&tenant, 9).await?;
    tx.head().backup_done(&tenant, Seq(7)).await?;
    tx.head().backup_done(&tenant, Seq(5)).await?;
    assert_eq!(tx.head().read(&tenant).await?.backup_seq, Some(Seq(7)));
    let refused = tx.head().backup_done(&tenant, Seq(10)).await;
    assert!(matches!(refused, Err(StorageError::Stale)), "{refused:?}");
    Ok(())
}

async fn a_dropped_transaction_leaves_no_trace(store: Store) -> TestResult {
    let mut tx = store.write().await?;
    tx.tenants().insert(&tenant_row("fire")?, EpochId(id(1))).await?;
    drop(tx);
    assert_eq!(store.write().await?.tenants().find(&tenant_row("fire")?.id).await?, None);
    Ok(())
}
