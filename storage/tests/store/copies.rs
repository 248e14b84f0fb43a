//! Copies: records with the buckets that they lie in, by id and in pages.

use crate::sample::{bucket, rec, record_row, tenant};
use storage::testing::TestResult;
use storage::{PointerTouch, RecordCopy, RecordRow, Store};
use sync_protocol::id::{Bucket, Seq, Tenant};

storage::on_both!(
    a_record_comes_with_the_buckets_that_it_lies_in,
    what_is_unknown_reserved_or_elsewhere_is_absent,
    a_page_brings_the_records_of_a_bucket_by_id,
);

/// Records 1 to 6 in area:a; 2 also in area:b since seq 7; 3 has left area:a; 9 is only reserved.
async fn filled(store: &Store) -> TestResult<Tenant> {
    let tenant = tenant(store).await?;
    let mut tx = store.write().await?;
    tx.records().reserve(&tenant, &[rec(9)], crate::sample::NOW).await?;
    let rows: Vec<RecordRow> = (1..=6).map(row).collect();
    tx.records().save(&tenant, &rows).await?;
    let touch = |name, n, seq, live| PointerTouch {
        bucket: bucket(name),
        rec: rec(n),
        seq: Seq(seq),
        since: Some(Seq(seq)),
        live,
    };
    let mut touches: Vec<_> = (1..=6).map(|n| touch("area:a", n, 5, true)).collect();
    touches.push(touch("area:b", 2, 7, true));
    touches.push(touch("area:a", 3, 8, false));
    tx.pointers().touch(&tenant, &touches).await?;
    tx.commit().await?;
    Ok(tenant)
}

fn row(n: u128) -> RecordRow {
    RecordRow { about: (n == 1).then_some(rec(6)), meta: b"{}".to_vec(), ..record_row(n, 5) }
}

fn copy(n: u128, lies_in: &[(&str, i64)]) -> RecordCopy {
    let RecordRow { rec, type_, about, rv, state, meta, .. } = row(n);
    let lies_in: Vec<(Bucket, Seq)> =
        lies_in.iter().map(|(name, since)| (bucket(name), Seq(*since))).collect();
    RecordCopy { rec, type_, about, rv, state, meta: Some(meta), lies_in }
}

/// As a page brings it: without what only a part needs.
fn paged(n: u128, lies_in: &[(&str, i64)]) -> RecordCopy {
    RecordCopy { meta: None, ..copy(n, lies_in) }
}

async fn a_record_comes_with_the_buckets_that_it_lies_in(store: Store) -> TestResult {
    let tenant = filled(&store).await?;
    let mut tx = store.read().await?;
    let found = tx.copies().of(&tenant, &[rec(3), rec(2), rec(1), rec(2)]).await?;
    let expected =
        [copy(1, &[("area:a", 5)]), copy(2, &[("area:a", 5), ("area:b", 7)]), copy(3, &[])];
    assert_eq!(found, expected);
    Ok(())
}

async fn what_is_unknown_reserved_or_elsewhere_is_absent(store: Store) -> TestResult {
    let tenant = filled(&store).await?;
    let mut tx = store.read().await?;
    assert_eq!(tx.copies().of(&tenant, &[rec(7), rec(9)]).await?, []);
    assert_eq!(tx.copies().of(&tenant, &[]).await?, []);
    assert_eq!(tx.copies().of(&"water".parse()?, &[rec(1)]).await?, []);
    assert_eq!(tx.copies().page(&"water".parse()?, &bucket("area:a"), None, 9).await?, []);
    assert_eq!(tx.copies().page(&tenant, &bucket("area:c"), None, 9).await?, []);
    Ok(())
}

async fn a_page_brings_the_records_of_a_bucket_by_id(store: Store) -> TestResult {
    let tenant = filled(&store).await?;
    let area = bucket("area:a");
    let mut tx = store.read().await?;
    let first = tx.copies().page(&tenant, &area, None, 3).await?;
    let expected = [
        paged(1, &[("area:a", 5)]),
        paged(2, &[("area:a", 5), ("area:b", 7)]),
        paged(4, &[("area:a", 5)]),
    ];
    assert_eq!(first, expected);
    let rest = tx.copies().page(&tenant, &area, Some(rec(4)), 3).await?;
    assert_eq!(rest, [paged(5, &[("area:a", 5)]), paged(6, &[("area:a", 5)])]);
    assert_eq!(tx.copies().page(&tenant, &area, Some(rec(6)), 3).await?, []);
    Ok(())
}
