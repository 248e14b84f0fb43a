//! Tenants and their heads.

use storage::testing::TestResult;
use storage::{StorageError, Store, TenantRow};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{EpochId, Seq, Tenant};
use uuid::Uuid;

storage::on_both!(
    a_tenant_begins_with_an_empty_journal,
    a_second_tenant_of_one_id_is_named,
    a_head_advances_by_what_is_taken,
    a_head_without_a_tenant_is_damage,
    a_backup_never_goes_back_nor_beyond_the_head,
    a_dropped_transaction_leaves_no_trace,
);

fn fire() -> TestResult<TenantRow> {
    Ok(TenantRow {
        id: "fire".parse()?,
        name_ja: "消防局".into(),
        name_en: "Fire bureau".into(),
        time_zone: "Asia/Tokyo".into(),
        created_at: UnixMillis(1_700_000_000_000),
    })
}

fn epoch(n: u128) -> EpochId {
    EpochId(Uuid::from_u128(n))
}

async fn with_fire(store: &Store) -> TestResult<Tenant> {
    let mut tx = store.write().await?;
    tx.tenants().insert(&fire()?, epoch(1)).await?;
    tx.commit().await?;
    Ok(fire()?.id)
}

async fn a_tenant_begins_with_an_empty_journal(store: Store) -> TestResult {
    let tenant = with_fire(&store).await?;
    let mut tx = store.read().await?;
    assert_eq!(tx.tenants().find(&tenant).await?, Some(fire()?));
    assert_eq!(tx.tenants().find(&"water".parse()?).await?, None);
    assert_eq!(tx.tenants().list().await?, [fire()?]);
    let head = tx.head().read(&tenant).await?;
    assert_eq!((head.seq, head.epoch, head.backup_seq), (Seq(0), epoch(1), None));
    Ok(())
}

async fn a_second_tenant_of_one_id_is_named(store: Store) -> TestResult {
    with_fire(&store).await?;
    let mut tx = store.write().await?;
    let refused = tx.tenants().insert(&fire()?, epoch(2)).await.expect_err("it is there");
    assert!(matches!(refused, StorageError::AlreadyStored(_)), "{refused:?}");
    Ok(())
}

async fn a_head_advances_by_what_is_taken(store: Store) -> TestResult {
    let tenant = with_fire(&store).await?;
    let mut tx = store.write().await?;
    assert_eq!(tx.head().advance(&tenant, 3).await?.seq, Seq(3));
    assert_eq!(tx.head().advance(&tenant, 1).await?.seq, Seq(4));
    tx.head().new_epoch(&tenant, epoch(2)).await?;
    tx.commit().await?;
    let head = store.read().await?.head().read(&tenant).await?;
    assert_eq!((head.seq, head.epoch), (Seq(4), epoch(2)));
    Ok(())
}

async fn a_head_without_a_tenant_is_damage(store: Store) -> TestResult {
    let nobody = "nobody".parse()?;
    let mut tx = store.write().await?;
    assert_eq!(tx.head().find(&nobody).await?, None);
    for refused in [
        tx.head().read(&nobody).await.map(drop),
        tx.head().advance(&nobody, 1).await.map(drop),
        tx.head().new_epoch(&nobody, epoch(1)).await,
    ] {
        assert!(matches!(refused, Err(StorageError::Damaged(_))), "{refused:?}");
    }
    Ok(())
}

async fn a_backup_never_goes_back_nor_beyond_the_head(store: Store) -> TestResult {
    let tenant = with_fire(&store).await?;
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
    tx.tenants().insert(&fire()?, epoch(1)).await?;
    drop(tx);
    assert_eq!(store.write().await?.tenants().find(&fire()?.id).await?, None);
    Ok(())
}
