//! Sixteen writers at once: seqs without gaps, visible as a prefix, and no sibling lost.

use crate::sample::{NOW, bucket, change_row, id, rec, record_row, tenant};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use storage::testing::TestResult;
use storage::{ChangeRow, Pointer, PointerTouch, RecordRow, StorageError, Store};
use sync_protocol::id::{Bucket, ChangeId, RecordId, Seq, Tenant};

storage::on_both!(
    seqs_have_no_gaps_and_become_visible_as_a_prefix,
    a_reader_with_any_page_size_sees_each_pointer_at_last,
    two_merges_of_one_record_lose_nothing,
    a_record_is_created_once_by_many,
);

const WRITERS: u128 = 16;
const ROUNDS: u128 = 12;
const RECORDS: u128 = 40;

fn buckets() -> Vec<Bucket> {
    ["area:a", "area:b", "area:c"].map(bucket).to_vec()
}

/// Writes one to three changes in one transaction; every fourth is given up before its commit.
async fn write_once(store: &Store, tenant: &Tenant, writer: u128, round: u128) -> TestResult {
    let mut tx = store.write().await?;
    let nth = writer * ROUNDS + round;
    let mut recs: Vec<_> = (0..=nth % 3).map(|k| rec(1 + (nth * 7 + k * 11) % RECORDS)).collect();
    recs.sort_unstable();
    recs.dedup();
    tx.records().reserve(tenant, &recs, NOW).await?;
    tx.records().lock(tenant, &recs).await?;
    let count = i64::try_from(recs.len())?;
    let head = tx.head().advance(tenant, count).await?;
    let seqs = (head.seq.0 - count + 1..=head.seq.0).map(Seq);
    let (mut changes, mut rows, mut touches) = (Vec::new(), Vec::new(), Vec::new());
    for (rec, seq) in recs.into_iter().zip(seqs) {
        let id = ChangeId(id(1_000 * (nth + 1) + rec.0.as_u128()));
        changes.push(ChangeRow { seq, id, rec, ..change_row(1, 1) });
        rows.push(RecordRow { rec, rv: seq, ..record_row(1, 1) });
        touches.extend(
            buckets()
                .into_iter()
                .take(1 + usize::from(nth.is_multiple_of(2)))
                .map(|bucket| PointerTouch { bucket, rec, seq, since: None, live: true }),
        );
    }
    tx.journal().append(tenant, &changes).await?;
    tx.records().save(tenant, &rows).await?;
    tx.pointers().touch(tenant, &touches).await?;
    if nth % 4 != 3 {
        tx.commit().await?;
    }
    Ok(())
}

/// Tries again as long as the store is busy: a test machine may be slow.
async fn write_until_done(store: &Store, tenant: &Tenant, writer: u128, round: u128) -> TestResult {
    for _ in 0..50 {
        match write_once(store, tenant, writer, round).await {
            Err(error) if matches!(error.downcast_ref(), Some(StorageError::Busy(_))) => {}
            done => return done,
        }
    }
    Err("busy for ever".into())
}

/// Starts the writers; the flag is set when all are done.
fn start(store: &Store, tenant: &Tenant) -> (Arc<AtomicBool>, tokio::task::JoinHandle<TestResult>) {
    let done = Arc::new(AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, tenant) = (store.clone(), tenant.clone());
        writers.spawn(async move {
            for round in 0..ROUNDS {
                write_until_done(&store, &tenant, writer, round).await?;
            }
            TestResult::Ok(())
        });
    }
    let flag = Arc::clone(&done);
    let all = tokio::spawn(async move {
        while let Some(one) = writers.join_next().await {
            one??;
        }
        flag.store(true, Ordering::SeqCst);
        TestResult::Ok(())
    });
    (done, all)
}

async fn seqs_have_no_gaps_and_become_visible_as_a_prefix(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let (done, all) = start(&store, &tenant);
    let mut last = 0;
    loop {
        let ended = done.load(Ordering::SeqCst);
        let mut tx = store.read().await?;
        let head = tx.head().read(&tenant).await?.seq.0;
        assert!(head >= last, "the head went back from {last} to {head}");
        for seq in last + 1..=head {
            assert!(tx.journal().id_at(&tenant, Seq(seq)).await?.is_some(), "{seq} of {head}");
        }
        assert_eq!(tx.journal().id_at(&tenant, Seq(head + 1)).await?, None, "beyond {head}");
        last = head;
        if ended {
            break;
        }
    }
    all.await??;
    assert!(last > 0);
    Ok(())
}

