//! Blobs: who shows the bytes brings them, one home at a time, and what nobody names is removed.

use crate::sample::{NOW, change, hash, id, rec, tenant, tenant_row, user};
use storage::testing::TestResult;
use storage::{Blob, BlobName, BlobReference, BlobState, Render, StorageError, Store, Tx};
use sync_protocol::blob::BlobHash;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{EpochId, Tenant, UploadId};

storage::on_both!(
    the_last_who_shows_a_blob_gives_it_a_home,
    tenants_share_no_blob,
    a_blob_that_a_change_names_is_not_removed,
    a_blob_that_is_brought_back_keeps_its_new_home,
    a_blob_that_is_shown_again_has_its_grace_again,
    blobs_that_nobody_names_are_found_page_by_page,
);

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_waits_for_a_change_that_names_the_blob() -> TestResult {
    let test = storage::testing::postgres().await?;
    let tenant = tenant(&test.store).await?;
    let mut tx = test.store.write().await?;
    tx.blobs().show(&tenant, &blob(1, 1), user(1)).await?;
    tx.commit().await?;
    let mut ingest = test.store.write().await?;
    let named = std::collections::BTreeSet::from([BlobHash(hash(1))]);
    ingest.blob_refs().lock(&tenant, &named).await?;
    let (store, name) = (test.store.clone(), name(&tenant, 1));
    let removal = tokio::spawn(async move {
        let mut tx = store.write().await?;
        let begun = tx.blobs().begin_removal(&name, NOW.plus(9)).await?;
        tx.commit().await?;
        Ok::<_, StorageError>(begun)
    });
    // Long enough for the removal to come to the lock.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    ingest.blob_refs().append(&tenant, &[reference(1)]).await?;
    ingest.commit().await?;
    assert!(!removal.await??, "what was named meanwhile stays");
    Ok(())
}

fn blob(n: u8, home: u128) -> Blob {
    Blob {
        sha256: hash(n),
        home: UploadId(id(home)),
        bytes: 1_000,
        mime: "image/jpeg".into(),
        state: BlobState::Have,
        stored_at: NOW,
        facts: None,
        render: Render::Pending,
        thumb: None,
        screen: None,
    }
}

fn name(tenant: &Tenant, n: u8) -> BlobName {
    BlobName { stored_at: NOW, tenant: tenant.clone(), sha256: hash(n) }
}

fn reference(n: u8) -> BlobReference {
    BlobReference {
        rec: rec(1),
        sha256: BlobHash(hash(n)),
        change: change(n.into()),
        author: user(1),
        clock_offset_ms: None,
        applied: false,
    }
}

async fn home(tx: &mut Tx, tenant: &Tenant, n: u8) -> TestResult<Option<(u128, BlobState)>> {
    let found = tx.blobs().find(tenant, &hash(n)).await?;
    Ok(found.map(|blob| (blob.home.0.as_u128(), blob.state)))
}

async fn the_last_who_shows_a_blob_gives_it_a_home(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let home_before = |n| Some(UploadId(id(n)));
    assert_eq!(tx.blobs().show(&tenant, &blob(1, 10), user(1)).await?, None);
    assert_eq!(tx.blobs().find(&tenant, &hash(1)).await?, Some(blob(1, 10)));
    assert_eq!(tx.blobs().show(&tenant, &blob(1, 11), user(2)).await?, home_before(10));
    assert_eq!(tx.blobs().show(&tenant, &blob(1, 12), user(1)).await?, home_before(11));
    assert_eq!(tx.blobs().find(&tenant, &hash(1)).await?, Some(blob(1, 12)));
    for (n, shown) in [(1, true), (2, true), (3, false)] {
        assert_eq!(tx.blobs().is_shown_by(&tenant, &hash(1), user(n)).await?, shown, "{n}");
    }
    Ok(())
}

async fn tenants_share_no_blob(store: Store) -> TestResult {
    let fire = tenant(&store).await?;
    let other = tenant_row("welfare")?;
    let mut tx = store.write().await?;
    tx.tenants().insert(&other, EpochId(id(2))).await?;
    assert_eq!(tx.blobs().show(&fire, &blob(1, 10), user(1)).await?, None);
    assert_eq!(tx.blobs().find(&other.id, &hash(1)).await?, None);
    assert_eq!(tx.blobs().show(&other.id, &blob(1, 20), user(1)).await?, None, "the first here");
    assert_eq!(home(&mut tx, &fire, 1).await?, Some((10, BlobState::Have)));
    Ok(())
}

