//! Devices, and what they report of an erasure.

use crate::sample::{NOW, bucket, device_row, id, tenant_with_device, user, user_row};
use storage::testing::TestResult;
use storage::{Admission, Device, DeviceState, PurgeReceipt, StorageError, Store, User};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{DeviceId, Seq};

storage::on_both!(
    devices_are_found_and_listed_oldest_first,
    a_device_changes_its_state,
    devices_are_seen_together,
    a_device_is_admitted_with_its_user,
    the_first_report_of_an_erasure_counts,
);

fn device(n: u128) -> DeviceId {
    DeviceId(id(n))
}

async fn devices_are_found_and_listed_oldest_first(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let older = Device { enrolled_at: NOW.plus(-1), ..device_row(3, 2) };
    let mut tx = store.write().await?;
    tx.users().insert(&tenant, &user_row(2)).await?;
    tx.devices().insert(&tenant, &device_row(2, 1)).await?;
    tx.devices().insert(&tenant, &older).await?;
    assert_eq!(tx.devices().find(&tenant, device(3)).await?, Some(older.clone()));
    assert_eq!(tx.devices().find(&tenant, device(4)).await?, None);
    let some = tx.devices().find_all(&tenant, &[device(3), device(9), device(1)]).await?;
    assert_eq!(some, [device_row(1, 1), older.clone()]);
    let all = tx.devices().list(&tenant, None).await?;
    assert_eq!(all, [older.clone(), device_row(1, 1), device_row(2, 1)]);
    assert_eq!(tx.devices().list(&tenant, Some(user(2))).await?, [older]);
    let refused = tx.devices().insert(&tenant, &device_row(2, 1)).await;
    assert!(matches!(refused, Err(StorageError::AlreadyStored(_))), "{refused:?}");
    Ok(())
}

async fn a_device_is_admitted_with_its_user(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let mut tx = store.write().await?;
    let expected = Admission {
        user: user(1),
        enrolled_at: NOW,
        state: DeviceState::Active,
        active: true,
        not_before: UnixMillis(0),
    };
    assert_eq!(tx.devices().admission(&tenant, device(1)).await?, Some(expected));
    assert_eq!(tx.devices().admission(&tenant, device(2)).await?, None);
    assert_eq!(tx.devices().admission(&"water".parse()?, device(1)).await?, None);
    tx.devices().set_state(&tenant, device(1), DeviceState::Revoked, NOW).await?;
    let left = User { active: false, not_before: NOW, ..user_row(1) };
    tx.users().save(&tenant, &left).await?;
    let found = tx.devices().admission(&tenant, device(1)).await?;
    let state = DeviceState::Revoked;
    assert_eq!(found, Some(Admission { state, active: false, not_before: NOW, ..expected }));
    Ok(())
}

async fn a_device_changes_its_state(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let mut tx = store.write().await?;
    for (state, at) in [(DeviceState::Revoked, NOW.plus(5)), (DeviceState::Stolen, NOW.plus(9))] {
        tx.devices().set_state(&tenant, device(1), state, at).await?;
        let expected = Device { state, state_at: at, ..device_row(1, 1) };
        assert_eq!(tx.devices().find(&tenant, device(1)).await?, Some(expected));
    }
    let refused = tx.devices().set_state(&tenant, device(2), DeviceState::Active, NOW).await;
    assert!(matches!(refused, Err(StorageError::Stale)), "{refused:?}");
    Ok(())
}

async fn devices_are_seen_together(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let mut tx = store.write().await?;
    tx.devices().insert(&tenant, &device_row(2, 1)).await?;
    let calls = [(device(2), NOW.plus(7), Seq(70)), (device(9), NOW, Seq(1))];
    tx.devices().seen(&tenant, &calls).await?;
    let seen =
        Device { last_seen_at: Some(NOW.plus(7)), last_seq: Some(Seq(70)), ..device_row(2, 1) };
    assert_eq!(tx.devices().list(&tenant, None).await?, [device_row(1, 1), seen]);
    Ok(())
}

async fn the_first_report_of_an_erasure_counts(store: Store) -> TestResult {
    let tenant = tenant_with_device(&store).await?;
    let receipt = |name, seq, at| PurgeReceipt {
        device: device(1),
        bucket: bucket(name),
        at_seq: Seq(seq),
        received_at: NOW.plus(at),
    };
    let mut tx = store.write().await?;
    let first = [receipt("caseload:b", 9, 0), receipt("caseload:a", 12, 0)];
    tx.purges().insert(&tenant, &first).await?;
    let again = [receipt("caseload:b", 9, 5), receipt("caseload:b", 8, 5)];
    tx.purges().insert(&tenant, &again).await?;
    let stored = tx.purges().of_device(&tenant, device(1)).await?;
    let expected = [first[1].clone(), again[1].clone(), first[0].clone()];
    assert_eq!(stored, expected);
    assert_eq!(tx.purges().of_device(&tenant, device(2)).await?, []);
    Ok(())
}
