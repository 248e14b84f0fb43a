//! Lists of records.

use crate::sample::{NOW, bucket, rec, record_row, tenant};
use storage::testing::TestResult;
use storage::{ListFilter, PointerTouch, RecordRow, Store, Tx};
use sync_protocol::id::{RecordId, Seq, Tenant};

storage::on_both!(
    a_list_shows_the_newest_of_the_allowed_buckets_first,
    a_list_narrows_by_each_of_its_filters,
    a_flag_is_a_whole_word,
    a_list_goes_on_page_by_page,
    a_record_in_two_buckets_is_listed_once,
    titles_are_read_where_the_record_is_open,
    more_buckets_than_one_statement_joins_are_listed,
);

/// Records 1 to 6 with rv 10 to 60: the odd ones in `station:a`, the even ones in `station:b`, 6 has left.
async fn six(tx: &mut Tx, tenant: &Tenant) -> TestResult {
    let rows = (1..=6).map(|n| record_row(n, 10 * i64::try_from(n).unwrap_or(0)));
    let mut rows: Vec<_> = rows.collect();
    rows[0].type_ = "premises".parse()?;
    rows[1].about = Some(rec(1));
    rows[2].status = Some("submitted".into());
    rows[3].flags = "late sealed_twice".into();
    tx.records().save(tenant, &rows).await?;
    let touches: Vec<_> = rows
        .iter()
        .zip(1..)
        .map(|(row, n)| PointerTouch {
            bucket: bucket(if n % 2 == 1 { "station:a" } else { "station:b" }),
            rec: row.rec,
            seq: row.rv,
            since: Some(row.rv),
            live: n != 6,
        })
        .collect();
    Ok(tx.pointers().touch(tenant, &touches).await?)
}

async fn listed(tx: &mut Tx, tenant: &Tenant, filter: ListFilter) -> TestResult<Vec<RecordId>> {
    let rows = tx.records().list(tenant, &filter).await?;
    Ok(rows.into_iter().map(|row| row.rec).collect())
}

fn everywhere() -> ListFilter {
    let buckets = vec![bucket("station:a"), bucket("station:b"), bucket("station:c")];
    ListFilter { buckets, limit: 100, ..ListFilter::default() }
}

async fn a_list_shows_the_newest_of_the_allowed_buckets_first(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    six(&mut tx, &tenant).await?;
    tx.records().reserve(&tenant, &[rec(7)], NOW).await?;
    for (names, expected) in [
        (&[][..], &[][..]),
        (&["station:c"], &[]),
        (&["station:a"], &[5, 3, 1]),
        (&["station:b"], &[4, 2]),
        (&["station:a", "station:b"], &[5, 4, 3, 2, 1]),
    ] {
        let buckets = names.iter().map(|name| bucket(name)).collect();
        let found = listed(&mut tx, &tenant, ListFilter { buckets, ..everywhere() }).await?;
        assert_eq!(found, expected.iter().map(|&n| rec(n)).collect::<Vec<_>>(), "{names:?}");
    }
    assert_eq!(tx.records().count_in_bucket(&tenant, &bucket("station:b")).await?, 2);
    Ok(())
}

async fn a_list_narrows_by_each_of_its_filters(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    six(&mut tx, &tenant).await?;
    let all = everywhere;
    for (filter, expected) in [
        (ListFilter { type_: Some("premises".parse()?), ..all() }, &[1][..]),
        (ListFilter { about: Some(rec(1)), ..all() }, &[2]),
        (ListFilter { status: Some("submitted".into()), ..all() }, &[3]),
        (ListFilter { since: Some(Seq(30)), ..all() }, &[5, 4]),
        (ListFilter { before_rv: Some(Seq(30)), ..all() }, &[2, 1]),
        (
            ListFilter {
                type_: Some("fire_inspection".parse()?),
                since: Some(Seq(20)),
                limit: 2,
                ..all()
            },
            &[5, 4],
        ),
        (ListFilter { status: Some("submitted".into()), since: Some(Seq(30)), ..all() }, &[]),
        (ListFilter { status: Some("submitted".into()), before_rv: Some(Seq(30)), ..all() }, &[]),
        (ListFilter { about: Some(rec(1)), type_: Some("premises".parse()?), ..all() }, &[]),
        (ListFilter { limit: 2, ..all() }, &[5, 4]),
        (ListFilter { limit: 0, ..all() }, &[]),
    ] {
        let found = listed(&mut tx, &tenant, filter.clone()).await?;
        assert_eq!(found, expected.iter().map(|&n| rec(n)).collect::<Vec<_>>(), "{filter:?}");
    }
    Ok(())
}

