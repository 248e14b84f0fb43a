//! Forms, each version immutable.

use crate::sample::{NOW, hash, tenant};
use storage::testing::TestResult;
use storage::{FormRow, StorageError, Store};

storage::on_both!(a_version_is_published_once, the_current_form_of_a_type_is_its_newest);

fn form(name: &str, version: i64) -> TestResult<FormRow> {
    Ok(FormRow {
        type_: name.parse()?,
        version,
        body: b"{}".to_vec(),
        hash: hash(3),
        published_at: NOW,
    })
}

async fn a_version_is_published_once(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let first = form("visit", 1)?;
    let mut tx = store.write().await?;
    tx.forms().publish(&tenant, &first).await?;
    assert_eq!(tx.forms().find(&tenant, &first.type_, 1).await?, Some(first.clone()));
    assert_eq!(tx.forms().find(&tenant, &first.type_, 2).await?, None);
    let refused = tx.forms().publish(&tenant, &first).await;
    assert!(matches!(refused, Err(StorageError::AlreadyStored(_))), "{refused:?}");
    Ok(())
}

async fn the_current_form_of_a_type_is_its_newest(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    for (name, version) in [("visit", 2), ("premises", 7), ("visit", 10), ("visit", 9)] {
        tx.forms().publish(&tenant, &form(name, version)?).await?;
    }
    let current = tx.forms().current(&tenant).await?;
    assert_eq!(current, [form("premises", 7)?, form("visit", 10)?]);
    let all = tx.forms().list(&tenant).await?;
    let versions: Vec<_> = all.iter().map(|form| form.version).collect();
    assert_eq!(versions, [7, 2, 9, 10]);
    assert_eq!(tx.forms().current(&"water".parse()?).await?, []);
    Ok(())
}
