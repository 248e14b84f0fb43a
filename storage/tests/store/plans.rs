//! The selects of the pull read by their indexes and nothing else, on a full table and by a plan of an empty one.

use crate::sample::{bucket, rec, tenant};
use sqlx::{Connection as _, Executor as _, PgConnection};
use storage::testing::{self, TestResult};
use storage::{PointerTouch, Store};
use sync_protocol::id::{Seq, Tenant};

const RECORDS: i64 = 20_000;

/// Many records, a hundred to a bucket.
async fn full(store: &Store) -> TestResult<Tenant> {
    let tenant = tenant(store).await?;
    let touches: Vec<_> = (1..=RECORDS)
        .map(|n| PointerTouch {
            bucket: bucket(&format!("area:{}", n % 200)),
            rec: rec(n.unsigned_abs().into()),
            seq: Seq(n),
            since: Some(Seq(n)),
            live: true,
        })
        .collect();
    let mut tx = store.write().await?;
    tx.pointers().touch(&tenant, &touches).await?;
    tx.commit().await?;
    Ok(tenant)
}

async fn plan(store: &Store, tenant: &Tenant) -> TestResult<String> {
    let buckets = [bucket("area:1"), bucket("area:2")];
    let mut tx = store.read().await?;
    let plan = tx.pointers().explain_after(tenant, &buckets.each_ref(), Seq(0), 20).await?;
    Ok(plan)
}

#[tokio::test]
async fn sqlite_searches_each_bucket_by_its_index() -> TestResult {
    let test = testing::sqlite().await?;
    let tenant = full(&test.store).await?;
    let plan = plan(&test.store, &tenant).await?;
    let search = "SEARCH pointer USING INDEX pointer_seq (tenant=? AND bucket=? AND seq>?)";
    assert_eq!(plan.matches(search).count(), 2, "{plan}");
    assert!(!plan.contains("SCAN pointer"), "{plan}");
    Ok(())
}

#[tokio::test]
async fn postgres_scans_the_index_of_each_bucket() -> TestResult {
    let test = testing::postgres().await?;
    let tenant = full(&test.store).await?;
    PgConnection::connect(&test.options.url).await?.execute("analyze pointer").await?;
    let plan = plan(&test.store, &tenant).await?;
    assert_eq!(plan.matches("Index Scan using pointer_seq on pointer").count(), 2, "{plan}");
    assert!(!plan.contains("Seq Scan on pointer"), "{plan}");
    assert_eq!(plan.matches("seq > ").count(), 2, "the place bounds the scan: {plan}");
    Ok(())
}

#[tokio::test]
async fn sqlite_looks_up_records_and_pointers_by_their_ids() -> TestResult {
    let test = testing::sqlite().await?;
    let tenant = tenant(&test.store).await?;
    let plan = test.store.read().await?.copies().explain_of(&tenant, &[rec(1), rec(2)]).await?;
    for search in [
        "SEARCH record USING INDEX sqlite_autoindex_record_1 (tenant=? AND rec=?)",
        "SEARCH pointer USING INDEX pointer_rec (tenant=? AND rec=?)",
    ] {
        assert!(plan.contains(search), "{plan}");
    }
    Ok(())
}

#[tokio::test]
async fn postgres_looks_up_records_and_pointers_by_their_ids() -> TestResult {
    let test = testing::postgres().await?;
    let tenant = tenant(&test.store).await?;
    let plan = test.store.read().await?.copies().explain_of(&tenant, &[rec(1), rec(2)]).await?;
    for scan in [
        "Index Scan using record_pkey on record",
        "Index Scan using pointer_rec on pointer",
        "(rec >= wanted.wanted_id))",
        "(rec = record.rec))",
    ] {
        assert!(plan.contains(scan), "{plan}");
    }
    assert_eq!(plan.matches("Index Cond: ((tenant = ").count(), 2, "{plan}");
    assert!(!plan.contains("Filter: (rec"), "{plan}");
    Ok(())
}