async fn a_flag_is_a_whole_word(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    six(&mut tx, &tenant).await?;
    for (flag, found) in [
        ("late", true),
        ("sealed_twice", true),
        ("sealed", false),
        ("sealed%twice", false),
        ("late sealed", false),
    ] {
        let filter = ListFilter { flag: Some(flag.into()), ..everywhere() };
        let expected = if found { vec![rec(4)] } else { Vec::new() };
        assert_eq!(listed(&mut tx, &tenant, filter).await?, expected, "{flag:?}");
    }
    Ok(())
}

async fn a_list_goes_on_page_by_page(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    six(&mut tx, &tenant).await?;
    let mut paged: Vec<RecordRow> = Vec::new();
    loop {
        let before_rv = paged.last().map(|row| row.rv);
        let filter = ListFilter { before_rv, limit: 2, ..everywhere() };
        let page = tx.records().list(&tenant, &filter).await?;
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, tx.records().list(&tenant, &everywhere()).await?);
    Ok(())
}

async fn a_record_in_two_buckets_is_listed_once(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    six(&mut tx, &tenant).await?;
    let (bucket, rec, seq) = (bucket("station:b"), rec(5), Seq(50));
    tx.pointers()
        .touch(&tenant, &[PointerTouch { bucket, rec, seq, since: None, live: true }])
        .await?;
    let found = listed(&mut tx, &tenant, ListFilter { limit: 2, ..everywhere() }).await?;
    assert_eq!(found, [5, 4].map(crate::sample::rec));
    Ok(())
}

async fn more_buckets_than_one_statement_joins_are_listed(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    six(&mut tx, &tenant).await?;
    let mut buckets: Vec<_> = (0..450).map(|n| bucket(&format!("area:{n}"))).collect();
    buckets.insert(3, bucket("station:a"));
    buckets.push(bucket("station:b"));
    let filter = ListFilter { buckets, limit: 3, ..everywhere() };
    assert_eq!(listed(&mut tx, &tenant, filter.clone()).await?, [5, 4, 3].map(rec));
    let submitted = ListFilter { status: Some("submitted".into()), ..filter };
    assert_eq!(listed(&mut tx, &tenant, submitted).await?, [rec(3)]);
    Ok(())
}

async fn titles_are_read_where_the_record_is_open(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    six(&mut tx, &tenant).await?;
    tx.records().reserve(&tenant, &[rec(7)], NOW).await?;
    let all: Vec<RecordId> = (1..=9).rev().map(rec).collect();
    for (names, recs, expected) in [
        (&["station:a"][..], &all[..], &[1, 3, 5][..]),
        (&["station:a", "station:b"], &all, &[1, 2, 3, 4, 5]),
        (&["station:b"], &[rec(4), rec(5)], &[4]),
        (&["station:c"], &all, &[]),
        (&[], &all, &[]),
        (&["station:a"], &[], &[]),
    ] {
        let buckets: Vec<_> = names.iter().map(|name| bucket(name)).collect();
        let found = tx.records().titles(&tenant, recs, &buckets).await?;
        let ids: Vec<RecordId> = found.iter().map(|titled| titled.rec).collect();
        assert_eq!(ids, expected.iter().copied().map(rec).collect::<Vec<_>>(), "{names:?}");
        for titled in found {
            let row = tx.records().load(&tenant, &[titled.rec]).await?.pop().ok_or("a row")?;
            assert_eq!((titled.type_, titled.title), (row.type_, row.title));
        }
    }
    Ok(())
}
