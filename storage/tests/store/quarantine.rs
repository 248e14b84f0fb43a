//! Quarantine: keeping, finding, settling.

use crate::sample::{NOW, bucket, hash, id, quarantined, rec, tenant, user};
use storage::testing::TestResult;
use storage::{
    PointerTouch, QuarantineFilter, QuarantineState, Quarantined, StorageError, Store, Tx,
};
use sync_protocol::id::{DeviceId, QuarantineId, Seq, Tenant};

storage::on_both!(
    a_quarantined_change_is_found_as_it_came,
    the_same_bytes_are_kept_once,
    open_ones_are_found_by_record_and_by_subject,
    open_ones_are_found_by_author_and_by_type,
    one_is_settled_once,
    the_open_bytes_of_a_device_are_counted,
    a_list_shows_what_a_supervisor_looks_after,
    a_list_narrows_and_goes_on,
);

fn q(n: u128) -> QuarantineId {
    QuarantineId(id(500 + n))
}

async fn a_quarantined_change_is_found_as_it_came(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let full = Quarantined {
        about: Some(rec(2)),
        type_: Some("fire_inspection".parse()?),
        claims: Some(bucket("station:south")),
        body: (0..=255).collect(),
        ..quarantined(1, 1)
    };
    let bare = Quarantined { id: None, rec: None, device: None, ..quarantined(2, 1) };
    let mut tx = store.write().await?;
    tx.quarantine().append(&tenant, &[full.clone(), bare.clone()]).await?;
    tx.commit().await?;
    let mut tx = store.read().await?;
    assert_eq!(tx.quarantine().find(&tenant, q(1)).await?, Some(full));
    assert_eq!(tx.quarantine().find(&tenant, q(2)).await?, Some(bare));
    assert_eq!(tx.quarantine().find(&tenant, q(3)).await?, None);
    assert_eq!(tx.quarantine().count_open(&tenant).await?, 2);
    Ok(())
}

async fn the_same_bytes_are_kept_once(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let other_bytes = Quarantined { id: quarantined(1, 1).id, ..quarantined(2, 1) };
    tx.quarantine().append(&tenant, &[quarantined(1, 1), other_bytes]).await?;
    let again = Quarantined { id: quarantined(1, 1).id, hash: hash(1), ..quarantined(3, 1) };
    let refused = tx.quarantine().append(&tenant, &[again]).await;
    assert!(matches!(refused, Err(StorageError::AlreadyStored(_))), "{refused:?}");
    Ok(())
}

async fn open_ones_are_found_by_record_and_by_subject(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let about = Quarantined { about: Some(rec(1)), ..quarantined(3, 8) };
    let both = Quarantined { about: Some(rec(1)), ..quarantined(2, 2) };
    let rows =
        [about.clone(), both.clone(), quarantined(1, 1), quarantined(4, 9), quarantined(5, 1)];
    let mut tx = store.write().await?;
    tx.quarantine().append(&tenant, &rows).await?;
    tx.quarantine().settle(&tenant, q(5), QuarantineState::Closed, None, NOW, None).await?;
    let found = tx.quarantine().open_for(&tenant, &[rec(2), rec(1)]).await?;
    assert_eq!(found, [quarantined(1, 1), both, about]);
    assert_eq!(tx.quarantine().open_for(&tenant, &[]).await?, []);
    Ok(())
}

async fn open_ones_are_found_by_author_and_by_type(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let of_type = |n| Quarantined { type_: "visit".parse().ok(), ..quarantined(n, 1) };
    let foreign = Quarantined { by: user(2), ..of_type(3) };
    let mut tx = store.write().await?;
    tx.quarantine()
        .append(&tenant, &[foreign.clone(), of_type(2), quarantined(1, 1), quarantined(4, 2)])
        .await?;
    let found = tx.quarantine().of_author_and_record(&tenant, user(1), rec(1)).await?;
    assert_eq!(found, [quarantined(1, 1), of_type(2)]);
    let visit = "visit".parse()?;
    for (after, limit, expected) in [
        (0, 9, vec![of_type(2), foreign.clone()]),
        (0, 1, vec![of_type(2)]),
        (2, 1, vec![foreign]),
        (3, 1, vec![]),
    ] {
        let found = tx.quarantine().open_of_type(&tenant, &visit, Seq(after), limit).await?;
        assert_eq!(found, expected, "after {after}");
    }
    Ok(())
}

