//! Uploads: one writer at a time, offsets that only grow, parts, and what is left of them.

use crate::sample::{NOW, hash, id, tenant, tenant_row, tenant_with_device, user};
use storage::testing::TestResult;
use storage::{Blob, BlobState, Claim, Render, StorageError, Store, Tx, UnderWay};
use storage::{Upload, UploadPart, UploadState};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{DeviceId, EpochId, Tenant, UploadId};
use uuid::Uuid;

storage::on_both!(
    an_upload_is_stored_and_found_by_its_tenant_only,
    one_call_at_a_time_holds_the_lease,
    a_lease_that_ran_out_is_taken_and_its_old_holder_claims_nothing,
    an_offset_moves_only_from_where_it_is,
    a_small_tail_is_replaced_by_a_longer_part,
    a_closed_upload_takes_nothing,
    what_is_under_way_is_counted_by_person_and_device,
    uploads_whose_time_is_over_are_listed,
    closed_uploads_are_swept_and_go,
    a_home_is_swept_when_its_pictures_are_made,
    ids_that_nobody_knows_are_told,
);

fn upload(n: u128) -> Upload {
    Upload {
        id: UploadId(id(n)),
        user: user(1),
        device: Some(DeviceId(id(1))),
        sha256: hash(1),
        bytes: 1_000,
        mime: "image/jpeg".into(),
        metadata: "sha256 AA==".into(),
        state: UploadState::Open,
        received: 0,
        hash_state: None,
        created_at: NOW,
        expires_at: NOW.plus(1_000),
        lease: None,
        closed_at: None,
        swept: false,
    }
}

fn part(idx: i64, key: &str, bytes: i64) -> UploadPart {
    UploadPart { idx, key: key.into(), bytes }
}

async fn claim(
    tx: &mut Tx,
    tenant: &Tenant,
    owner: Uuid,
    (from, to): (i64, i64),
    parts: &[UploadPart],
) -> Result<(), StorageError> {
    let hash_state = [7_u8];
    let claim = Claim {
        owner,
        from,
        to,
        parts,
        hash_state: Some(&hash_state),
        lease_until: Some(NOW.plus(30_000)),
        expires_at: NOW.plus(9_000),
    };
    tx.uploads().claim(tenant, UploadId(id(1)), &claim).await
}

/// The tenant `fire` with upload 1, whose lease the call 100 holds until 15 seconds from now.
async fn with_lease(store: &Store) -> TestResult<(Tenant, Uuid)> {
    let (tenant, owner) = (tenant_with_device(store).await?, id(100));
    let mut tx = store.write().await?;
    tx.uploads().insert(&tenant, &upload(1)).await?;
    let until = NOW.plus(15_000);
    assert!(tx.uploads().take(&tenant, UploadId(id(1)), owner, NOW, until).await?);
    tx.commit().await?;
    Ok((tenant, owner))
}

async fn an_upload_is_stored_and_found_by_its_tenant_only(store: Store) -> TestResult {
    let fire = tenant(&store).await?;
    let other = tenant_row("welfare")?;
    let mut tx = store.write().await?;
    tx.tenants().insert(&other, EpochId(id(2))).await?;
    let console = Upload { device: None, ..upload(2) };
    for row in [&upload(1), &console] {
        tx.uploads().insert(&fire, row).await?;
        assert_eq!(tx.uploads().find(&fire, row.id).await?.as_ref(), Some(row));
    }
    assert_eq!(tx.uploads().find(&other.id, UploadId(id(1))).await?, None);
    assert_eq!(tx.uploads().find(&fire, UploadId(id(3))).await?, None);
    Ok(())
}

async fn one_call_at_a_time_holds_the_lease(store: Store) -> TestResult {
    let (tenant, owner) = with_lease(&store).await?;
    let (one, rival) = (UploadId(id(1)), id(200));
    let mut tx = store.write().await?;
    let until = NOW.plus(20_000);
    assert!(!tx.uploads().take(&tenant, one, rival, NOW.plus(14_999), until).await?);
    tx.uploads().ask(&tenant, one, rival).await?;
    let lease = tx.uploads().find(&tenant, one).await?.and_then(|row| row.lease).ok_or("lease")?;
    assert_eq!((lease.owner, lease.asked), (owner, Some(rival)));
    assert!(tx.uploads().renew(&tenant, one, owner, until, NOW.plus(900)).await?);
    let renewed = tx.uploads().find(&tenant, one).await?.ok_or("an upload")?;
    assert_eq!(renewed.expires_at, NOW.plus(900));
    assert!(!tx.uploads().renew(&tenant, one, rival, until, NOW).await?);
    tx.uploads().release(&tenant, one, rival).await?;
    assert!(!tx.uploads().take(&tenant, one, rival, NOW, until).await?, "not released by another");
    tx.uploads().release(&tenant, one, owner).await?;
    assert!(tx.uploads().take(&tenant, one, rival, NOW, until).await?);
    let lease = tx.uploads().find(&tenant, one).await?.and_then(|row| row.lease).ok_or("lease")?;
    assert_eq!((lease.owner, lease.until, lease.asked), (rival, until, None));
    Ok(())
}

