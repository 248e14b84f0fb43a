//! The audit trail.

use crate::sample::{NOW, id, tenant, user};
use storage::testing::TestResult;
use storage::{AuditEntry, Store};
use sync_protocol::clock::UnixMillis;

storage::on_both!(the_trail_is_listed_newest_first_and_goes_on);

fn entry(n: u128, at: i64) -> AuditEntry {
    AuditEntry {
        id: id(n),
        at: UnixMillis(NOW.0 + at),
        actor: Some(user(1)),
        device: None,
        action: "grant.end".into(),
        object: "station:south".into(),
        detail: String::new(),
    }
}

async fn the_trail_is_listed_newest_first_and_goes_on(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let rows = [entry(1, 0), entry(3, 5), entry(2, 5), entry(4, 4)];
    tx.audit().append(&tenant, &rows).await?;
    let first = tx.audit().list(&tenant, None, 2).await?;
    assert_eq!(first, [entry(3, 5), entry(2, 5)]);
    let last = &first[1];
    let rest = tx.audit().list(&tenant, Some((last.at, last.id)), 9).await?;
    assert_eq!(rest, [entry(4, 4), entry(1, 0)]);
    Ok(())
}