async fn one_is_settled_once(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    tx.quarantine().append(&tenant, &[quarantined(1, 1)]).await?;
    let (closed, by) = (QuarantineState::Closed, Some(user(7)));
    tx.quarantine().settle(&tenant, q(1), closed, by, NOW, Some("entered twice")).await?;
    let expected = Quarantined {
        state: closed,
        closed_by: by,
        closed_at: Some(NOW),
        why: Some("entered twice".into()),
        ..quarantined(1, 1)
    };
    assert_eq!(tx.quarantine().find(&tenant, q(1)).await?, Some(expected));
    assert_eq!(tx.quarantine().count_open(&tenant).await?, 0);
    for unknown in [q(1), q(2)] {
        let state = QuarantineState::Released;
        let refused = tx.quarantine().settle(&tenant, unknown, state, by, NOW, None).await;
        assert!(matches!(refused, Err(StorageError::Stale)), "{refused:?}");
    }
    Ok(())
}

async fn the_open_bytes_of_a_device_are_counted(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let foreign = Quarantined { device: Some(DeviceId(id(2))), ..quarantined(3, 1) };
    let mut tx = store.write().await?;
    let rows = [quarantined(1, 1), quarantined(2, 1), foreign, quarantined(4, 1)];
    tx.quarantine().append(&tenant, &rows).await?;
    tx.quarantine().settle(&tenant, q(4), QuarantineState::Closed, None, NOW, None).await?;
    let bytes = i64::try_from(2 * quarantined(1, 1).body.len())?;
    assert_eq!(tx.quarantine().bytes_of_device(&tenant, DeviceId(id(1))).await?, bytes);
    assert_eq!(tx.quarantine().bytes_of_device(&tenant, DeviceId(id(9))).await?, 0);
    Ok(())
}

async fn listed(tx: &mut Tx, tenant: &Tenant, names: &[&str]) -> TestResult<Vec<i64>> {
    let buckets = Some(names.iter().map(|name| bucket(name)).collect());
    let filter = QuarantineFilter { buckets, limit: 100, ..QuarantineFilter::default() };
    let rows = tx.quarantine().list(tenant, &filter).await?;
    Ok(rows.iter().map(|row| row.seq.0).collect())
}

async fn a_list_shows_what_a_supervisor_looks_after(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let claims = |name| Some(bucket(name));
    let rows = [
        // On a record that lies in `area:a`, whatever it claims.
        Quarantined { claims: claims("area:b"), ..quarantined(1, 1) },
        // A first change about that record.
        Quarantined { about: Some(rec(1)), ..quarantined(2, 20) },
        // A first change that claims a bucket.
        Quarantined { claims: claims("area:b"), ..quarantined(3, 21) },
        // Nobody's; one without a readable record; one whose record has left `area:a`.
        quarantined(4, 22),
        Quarantined { rec: None, ..quarantined(5, 1) },
        quarantined(6, 2),
    ];
    let pointer = |n, live| PointerTouch {
        bucket: bucket("area:a"),
        rec: rec(n),
        seq: Seq(1),
        since: None,
        live,
    };
    let mut tx = store.write().await?;
    tx.pointers().touch(&tenant, &[pointer(1, true), pointer(2, false)]).await?;
    tx.quarantine().append(&tenant, &rows).await?;
    assert_eq!(listed(&mut tx, &tenant, &["area:a"]).await?, [2, 1]);
    assert_eq!(listed(&mut tx, &tenant, &["area:b"]).await?, [3]);
    assert_eq!(listed(&mut tx, &tenant, &["inbox:unplaced"]).await?, [6, 5, 4]);
    assert_eq!(listed(&mut tx, &tenant, &["area:b", "area:a"]).await?, [3, 2, 1]);
    assert_eq!(listed(&mut tx, &tenant, &[]).await?, [] as [i64; 0]);
    Ok(())
}

async fn a_list_narrows_and_goes_on(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let rows: Vec<_> = (1..=5).map(|n| quarantined(n, 1)).collect();
    let mut tx = store.write().await?;
    tx.quarantine().append(&tenant, &rows).await?;
    tx.quarantine().settle(&tenant, q(4), QuarantineState::Closed, None, NOW, None).await?;
    let all = QuarantineFilter { limit: 100, ..QuarantineFilter::default() };
    let open = Some(QuarantineState::Open);
    for (filter, expected) in [
        (all.clone(), &[5, 4, 3, 2, 1][..]),
        (QuarantineFilter { state: open, ..all.clone() }, &[5, 3, 2, 1]),
        (QuarantineFilter { state: open, limit: 2, ..all.clone() }, &[5, 3]),
        (QuarantineFilter { state: open, before: Some(Seq(3)), ..all }, &[2, 1]),
    ] {
        let found = tx.quarantine().list(&tenant, &filter).await?;
        let seqs: Vec<_> = found.iter().map(|row| row.seq.0).collect();
        assert_eq!(seqs, expected, "{filter:?}");
    }
    Ok(())
}