async fn a_lease_that_ran_out_is_taken_and_its_old_holder_claims_nothing(
    store: Store,
) -> TestResult {
    let (tenant, owner) = with_lease(&store).await?;
    let (one, rival) = (UploadId(id(1)), id(200));
    let mut tx = store.write().await?;
    let late = NOW.plus(15_000);
    assert!(tx.uploads().take(&tenant, one, rival, late, late.plus(15_000)).await?);
    tx.commit().await?;
    let mut tx = store.write().await?;
    let refused = claim(&mut tx, &tenant, owner, (0, 10), &[part(0, "a", 10)]).await;
    assert!(matches!(refused, Err(StorageError::Stale)), "{refused:?}");
    drop(tx);
    let mut tx = store.write().await?;
    claim(&mut tx, &tenant, rival, (0, 10), &[part(0, "b", 10)]).await?;
    assert_eq!(tx.uploads().parts(&tenant, one).await?, [part(0, "b", 10)]);
    Ok(())
}

async fn an_offset_moves_only_from_where_it_is(store: Store) -> TestResult {
    let (tenant, owner) = with_lease(&store).await?;
    let one = UploadId(id(1));
    let mut tx = store.write().await?;
    let parts = [part(0, "a", 300), part(1, "b", 100)];
    claim(&mut tx, &tenant, owner, (0, 400), &parts).await?;
    tx.commit().await?;
    for from in [0, 399, 401] {
        let mut tx = store.write().await?;
        let refused = claim(&mut tx, &tenant, owner, (from, 500), &[part(2, "c", 100)]).await;
        assert!(matches!(refused, Err(StorageError::Stale)), "{from}: {refused:?}");
    }
    let mut tx = store.write().await?;
    let row = tx.uploads().find(&tenant, one).await?.ok_or("an upload")?;
    let expected = (400, Some(vec![7]), NOW.plus(9_000));
    assert_eq!((row.received, row.hash_state, row.expires_at), expected);
    assert_eq!(tx.uploads().parts(&tenant, one).await?, parts);
    assert_eq!(tx.uploads().last_part(&tenant, one).await?, Some(part(1, "b", 100)));
    let last = Claim {
        owner,
        from: 400,
        to: 401,
        parts: &[part(2, "c", 1)],
        hash_state: None,
        lease_until: None,
        expires_at: NOW,
    };
    tx.uploads().claim(&tenant, one, &last).await?;
    let row = tx.uploads().find(&tenant, one).await?.ok_or("an upload")?;
    assert_eq!((row.received, row.lease), (401, None), "the lease was given back");
    Ok(())
}

async fn a_small_tail_is_replaced_by_a_longer_part(store: Store) -> TestResult {
    let (tenant, owner) = with_lease(&store).await?;
    let mut tx = store.write().await?;
    claim(&mut tx, &tenant, owner, (0, 10), &[part(0, "a", 10)]).await?;
    claim(&mut tx, &tenant, owner, (10, 30), &[part(0, "b", 30)]).await?;
    assert_eq!(tx.uploads().parts(&tenant, UploadId(id(1))).await?, [part(0, "b", 30)]);
    Ok(())
}

async fn a_closed_upload_takes_nothing(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let states = [UploadState::Ended, UploadState::Failed, UploadState::Finished];
    for (n, state) in (10..).zip(states) {
        let row = UploadId(id(n));
        let mut tx = store.write().await?;
        tx.uploads().insert(&tenant, &Upload { id: row, ..upload(1) }).await?;
        assert!(tx.uploads().take(&tenant, row, id(100), NOW, NOW.plus(1)).await?);
        assert!(tx.uploads().close(&tenant, row, state, NOW.plus(5)).await?);
        assert!(!tx.uploads().close(&tenant, row, UploadState::Ended, NOW).await?, "once");
        assert!(!tx.uploads().take(&tenant, row, id(101), NOW.plus(10), NOW.plus(20)).await?);
        assert!(!tx.uploads().renew(&tenant, row, id(100), NOW.plus(20), NOW).await?);
        let found = tx.uploads().find(&tenant, row).await?.ok_or("an upload")?;
        assert_eq!((found.state, found.closed_at, found.lease), (state, Some(NOW.plus(5)), None));
        tx.uploads().forget(&tenant, row, NOW.plus(6)).await?;
        let found = tx.uploads().find(&tenant, row).await?.ok_or("an upload")?;
        assert_eq!(found.expires_at, NOW.plus(6));
        tx.commit().await?;
    }
    Ok(())
}

