//! The journal, and what became of a change.

use crate::sample::{NOW, change, change_row, hash, id, quarantined, rec, tenant, user};
use storage::testing::TestResult;
use storage::{ChangeRow, Outcome, QuarantineState, Quarantined, StorageError, Store, Via};
use sync_protocol::id::{ChangeId, DeviceId, QuarantineId, Seq};

storage::on_both!(
    changes_come_back_byte_for_byte_in_seq_order,
    an_id_and_a_seq_are_taken_once,
    a_page_of_a_record_goes_on_after_the_last,
    outcomes_tell_of_journal_and_quarantine,
    a_released_change_is_applied,
    an_id_used_again_with_other_bytes_appears_twice,
    every_seq_names_its_change,
    lateness_can_be_set_and_taken_back,
    a_thousand_changes_go_in_and_out_at_once,
);

async fn changes_come_back_byte_for_byte_in_seq_order(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let odd = ChangeRow {
        body: (0..=255).collect(),
        via: Via::Import,
        device: Some(DeviceId(id(3))),
        late: Some("sealed".into()),
        flags: "clock_suspect".into(),
        ..change_row(3, 1)
    };
    let mut tx = store.write().await?;
    tx.journal().append(&tenant, &[odd.clone(), change_row(1, 1), change_row(2, 2)]).await?;
    tx.commit().await?;
    let mut tx = store.read().await?;
    assert_eq!(tx.journal().of_record(&tenant, rec(1)).await?, [change_row(1, 1), odd.clone()]);
    assert_eq!(tx.journal().of_record(&tenant, rec(9)).await?, []);
    let bodies = tx.journal().bodies(&tenant, &[change(3), change(9), change(1)]).await?;
    assert_eq!(bodies, [(change(1), change_row(1, 1).body), (change(3), odd.body)]);
    Ok(())
}

async fn an_id_and_a_seq_are_taken_once(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    tx.journal().append(&tenant, &[change_row(1, 1)]).await?;
    tx.commit().await?;
    let same_id = ChangeRow { seq: Seq(2), ..change_row(1, 1) };
    let same_seq = ChangeRow { id: change(2), ..change_row(1, 1) };
    for taken in [same_id, same_seq] {
        let refused = store.write().await?.journal().append(&tenant, &[taken]).await;
        assert!(matches!(refused, Err(StorageError::AlreadyStored(_))), "{refused:?}");
    }
    Ok(())
}

async fn a_page_of_a_record_goes_on_after_the_last(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let all: Vec<_> = (1..=7).map(|n| change_row(n, 1)).collect();
    tx.journal().append(&tenant, &all).await?;
    let mut paged = Vec::new();
    while let page @ [.., last] =
        tx.journal().page_of_record(&tenant, rec(1), after(&paged), 3).await?.as_slice()
    {
        assert!(page.len() <= 3 && last.seq > after(&paged));
        paged.extend_from_slice(page);
    }
    assert_eq!(paged, all);
    Ok(())
}

fn after(paged: &[ChangeRow]) -> Seq {
    paged.last().map_or(Seq(0), |last| last.seq)
}

