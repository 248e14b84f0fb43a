//! Blobs are leased to whoever makes their pictures, and given back.

use crate::sample::{NOW, hash, id, tenant, user};
use storage::testing::TestResult;
use storage::{Blob, BlobState, Derivative, Render, Rendering, Store};
use sync_protocol::id::{Tenant, UploadId};

storage::on_both!(
    a_blob_is_leased_to_one_at_a_time_the_oldest_first,
    what_was_made_is_stored_once,
    the_second_failure_is_the_last,
    a_failure_of_ours_is_not_counted,
    nothing_is_made_of_a_blob_that_went_or_moved,
);

fn blob(n: u8, stored_at: i64) -> Blob {
    Blob {
        sha256: hash(n),
        home: UploadId(id(n.into())),
        bytes: 1_000,
        mime: "image/jpeg".into(),
        state: BlobState::Have,
        stored_at: NOW.plus(stored_at),
        facts: None,
        render: Render::Pending,
        thumb: None,
        screen: None,
    }
}

fn rendering() -> Rendering {
    let derivative = |key: &str, bytes| Some(Derivative { key: key.into(), bytes });
    Rendering {
        render: Render::Made,
        facts: r#"{"width":3}"#.into(),
        thumb: derivative("t", 10),
        screen: derivative("s", 100),
    }
}

async fn with_blobs(store: &Store, blobs: &[Blob]) -> TestResult<Tenant> {
    let tenant = tenant(store).await?;
    let mut tx = store.write().await?;
    for blob in blobs {
        tx.blobs().show(&tenant, blob, user(1)).await?;
    }
    tx.commit().await?;
    Ok(tenant)
}

async fn a_blob_is_leased_to_one_at_a_time_the_oldest_first(store: Store) -> TestResult {
    let none = Blob { render: Render::None, ..blob(3, -9) };
    let tenant = with_blobs(&store, &[blob(1, 5), blob(2, 0), none]).await?;
    let mut tx = store.write().await?;
    assert!(tx.renders().is_any_waiting(NOW).await?);
    let first = tx.renders().lease(NOW, NOW.plus(60)).await?.ok_or("a blob waits")?;
    assert_eq!((&first.tenant, first.sha256, first.again), (&tenant, hash(2), false));
    assert_eq!((first.home, first.bytes, &*first.mime), (UploadId(id(2)), 1_000, "image/jpeg"));
    let second = tx.renders().lease(NOW, NOW.plus(60)).await?.ok_or("another waits")?;
    assert_eq!(second.sha256, hash(1));
    assert_eq!(tx.renders().lease(NOW.plus(59), NOW.plus(90)).await?, None);
    assert!(!tx.renders().is_any_waiting(NOW.plus(59)).await?);
    assert!(tx.renders().is_any_waiting(NOW.plus(60)).await?);
    let again = tx.renders().lease(NOW.plus(60), NOW.plus(120)).await?.ok_or("its time is over")?;
    assert_eq!((again.sha256, again.again), (hash(2), true));
    Ok(())
}

async fn what_was_made_is_stored_once(store: Store) -> TestResult {
    let tenant = with_blobs(&store, &[blob(1, 0)]).await?;
    let mut tx = store.write().await?;
    let late = tx.renders().lease(NOW, NOW.plus(60)).await?.ok_or("a blob waits")?;
    let lease = tx.renders().lease(NOW.plus(60), NOW.plus(120)).await?.ok_or("it waits again")?;
    assert!(!tx.renders().made(&late, &rendering()).await?);
    assert!(tx.renders().made(&lease, &rendering()).await?);
    assert!(!tx.renders().made(&lease, &rendering()).await?);
    let stored = tx.blobs().find(&tenant, &hash(1)).await?.ok_or("the blob")?;
    let Rendering { render, facts, thumb, screen } = rendering();
    assert_eq!(stored, Blob { render, facts: Some(facts), thumb, screen, ..blob(1, 0) });
    assert_eq!(tx.renders().lease(NOW.plus(999), NOW.plus(1_000)).await?, None);
    Ok(())
}

async fn the_second_failure_is_the_last(store: Store) -> TestResult {
    let tenant = with_blobs(&store, &[blob(1, 0)]).await?;
    let mut tx = store.write().await?;
    let first = tx.renders().lease(NOW, NOW.plus(60)).await?.ok_or("a blob waits")?;
    assert!(!tx.renders().failed(&first, Some("{}"), NOW.plus(100)).await?);
    assert!(!tx.renders().failed(&first, None, NOW.plus(100)).await?, "it has ended already");
    assert_eq!(tx.renders().lease(NOW.plus(99), NOW.plus(160)).await?, None);
    let second = tx.renders().lease(NOW.plus(100), NOW.plus(160)).await?.ok_or("it waits again")?;
    assert!(tx.renders().failed(&second, None, NOW.plus(200)).await?);
    let stored = tx.blobs().find(&tenant, &hash(1)).await?.ok_or("the blob")?;
    let facts = Some("{}".into());
    assert_eq!(stored, Blob { render: Render::Unrenderable, facts, ..blob(1, 0) });
    assert_eq!(tx.renders().lease(NOW.plus(999), NOW.plus(1_000)).await?, None);
    Ok(())
}

async fn a_failure_of_ours_is_not_counted(store: Store) -> TestResult {
    with_blobs(&store, &[blob(1, 0)]).await?;
    let mut tx = store.write().await?;
    let mut now = NOW;
    for _ in 0..5 {
        let lease = tx.renders().lease(now, now.plus(60)).await?.ok_or("a blob waits")?;
        tx.renders().postpone(&lease, now.plus(10)).await?;
        assert_eq!(tx.renders().lease(now.plus(9), now.plus(60)).await?, None);
        now = now.plus(10);
    }
    let lease = tx.renders().lease(now, now.plus(60)).await?.ok_or("a blob waits")?;
    assert!(!tx.renders().failed(&lease, None, now).await?, "the first that counts");
    Ok(())
}

async fn nothing_is_made_of_a_blob_that_went_or_moved(store: Store) -> TestResult {
    let tenant = with_blobs(&store, &[blob(1, 0)]).await?;
    let mut tx = store.write().await?;
    let lease = tx.renders().lease(NOW, NOW.plus(60)).await?.ok_or("a blob waits")?;
    let elsewhere = storage::RenderLease { home: UploadId(id(99)), ..lease.clone() };
    assert!(!tx.renders().made(&elsewhere, &rendering()).await?);
    assert!(!tx.renders().failed(&elsewhere, None, NOW).await?);
    let name = storage::BlobName { stored_at: NOW, tenant: tenant.clone(), sha256: hash(1) };
    assert!(tx.blobs().begin_removal(&name, NOW).await?);
    assert!(!tx.renders().made(&lease, &rendering()).await?);
    assert!(!tx.renders().is_any_waiting(NOW.plus(60)).await?);
    assert_eq!(tx.renders().lease(NOW.plus(60), NOW.plus(90)).await?, None);
    Ok(())
}
