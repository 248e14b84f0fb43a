//! Pointers: overwriting them, and reading them in pages.

use crate::sample::{bucket, rec, record_row, tenant};
use storage::testing::TestResult;
use storage::{Pointer, PointerTouch, Store, Tx};
use sync_protocol::id::{Bucket, Seq, Tenant};

storage::on_both!(
    an_edit_keeps_since_and_an_entering_sets_it,
    many_touches_of_one_pointer_count_as_their_last,
    a_pull_sees_each_pointer_above_its_place_in_seq_order,
    a_page_never_cuts_inside_one_seq,
    any_limit_reads_the_same_pointers,
    more_buckets_than_one_statement_joins_are_merged,
    a_snapshot_pages_live_pointers_by_record,
    sums_are_of_live_pointers_with_the_rv_of_their_record,
    the_buckets_of_records_are_listed_also_when_left,
);

fn touch(name: &str, n: u128, seq: i64, since: Option<i64>, live: bool) -> PointerTouch {
    let since = since.map(Seq);
    PointerTouch { bucket: bucket(name), rec: rec(n), seq: Seq(seq), since, live }
}

fn pointer(name: &str, n: u128, seq: i64, since: i64, live: bool) -> Pointer {
    Pointer { bucket: bucket(name), rec: rec(n), seq: Seq(seq), since: Seq(since), live }
}

async fn an_edit_keeps_since_and_an_entering_sets_it(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    for (done, seq, since, live) in [
        (touch("area:a", 1, 5, Some(5), true), 5, 5, true),
        (touch("area:a", 1, 8, None, true), 8, 5, true),
        (touch("area:a", 1, 9, None, false), 9, 5, false),
        (touch("area:a", 1, 12, Some(12), true), 12, 12, true),
    ] {
        tx.pointers().touch(&tenant, &[done]).await?;
        let found = tx.pointers().buckets_of(&tenant, &[rec(1)]).await?;
        assert_eq!(found, [pointer("area:a", 1, seq, since, live)]);
    }
    tx.pointers().touch(&tenant, &[touch("area:a", 2, 13, None, true)]).await?;
    let made = tx.pointers().buckets_of(&tenant, &[rec(2)]).await?;
    assert_eq!(made, [pointer("area:a", 2, 13, 13, true)]);
    Ok(())
}

async fn many_touches_of_one_pointer_count_as_their_last(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let touches = [
        touch("area:a", 1, 1, Some(1), true),
        touch("area:b", 1, 1, None, true),
        touch("area:a", 1, 2, None, true),
        touch("area:a", 1, 3, None, false),
    ];
    let mut tx = store.write().await?;
    tx.pointers().touch(&tenant, &touches).await?;
    let found = tx.pointers().buckets_of(&tenant, &[rec(1)]).await?;
    assert_eq!(found, [pointer("area:a", 1, 3, 1, false), pointer("area:b", 1, 1, 1, true)]);
    Ok(())
}

/// Records 1 to 20 at seq 10 to 200; every one in `area:a`, every second in `area:b` too, every third left `area:c`.
async fn twenty(tx: &mut Tx, tenant: &Tenant) -> TestResult<Vec<Bucket>> {
    let touches: Vec<_> = (1..=20_i64)
        .flat_map(|n| {
            let of = |name| touch(name, u128::try_from(n).unwrap_or(0), n * 10, Some(n), true);
            let mut touches = vec![of("area:a")];
            touches.extend((n % 2 == 0).then(|| of("area:b")));
            touches.extend((n % 3 == 0).then(|| PointerTouch { live: false, ..of("area:c") }));
            touches
        })
        .collect();
    tx.pointers().touch(tenant, &touches).await?;
    Ok(["area:c", "area:a", "area:b", "area:a"].map(bucket).to_vec())
}

async fn a_pull_sees_each_pointer_above_its_place_in_seq_order(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let buckets = twenty(&mut tx, &tenant).await?;
    let found = tx.pointers().after(&tenant, &buckets, Seq(170), 100).await?;
    let expected = [
        pointer("area:a", 18, 180, 18, true),
        pointer("area:b", 18, 180, 18, true),
        pointer("area:c", 18, 180, 18, false),
        pointer("area:a", 19, 190, 19, true),
        pointer("area:a", 20, 200, 20, true),
        pointer("area:b", 20, 200, 20, true),
    ];
    assert_eq!(found, expected);
    assert_eq!(tx.pointers().after(&tenant, &buckets, Seq(200), 100).await?, []);
    assert_eq!(tx.pointers().after(&tenant, &[], Seq(0), 100).await?, []);
    assert_eq!(tx.pointers().after(&"water".parse()?, &buckets, Seq(0), 100).await?, []);
    let other = tx.pointers().after(&tenant, &[bucket("area:c")], Seq(170), 100).await?;
    assert_eq!(other, [pointer("area:c", 18, 180, 18, false)]);
    Ok(())
}