async fn outcomes_tell_of_journal_and_quarantine(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let late = ChangeRow { late: Some("left_scope".into()), ..change_row(2, 1) };
    let mut tx = store.write().await?;
    tx.journal().append(&tenant, &[change_row(1, 1), late]).await?;
    let anonymous = Quarantined { rec: None, ..quarantined(3, 1) };
    tx.quarantine().append(&tenant, &[anonymous, quarantined(4, 1)]).await?;
    let closed = QuarantineId(id(504));
    tx.quarantine()
        .settle(&tenant, closed, QuarantineState::Closed, Some(user(2)), NOW, Some("twice"))
        .await?;
    let ids = [5, 4, 3, 2, 1].map(change);
    let told = tx.journal().outcomes(&tenant, &ids).await?;
    let seqs: Vec<_> = told.iter().map(|stored| (stored.id, stored.seq)).collect();
    assert_eq!(seqs, [1, 2, 3, 4].map(|n| (change(n), Seq(i64::try_from(n).unwrap_or(0)))));
    let code = || "forbidden".to_owned();
    let expected = [
        Outcome::Applied,
        Outcome::Late("left_scope".into()),
        Outcome::Quarantined { q: QuarantineId(id(503)), code: code() },
        Outcome::Closed { q: closed, code: code() },
    ];
    assert_eq!(told.iter().map(|stored| stored.outcome.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(
        told.iter().map(|s| s.rec).collect::<Vec<_>>(),
        [1, 1, 0, 1].map(|n| (n > 0).then(|| rec(1)))
    );
    assert!(told.iter().all(|stored| stored.by == user(1)));
    assert_eq!((told[0].hash, told[0].t_eff), (hash(1), NOW.plus(-1)));
    assert_eq!(tx.journal().outcomes(&tenant, &[]).await?, []);
    assert_eq!(tx.journal().outcomes(&"water".parse()?, &ids).await?, []);
    Ok(())
}

async fn a_released_change_is_applied(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    tx.quarantine().append(&tenant, &[quarantined(1, 1)]).await?;
    let released = QuarantineState::Released;
    tx.quarantine().settle(&tenant, QuarantineId(id(501)), released, None, NOW, None).await?;
    let accepted = ChangeRow { seq: Seq(2), ..change_row(1, 1) };
    tx.journal().append(&tenant, &[accepted]).await?;
    let told = tx.journal().outcomes(&tenant, &[change(1)]).await?;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].seq, &told[0].outcome), (Seq(2), &Outcome::Applied));
    for seq in [Seq(1), Seq(2)] {
        assert_eq!(tx.journal().id_at(&tenant, seq).await?, Some(change(1)), "at {seq}");
    }
    Ok(())
}

async fn an_id_used_again_with_other_bytes_appears_twice(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let again = Quarantined { id: Some(change(1)), code: "id_reuse".into(), ..quarantined(2, 1) };
    let mut tx = store.write().await?;
    tx.journal().append(&tenant, &[change_row(1, 1)]).await?;
    tx.quarantine().append(&tenant, &[again]).await?;
    let told = tx.journal().outcomes(&tenant, &[change(1)]).await?;
    let hashes: Vec<_> = told.iter().map(|stored| stored.hash).collect();
    assert_eq!(hashes, [hash(1), hash(2)]);
    Ok(())
}

async fn every_seq_names_its_change(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let unreadable = Quarantined { id: None, ..quarantined(3, 1) };
    let mut tx = store.write().await?;
    tx.journal().append(&tenant, &[change_row(1, 1)]).await?;
    tx.quarantine().append(&tenant, &[quarantined(2, 1), unreadable]).await?;
    let expected = [None, Some(change(1)), Some(change(2)), Some(ChangeId(id(503))), None];
    for (seq, expected) in (0..).zip(expected) {
        assert_eq!(tx.journal().id_at(&tenant, Seq(seq)).await?, expected, "at {seq}");
        let standing = tx.head().stand(&tenant, Seq(seq)).await?;
        assert_eq!((standing.asked, standing.last), (expected, None), "at {seq}");
    }
    tx.head().advance(&tenant, 3).await?;
    let standing = tx.head().stand(&tenant, Seq(1)).await?;
    assert_eq!(standing.head, tx.head().read(&tenant).await?);
    assert_eq!((standing.asked, standing.last), (Some(change(1)), Some(ChangeId(id(503)))));
    Ok(())
}

async fn lateness_can_be_set_and_taken_back(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    tx.journal().append(&tenant, &[change_row(1, 1)]).await?;
    for late in [Some("sealed"), None] {
        tx.journal().set_late(&tenant, change(1), late).await?;
        let stored = tx.journal().of_record(&tenant, rec(1)).await?;
        assert_eq!(stored[0].late.as_deref(), late);
    }
    let refused = tx.journal().set_late(&tenant, change(2), None).await;
    assert!(matches!(refused, Err(StorageError::Stale)), "{refused:?}");
    Ok(())
}

async fn a_thousand_changes_go_in_and_out_at_once(store: Store) -> TestResult {
    // More rows than one statement of SQLite binds.
    const COUNT: u128 = 5_000;
    let tenant = tenant(&store).await?;
    let rows: Vec<_> = (1..=COUNT)
        .map(|n| ChangeRow {
            seq: Seq(i64::try_from(n).unwrap_or(0)),
            id: change(n),
            ..change_row(1, n % 7)
        })
        .collect();
    let mut tx = store.write().await?;
    tx.journal().append(&tenant, &rows).await?;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    assert_eq!(tx.journal().outcomes(&tenant, &ids).await?.len(), rows.len());
    assert_eq!(tx.journal().bodies(&tenant, &ids).await?.len(), rows.len());
    Ok(())
}
