//! What the server made for itself: signing keys and secrets.

use crate::sample::NOW;
use storage::testing::TestResult;
use storage::{SigningKey, StorageError, Store};

storage::on_both!(keys_are_listed_by_purpose_newest_first, a_secret_keeps_its_first_value);

fn key(kid: &str, purpose: &str, made: i64) -> SigningKey {
    SigningKey {
        kid: kid.into(),
        alg: "EdDSA".into(),
        pkcs8: vec![0, 255, 7],
        public_jwk: "{}".into(),
        created_at: NOW.plus(made),
        retire_at: None,
        purpose: purpose.into(),
    }
}

async fn keys_are_listed_by_purpose_newest_first(store: Store) -> TestResult {
    let mut tx = store.write().await?;
    for key in [key("a", "access_token", 0), key("b", "access_token", 5), key("c", "other", 9)] {
        tx.keys().insert(&key).await?;
    }
    tx.keys().retire("a", NOW.plus(20)).await?;
    let retired = SigningKey { retire_at: Some(NOW.plus(20)), ..key("a", "access_token", 0) };
    assert_eq!(tx.keys().list("access_token").await?, [key("b", "access_token", 5), retired]);
    assert_eq!(tx.keys().remove_retired(NOW.plus(20)).await?, 0);
    assert_eq!(tx.keys().remove_retired(NOW.plus(21)).await?, 1);
    assert_eq!(tx.keys().list("access_token").await?, [key("b", "access_token", 5)]);
    let refused = tx.keys().retire("z", NOW).await;
    assert!(matches!(refused, Err(StorageError::Stale)), "{refused:?}");
    Ok(())
}

async fn a_secret_keeps_its_first_value(store: Store) -> TestResult {
    let mut tx = store.write().await?;
    for offered in [b"first", b"other"] {
        assert_eq!(tx.secrets().get_or_insert("cursor", offered).await?, b"first");
    }
    assert_eq!(tx.secrets().get_or_insert("else", b"").await?, b"");
    Ok(())
}

#[test]
fn a_key_does_not_show_its_private_half() {
    let shown = format!("{:?}", key("a", "access_token", 0));
    assert!(shown.contains("access_token") && !shown.contains("255"), "{shown}");
}