async fn a_page_never_cuts_inside_one_seq(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let buckets = twenty(&mut tx, &tenant).await?;
    // Seq 60 stands in all three buckets.
    for (limit, count) in [(0, 0), (1, 3), (2, 3), (3, 3), (4, 4), (5, 6), (6, 6)] {
        let found = tx.pointers().after(&tenant, &buckets, Seq(50), limit).await?;
        assert_eq!(found.len(), count, "limit {limit}");
    }
    Ok(())
}

async fn any_limit_reads_the_same_pointers(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let buckets = twenty(&mut tx, &tenant).await?;
    let all = tx.pointers().after(&tenant, &buckets, Seq(0), 1000).await?;
    assert_eq!(all.len(), 20 + 10 + 6);
    for limit in 1..=40 {
        assert_eq!(paged(&mut tx, &tenant, &buckets, limit).await?, all, "limit {limit}");
    }
    Ok(())
}

async fn paged(
    tx: &mut Tx,
    tenant: &Tenant,
    buckets: &[Bucket],
    limit: u32,
) -> TestResult<Vec<Pointer>> {
    let mut paged: Vec<Pointer> = Vec::new();
    loop {
        let at = paged.last().map_or(Seq(0), |last| last.seq);
        let page = tx.pointers().after(tenant, buckets, at, limit).await?;
        let more = page.len() >= usize::try_from(limit)?;
        paged.extend(page);
        if !more {
            return Ok(paged);
        }
    }
}

async fn more_buckets_than_one_statement_joins_are_merged(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let names: Vec<_> = (0..520).map(|n| format!("area:{n}")).collect();
    let touches = names.iter().zip(1..).map(|(name, n)| touch(name, 1, 1000 - n, Some(1), true));
    let mut tx = store.write().await?;
    tx.pointers().touch(&tenant, &touches.collect::<Vec<_>>()).await?;
    let buckets: Vec<_> = names.iter().map(|name| bucket(name)).collect();
    let found = tx.pointers().after(&tenant, &buckets, Seq(0), 515).await?;
    let seqs: Vec<_> = found.iter().map(|pointer| pointer.seq.0).collect();
    assert_eq!(seqs, (480..995).collect::<Vec<_>>());
    Ok(())
}

async fn a_snapshot_pages_live_pointers_by_record(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    twenty(&mut tx, &tenant).await?;
    tx.pointers().touch(&tenant, &[touch("area:b", 4, 201, None, false)]).await?;
    let area = bucket("area:b");
    assert_eq!(tx.pointers().count_live(&tenant, &area).await?, 9);
    let mut paged = Vec::new();
    loop {
        let after = paged.last().copied();
        let page = tx.pointers().page(&tenant, &area, after, 4).await?;
        if page.is_empty() {
            break;
        }
        paged.extend(page.into_iter().map(|pointer| pointer.rec));
    }
    assert_eq!(paged, [2, 6, 8, 10, 12, 14, 16, 18, 20].map(rec));
    Ok(())
}

async fn sums_are_of_live_pointers_with_the_rv_of_their_record(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let touches = [
        touch("area:a", 2, 7, Some(1), true),
        touch("area:a", 1, 6, Some(1), true),
        touch("area:a", 3, 8, Some(1), false),
        touch("area:b", 4, 9, Some(1), true),
    ];
    let mut tx = store.write().await?;
    tx.pointers().touch(&tenant, &touches).await?;
    let rows: Vec<_> = (1..=4).zip(6..).map(|(n, rv)| record_row(n, rv)).collect();
    tx.records().save(&tenant, &rows).await?;
    let sums = tx.pointers().sums(&tenant, &bucket("area:a")).await?;
    assert_eq!(sums, [(rec(1), Seq(6)), (rec(2), Seq(7))]);
    Ok(())
}

async fn the_buckets_of_records_are_listed_also_when_left(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    twenty(&mut tx, &tenant).await?;
    let found = tx.pointers().buckets_of(&tenant, &[rec(6), rec(99), rec(1)]).await?;
    let expected = [
        pointer("area:a", 1, 10, 1, true),
        pointer("area:a", 6, 60, 6, true),
        pointer("area:b", 6, 60, 6, true),
        pointer("area:c", 6, 60, 6, false),
    ];
    assert_eq!(found, expected);
    Ok(())
}
