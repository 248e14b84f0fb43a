//! Records: reserving, locking, saving.

use crate::sample::{NOW, rec, record_row, tenant};
use storage::testing::TestResult;
use storage::{RecordRow, Store};
use sync_protocol::id::Seq;

storage::on_both!(
    a_record_is_found_as_it_was_saved,
    a_reserved_id_is_no_record_until_it_is_saved,
    a_record_that_exists_is_not_reserved_over,
    followers_are_those_about_a_record,
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