async fn what_is_under_way_is_counted_by_person_and_device(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let mut tx = store.write().await?;
    let device = Some(DeviceId(id(1)));
    let old = UnixMillis(NOW.0 - 100);
    for row in [
        upload(1),
        Upload { created_at: old, ..upload(2) },
        Upload { received: 400, created_at: NOW.plus(-1), ..upload(3) },
        Upload { device: None, ..upload(4) },
        Upload { device: Some(DeviceId(id(2))), ..upload(5) },
        Upload { user: user(2), ..upload(6) },
    ] {
        tx.uploads().insert(&tenant, &row).await?;
    }
    tx.uploads().close(&tenant, UploadId(id(3)), UploadState::Ended, NOW).await?;
    let counted = tx.uploads().under_way(&tenant, user(1), device, old).await?;
    let expected = UnderWay { open: 2, bytes: 1_400, begun: 2, oldest: Some(NOW.plus(-1)) };
    assert_eq!(counted, expected, "what is older is open and counts no bytes");
    let console = tx.uploads().under_way(&tenant, user(1), None, old).await?;
    assert_eq!((console.open, console.bytes), (1, 1_000));
    let nobody = tx.uploads().under_way(&tenant, user(3), None, old).await?;
    assert_eq!(nobody, UnderWay::default());
    Ok(())
}

async fn uploads_whose_time_is_over_are_listed(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let mut tx = store.write().await?;
    for n in 1..=3 {
        let expires_at = NOW.plus(i64::try_from(n)?);
        tx.uploads().insert(&tenant, &Upload { expires_at, ..upload(n) }).await?;
    }
    tx.uploads().close(&tenant, UploadId(id(1)), UploadState::Ended, NOW).await?;
    let name = |n: u128| (tenant.clone(), UploadId(id(n)));
    assert_eq!(tx.uploads().expired(NOW.plus(1), 9).await?, []);
    assert_eq!(tx.uploads().expired(NOW.plus(3), 9).await?, [name(2), name(3)]);
    assert_eq!(tx.uploads().expired(NOW.plus(3), 1).await?, [name(2)]);
    Ok(())
}

async fn closed_uploads_are_swept_and_go(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let one = UploadId(id(1));
    let mut tx = store.write().await?;
    tx.uploads().insert(&tenant, &upload(1)).await?;
    tx.uploads().put_parts(&tenant, one, &[part(0, "a", 10)]).await?;
    assert_eq!(tx.uploads().unswept(NOW.plus(99), 9).await?, [], "it is open");
    tx.uploads().close(&tenant, one, UploadState::Ended, NOW).await?;
    assert_eq!(tx.uploads().unswept(NOW.plus(-1), 9).await?, [], "its grace is not over");
    assert_eq!(tx.uploads().unswept(NOW, 9).await?, [(tenant.clone(), one)]);
    tx.uploads().swept(&tenant, one, NOW.plus(1)).await?;
    assert_eq!(tx.uploads().unswept(NOW, 9).await?.len(), 1, "closed at another instant");
    tx.uploads().swept(&tenant, one, NOW).await?;
    assert_eq!(tx.uploads().unswept(NOW, 9).await?, []);
    tx.uploads().sweep_again(&tenant, one, NOW.plus(50)).await?;
    assert_eq!(tx.uploads().unswept(NOW.plus(50), 9).await?.len(), 1);
    tx.uploads().swept(&tenant, one, NOW.plus(50)).await?;
    assert_eq!(tx.uploads().remove_spent(NOW.plus(1_000), 9).await?, 0, "it has parts");
    tx.uploads().remove_parts(&tenant, one).await?;
    assert_eq!(tx.uploads().remove_spent(NOW.plus(999), 9).await?, 0, "its time is not over");
    assert_eq!(tx.uploads().remove_spent(NOW.plus(1_000), 9).await?, 1);
    assert_eq!(tx.uploads().find(&tenant, one).await?, None);
    Ok(())
}

async fn a_home_is_swept_when_its_pictures_are_made(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let mut tx = store.write().await?;
    for (n, render) in [(1, Render::Pending), (2, Render::Made), (3, Render::Unrenderable)] {
        let row = Upload { sha256: hash(n), ..upload(n.into()) };
        tx.uploads().insert(&tenant, &row).await?;
        let blob = Blob {
            sha256: hash(n),
            home: row.id,
            bytes: 1_000,
            mime: row.mime,
            state: BlobState::Have,
            stored_at: NOW,
            facts: None,
            render,
            thumb: None,
            screen: None,
        };
        assert_eq!(tx.blobs().show(&tenant, &blob, user(1)).await?, None);
        tx.uploads().close(&tenant, row.id, UploadState::Finished, NOW).await?;
    }
    let name = |n: u128| (tenant.clone(), UploadId(id(n)));
    assert_eq!(tx.uploads().unswept(NOW, 9).await?, [name(2), name(3)]);
    Ok(())
}

async fn ids_that_nobody_knows_are_told(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let mut tx = store.write().await?;
    tx.uploads().insert(&tenant, &upload(1)).await?;
    let ids = [UploadId(id(1)), UploadId(id(2))];
    assert_eq!(tx.uploads().known(&tenant, &ids).await?, [UploadId(id(1))]);
    assert_eq!(tx.uploads().known(&tenant, &[]).await?, []);
    Ok(())
}
