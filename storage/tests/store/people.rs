//! Users, their codes and their sessions; nonces.

use crate::sample::{NOW, hash, id, tenant, tenant_row, user, user_row};
use storage::testing::TestResult;
use storage::{EnrolmentCode, Session, StorageError, Store, User};
use sync_protocol::id::{DeviceId, EpochId};

storage::on_both!(
    a_user_is_found_as_saved_by_id_and_by_login,
    a_login_is_taken_once_in_a_tenant,
    a_code_is_used_once_and_in_time,
    a_nonce_is_good_once_and_in_time,
    a_session_is_found_until_it_is_removed,
    sessions_expire_by_age_and_by_idleness,
);

async fn a_user_is_found_as_saved_by_id_and_by_login(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let next = User {
        login: "hanako".into(),
        name: "佐藤 花子".into(),
        password_hash: Some("$argon2id$".into()),
        admin: true,
        active: false,
        not_before: NOW,
        failed_count: 3,
        locked_until: Some(NOW.plus(9)),
        ..user_row(1)
    };
    let mut tx = store.write().await?;
    tx.users().insert(&tenant, &user_row(2)).await?;
    tx.users().insert(&tenant, &user_row(1)).await?;
    assert_eq!(tx.users().list(&tenant).await?, [user_row(1), user_row(2)]);
    tx.users().save(&tenant, &next).await?;
    assert_eq!(tx.users().find(&tenant, user(1)).await?, Some(next.clone()));
    assert_eq!(tx.users().find_by_login(&tenant, "hanako").await?, Some(next));
    assert_eq!(tx.users().find_by_login(&tenant, "login-1").await?, None);
    let refused = tx.users().save(&tenant, &user_row(3)).await;
    assert!(matches!(refused, Err(StorageError::Stale)), "{refused:?}");
    Ok(())
}

async fn a_login_is_taken_once_in_a_tenant(store: Store) -> TestResult {
    let fire = tenant(&store).await?;
    let water = tenant_row("water")?;
    let mut tx = store.write().await?;
    tx.tenants().insert(&water, EpochId(id(2))).await?;
    tx.users().insert(&fire, &user_row(1)).await?;
    tx.users().insert(&water.id, &user_row(1)).await?;
    let taken = User { id: user(2), ..user_row(1) };
    let refused = tx.users().insert(&fire, &taken).await;
    assert!(matches!(refused, Err(StorageError::AlreadyStored(_))), "{refused:?}");
    Ok(())
}

async fn a_code_is_used_once_and_in_time(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let code = |n, made| EnrolmentCode {
        tenant: tenant.clone(),
        hash: hash(n),
        user: user(1),
        created_by: user(1),
        created_at: NOW.plus(made),
        expires_at: NOW.plus(600_000),
        used_at: None,
        used_by_device: None,
        attempts: 0,
    };
    let device = DeviceId(id(4));
    let mut tx = store.write().await?;
    tx.users().insert(&tenant, &user_row(1)).await?;
    tx.codes().insert(&code(1, 0)).await?;
    tx.codes().insert(&code(2, 1)).await?;
    assert_eq!(tx.codes().of_user(&tenant, user(1)).await?, [code(2, 1), code(1, 0)]);
    assert_eq!(tx.codes().failed(&hash(1)).await?, Some(1));
    assert_eq!(tx.codes().failed(&hash(9)).await?, None);
    assert!(!tx.codes().take(&hash(1), device, NOW.plus(600_000)).await?, "expired");
    assert!(tx.codes().take(&hash(1), device, NOW.plus(599_999)).await?);
    assert!(!tx.codes().take(&hash(1), device, NOW).await?, "used");
    assert!(!tx.codes().take(&hash(9), device, NOW).await?, "unknown");
    let used = EnrolmentCode {
        used_at: Some(NOW.plus(599_999)),
        used_by_device: Some(device),
        attempts: 1,
        ..code(1, 0)
    };
    assert_eq!(tx.codes().find(&hash(1)).await?, Some(used));
    assert_eq!(tx.codes().find(&hash(9)).await?, None);
    Ok(())
}

async fn a_nonce_is_good_once_and_in_time(store: Store) -> TestResult {
    let mut tx = store.write().await?;
    for n in 1..=4 {
        tx.nonces().issue(&hash(n), NOW.plus(n.into())).await?;
    }
    assert!(tx.nonces().take(&hash(3), NOW.plus(2)).await?);
    assert!(!tx.nonces().take(&hash(3), NOW).await?, "used");
    assert!(!tx.nonces().take(&hash(4), NOW.plus(4)).await?, "expired");
    assert!(!tx.nonces().take(&hash(9), NOW).await?, "unknown");
    assert_eq!(tx.nonces().expire(NOW.plus(1)).await?, 1);
    assert_eq!(tx.nonces().expire(NOW.plus(9)).await?, 1);
    Ok(())
}

async fn a_session_is_found_until_it_is_removed(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let session = |n, of| Session {
        hash: hash(n),
        tenant: tenant.clone(),
        user: user(of),
        created_at: NOW,
        last_used_at: NOW,
        expires_at: NOW.plus(100),
    };
    let mut tx = store.write().await?;
    for n in 1..=2 {
        tx.users().insert(&tenant, &user_row(n)).await?;
    }
    for (n, of) in [(1, 1), (2, 1), (3, 2)] {
        tx.sessions().insert(&session(n, of)).await?;
    }
    for at in [50, 40] {
        tx.sessions().touch(&hash(1), NOW.plus(at)).await?;
    }
    let used = Session { last_used_at: NOW.plus(50), ..session(1, 1) };
    assert_eq!(tx.sessions().find(&hash(1)).await?, Some(used));
    assert!(tx.sessions().remove(&hash(1)).await?);
    assert!(!tx.sessions().remove(&hash(1)).await?);
    assert_eq!(tx.sessions().find(&hash(1)).await?, None);
    assert_eq!(tx.sessions().remove_of_user(&tenant, user(1)).await?, 1);
    assert_eq!(tx.sessions().find(&hash(3)).await?, Some(session(3, 2)));
    Ok(())
}

async fn sessions_expire_by_age_and_by_idleness(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    tx.users().insert(&tenant, &user_row(1)).await?;
    for (n, used, expires) in [(1, 90, 100), (2, 90, 101), (3, 49, 200), (4, 50, 200)] {
        let session = Session {
            hash: hash(n),
            tenant: tenant.clone(),
            user: user(1),
            created_at: NOW,
            last_used_at: NOW.plus(used),
            expires_at: NOW.plus(expires),
        };
        tx.sessions().insert(&session).await?;
    }
    assert_eq!(tx.sessions().expire(NOW.plus(100), NOW.plus(50)).await?, 2);
    for (n, there) in [(1, false), (2, true), (3, false), (4, true)] {
        assert_eq!(tx.sessions().find(&hash(n)).await?.is_some(), there, "session {n}");
    }
    Ok(())
}