async fn a_blob_that_a_change_names_is_not_removed(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    tx.blobs().show(&tenant, &blob(1, 10), user(1)).await?;
    tx.blobs().show(&tenant, &blob(2, 20), user(1)).await?;
    tx.blob_refs().append(&tenant, &[reference(1)]).await?;
    assert!(!tx.blobs().begin_removal(&name(&tenant, 1), NOW).await?, "also by a quarantined one");
    assert!(!tx.blobs().begin_removal(&name(&tenant, 2), NOW.plus(-1)).await?, "within its grace");
    assert!(tx.blobs().begin_removal(&name(&tenant, 2), NOW).await?);
    assert!(!tx.blobs().begin_removal(&name(&tenant, 2), NOW).await?, "once");
    assert_eq!(tx.blobs().removing(9).await?, [name(&tenant, 2)]);
    assert!(tx.blobs().remove(&tenant, &hash(2), UploadId(id(20))).await?);
    assert_eq!(tx.blobs().find(&tenant, &hash(2)).await?, None);
    assert!(!tx.blobs().is_shown_by(&tenant, &hash(2), user(1)).await?);
    assert!(!tx.blobs().remove(&tenant, &hash(1), UploadId(id(10))).await?, "it is there");
    Ok(())
}

async fn a_blob_that_is_brought_back_keeps_its_new_home(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    tx.blobs().show(&tenant, &blob(1, 10), user(1)).await?;
    assert!(tx.blobs().begin_removal(&name(&tenant, 1), NOW).await?);
    let again = Blob { stored_at: NOW.plus(5), ..blob(1, 11) };
    tx.blobs().show(&tenant, &again, user(2)).await?;
    assert!(!tx.blobs().remove(&tenant, &hash(1), UploadId(id(10))).await?);
    assert_eq!(tx.blobs().find(&tenant, &hash(1)).await?, Some(again));
    assert_eq!(tx.blobs().removing(9).await?, []);
    Ok(())
}

async fn a_blob_that_is_shown_again_has_its_grace_again(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    for (n, again) in [(1, user(1)), (2, user(2))] {
        let mut tx = store.write().await?;
        tx.blobs().show(&tenant, &blob(n, 10), user(1)).await?;
        let later = Blob { stored_at: NOW.plus(5), ..blob(n, 11) };
        tx.blobs().show(&tenant, &later, again).await?;
        assert!(!tx.blobs().begin_removal(&name(&tenant, n), NOW.plus(4)).await?);
        assert!(tx.blobs().begin_removal(&name(&tenant, n), NOW.plus(5)).await?);
        tx.commit().await?;
    }
    Ok(())
}

async fn blobs_that_nobody_names_are_found_page_by_page(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    for n in 1..=5_u8 {
        let stored_at = NOW.plus(i64::from(n / 2));
        tx.blobs().show(&tenant, &Blob { stored_at, ..blob(n, n.into()) }, user(1)).await?;
    }
    tx.blob_refs().append(&tenant, &[reference(2)]).await?;
    let at = |n: u8, millis: i64| BlobName { stored_at: NOW.plus(millis), ..name(&tenant, n) };
    let until = UnixMillis(NOW.0 + 2);
    let (found, last) = tx.blobs().unnamed(None, until, 2).await?;
    assert_eq!((found, &last), (vec![at(1, 0)], &Some(at(2, 1))));
    let (found, last) = tx.blobs().unnamed(last.as_ref(), until, 2).await?;
    assert_eq!((found, &last), (vec![at(3, 1), at(4, 2)], &Some(at(4, 2))));
    let (found, last) = tx.blobs().unnamed(last.as_ref(), until, 2).await?;
    assert_eq!((found, last), (vec![at(5, 2)], None), "the last page");
    let (found, _) = tx.blobs().unnamed(None, NOW, 9).await?;
    assert_eq!(found, [at(1, 0)], "the others are too young");
    Ok(())
}