async fn a_reader_with_any_page_size_sees_each_pointer_at_last(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let (done, all) = start(&store, &tenant);
    let mut readers = tokio::task::JoinSet::new();
    for limit in [1, 2, 3, 7, 50] {
        let (store, tenant, done) = (store.clone(), tenant.clone(), Arc::clone(&done));
        readers.spawn(async move { follow(&store, &tenant, limit, &done).await });
    }
    all.await??;
    let mut tx = store.read().await?;
    let expected = tx.pointers().after(&tenant, &buckets(), Seq(0), 10_000).await?;
    assert!(expected.len() > 40);
    let expected: BTreeMap<_, _> = expected.into_iter().map(keyed).collect();
    while let Some(held) = readers.join_next().await {
        assert_eq!(held??, expected);
    }
    Ok(())
}

type Held = BTreeMap<(Bucket, RecordId), Pointer>;

fn keyed(pointer: Pointer) -> ((Bucket, RecordId), Pointer) {
    ((pointer.bucket.clone(), pointer.rec), pointer)
}

/// Pulls page by page, each in a snapshot of its own, until nothing is written any more.
async fn follow(store: &Store, tenant: &Tenant, limit: u32, done: &AtomicBool) -> TestResult<Held> {
    let mut held = Held::new();
    let mut at = Seq(0);
    loop {
        let ended = done.load(Ordering::SeqCst);
        let page = store.read().await?.pointers().after(tenant, &buckets(), at, limit).await?;
        at = page.last().map_or(at, |last| last.seq);
        let quiet = page.is_empty();
        held.extend(page.into_iter().map(keyed));
        if quiet && ended {
            return Ok(held);
        }
        if quiet {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn two_merges_of_one_record_lose_nothing(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let empty = RecordRow { state: Vec::new(), ..record_row(1, 1) };
    tx.records().save(&tenant, &[empty]).await?;
    tx.commit().await?;
    let mut mergers = tokio::task::JoinSet::new();
    for n in 1..=WRITERS {
        let (store, tenant) = (store.clone(), tenant.clone());
        mergers.spawn(async move { merge(&store, &tenant, u8::try_from(n)?).await });
    }
    while let Some(one) = mergers.join_next().await {
        one??;
    }
    let stored = store.read().await?.records().load(&tenant, &[rec(1)]).await?;
    let mut state = stored[0].state.clone();
    state.sort_unstable();
    assert_eq!(state, (1..=16).collect::<Vec<u8>>());
    Ok(())
}

/// Reads the state under its lock and adds to it.
async fn merge(store: &Store, tenant: &Tenant, sibling: u8) -> TestResult {
    let mut tx = store.write().await?;
    let mut rows = tx.records().lock(tenant, &[rec(1)]).await?;
    tokio::time::sleep(Duration::from_millis(2)).await;
    for row in &mut rows {
        row.state.push(sibling);
    }
    tx.records().save(tenant, &rows).await?;
    Ok(tx.commit().await?)
}

async fn a_record_is_created_once_by_many(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut creators = tokio::task::JoinSet::new();
    for n in 1..=WRITERS {
        let (store, tenant) = (store.clone(), tenant.clone());
        creators.spawn(async move {
            let recs = if n % 2 == 0 { [rec(1), rec(2)] } else { [rec(2), rec(1)] };
            let mut tx = store.write().await?;
            tx.records().reserve(&tenant, &recs, NOW).await?;
            let found = tx.records().lock(&tenant, &recs).await?;
            if found.is_empty() {
                tx.records().save(&tenant, &[record_row(1, 1), record_row(2, 1)]).await?;
                tx.commit().await?;
            }
            TestResult::Ok(found.len())
        });
    }
    let mut created = 0;
    while let Some(found) = creators.join_next().await {
        created += usize::from(found?? == 0);
    }
    assert_eq!(created, 1);
    Ok(())
}
