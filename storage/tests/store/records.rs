//! Records: reserving, locking, saving, listing.

use crate::sample::{NOW, bucket, rec, record_row, tenant};
use storage::testing::TestResult;
use storage::{ListFilter, PointerTouch, RecordRow, Store, Tx};
use sync_protocol::id::{RecordId, Seq, Tenant};

storage::on_both!(
    a_record_is_found_as_it_was_saved,
    a_reserved_id_is_no_record_until_it_is_saved,
    a_record_that_exists_is_not_reserved_over,
    followers_are_those_about_a_record,
    a_list_shows_the_newest_of_the_allowed_buckets_first,
    a_list_narrows_by_each_of_its_filters,
    a_flag_is_a_whole_word,
    a_list_goes_on_page_by_page,
);

async fn a_record_is_found_as_it_was_saved(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let first = record_row(1, 1);
    let next = RecordRow {
        about: Some(rec(7)),
        rv: Seq(5),
        state: (0..=255).collect(),
        meta: b"{}".to_vec(),
        flags: "conflict sealed".into(),
        status: Some("submitted".into()),
        title: Some("中央小学校".into()),
        updated_at: NOW.plus(1),
        ..first.clone()
    };
    let mut tx = store.write().await?;
    tx.records().save(&tenant, &[record_row(2, 2), first.clone()]).await?;
    assert_eq!(
        tx.records().lock(&tenant, &[rec(2), rec(9), rec(1)]).await?,
        [first, record_row(2, 2)]
    );
    tx.records().save(&tenant, std::slice::from_ref(&next)).await?;
    tx.commit().await?;
    let mut tx = store.read().await?;
    assert_eq!(tx.records().load(&tenant, &[rec(1)]).await?, [next]);
    assert_eq!(tx.records().load(&tenant, &[]).await?, []);
    assert_eq!(tx.records().load(&"water".parse()?, &[rec(1)]).await?, []);
    Ok(())
}

async fn a_reserved_id_is_no_record_until_it_is_saved(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let recs = [rec(2), rec(1), rec(2)];
    let mut tx = store.write().await?;
    tx.records().reserve(&tenant, &recs, NOW).await?;
    assert_eq!(tx.records().lock(&tenant, &recs).await?, []);
    tx.records().save(&tenant, &[record_row(1, 1)]).await?;
    tx.records().drop_placeholders(&tenant, &recs).await?;
    assert_eq!(tx.records().load(&tenant, &recs).await?, [record_row(1, 1)]);
    tx.records().reserve(&tenant, &[rec(2)], NOW).await?;
    Ok(())
}

async fn a_record_that_exists_is_not_reserved_over(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    tx.records().save(&tenant, &[record_row(1, 4)]).await?;
    tx.records().reserve(&tenant, &[rec(1)], NOW).await?;
    tx.records().drop_placeholders(&tenant, &[rec(1)]).await?;
    assert_eq!(tx.records().lock(&tenant, &[rec(1)]).await?, [record_row(1, 4)]);
    Ok(())
}

async fn followers_are_those_about_a_record(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let about = |n, subject| RecordRow { about: Some(rec(subject)), ..record_row(n, 1) };
    let rows = [record_row(1, 1), about(4, 1), about(3, 1), about(5, 2), about(6, 9)];
    let mut tx = store.write().await?;
    tx.records().save(&tenant, &rows).await?;
    let subjects = [rec(2), rec(1)];
    let mut followers = tx.records().followers(&tenant, &subjects, 10).await?;
    assert_eq!(followers, [3, 4, 5].map(rec));
    followers.truncate(2);
    assert_eq!(tx.records().followers(&tenant, &subjects, 2).await?, followers);
    Ok(())
}

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
