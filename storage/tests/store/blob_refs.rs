//! References to blobs: noted once, and holding only for whoever has shown the bytes.

use crate::sample::{NOW, change, id, rec, tenant, tenant_row, user};
use std::collections::BTreeSet;
use std::time::Duration;
use storage::testing::TestResult;
use storage::{Blob, BlobName, BlobReference, BlobState, RecordBlob, Render, Store, Tx};
use sync_protocol::blob::BlobHash;
use sync_protocol::id::{EpochId, Tenant, UploadId};
use sync_protocol::wire::Blobs;

storage::on_both!(
    a_reference_is_noted_once,
    what_leaves_the_quarantine_is_applied_for_good,
    an_author_is_told_what_is_needed_and_had,
    a_reference_holds_for_whoever_has_shown_the_bytes,
    a_blob_is_read_through_an_applied_reference_that_holds,
    records_tell_which_blobs_hold,
    a_blob_that_is_being_deleted_holds_nothing,
    tenants_share_nothing,
    many_references_go_at_once,
    locked_blobs_need_not_exist,
    who_collects_waits_for_who_refers,
);

fn blob(n: u8) -> Blob {
    Blob {
        sha256: hash(n).0,
        home: UploadId(id(n.into())),
        bytes: 1_000 + i64::from(n),
        mime: "image/jpeg".into(),
        state: BlobState::Have,
        stored_at: NOW,
        facts: None,
        render: Render::Pending,
        thumb: None,
        screen: None,
    }
}

/// Begins to remove a blob, as its collection does; `false` when a change names it.
async fn collected(tx: &mut Tx, tenant: &Tenant, n: u8) -> TestResult<bool> {
    let name = BlobName { stored_at: NOW, tenant: tenant.clone(), sha256: hash(n).0 };
    Ok(tx.blobs().begin_removal(&name, NOW).await?)
}

const fn hash(n: u8) -> BlobHash {
    BlobHash([n; 32])
}

/// The n-th change on a record, by a user, that names the blob of the same number.
fn named(n: u8, of: u128, by: u128) -> BlobReference {
    BlobReference {
        rec: rec(of),
        sha256: hash(n),
        change: change(n.into()),
        author: user(by),
        clock_offset_ms: Some(-5),
        applied: true,
    }
}

async fn shown(tx: &mut Tx, tenant: &Tenant, n: u8, by: u128) -> TestResult {
    tx.blobs().show(tenant, &blob(n), user(by)).await?;
    Ok(())
}

fn hashes(blobs: &[RecordBlob]) -> Vec<(BlobHash, bool)> {
    blobs.iter().map(|blob| (blob.sha256, blob.held.is_some())).collect()
}

async fn a_reference_is_noted_once(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let later = BlobReference { clock_offset_ms: None, ..named(1, 1, 1) };
    tx.blob_refs().append(&tenant, &[named(1, 1, 1)]).await?;
    tx.blob_refs().append(&tenant, &[later]).await?;
    tx.blob_refs().append(&tenant, &[]).await?;
    let found = tx.blob_refs().of_record(&tenant, rec(1)).await?;
    let noted =
        RecordBlob { sha256: hash(1), author: user(1), clock_offset_ms: Some(-5), held: None };
    assert_eq!(found, [noted]);
    assert_eq!(tx.blob_refs().of_record(&tenant, rec(2)).await?, []);
    Ok(())
}

async fn what_leaves_the_quarantine_is_applied_for_good(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let waiting = BlobReference { applied: false, ..named(1, 1, 1) };
    let released = BlobReference { clock_offset_ms: None, ..named(1, 1, 1) };
    tx.blob_refs().append(&tenant, &[waiting]).await?;
    assert_eq!(tx.blob_refs().of_record(&tenant, rec(1)).await?, []);
    tx.blob_refs().append(&tenant, &[released]).await?;
    tx.blob_refs().append(&tenant, &[waiting]).await?;
    let found = tx.blob_refs().of_record(&tenant, rec(1)).await?;
    assert_eq!(hashes(&found), [(hash(1), false)]);
    assert_eq!(found[0].clock_offset_ms, Some(-5), "as it was when the change arrived");
    Ok(())
}

async fn an_author_is_told_what_is_needed_and_had(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let waiting = BlobReference { applied: false, ..named(2, 1, 1) };
    let twice = BlobReference { change: change(9), ..named(1, 2, 1) };
    tx.blob_refs().append(&tenant, &[named(1, 1, 1), twice, waiting, named(3, 1, 2)]).await?;
    for n in [1, 3, 4] {
        shown(&mut tx, &tenant, n, 1).await?;
    }
    shown(&mut tx, &tenant, 2, 2).await?;
    let asked = [hash(4), hash(3), hash(2), hash(1), hash(2)];
    let of = async |tx: &mut Tx, by: u128| tx.blob_refs().standing(&tenant, user(by), &asked).await;
    let first = Blobs { need: vec![hash(2)], have: vec![hash(1)] };
    assert_eq!(of(&mut tx, 1).await?, first, "what others have shown is still needed");
    let second = Blobs { need: vec![hash(3)], have: Vec::new() };
    assert_eq!(of(&mut tx, 2).await?, second, "and what no change of theirs names is in neither");
    assert_eq!(of(&mut tx, 3).await?, Blobs::default());
    assert_eq!(tx.blob_refs().standing(&tenant, user(1), &[]).await?, Blobs::default());
    shown(&mut tx, &tenant, 2, 1).await?;
    let both = Blobs { need: Vec::new(), have: vec![hash(1), hash(2)] };
    assert_eq!(of(&mut tx, 1).await?, both);
    Ok(())
}

async fn a_reference_holds_for_whoever_has_shown_the_bytes(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let other = BlobReference { change: change(0), clock_offset_ms: Some(7), ..named(1, 1, 2) };
    tx.blob_refs().append(&tenant, &[named(1, 1, 1), other, named(2, 1, 1)]).await?;
    let found = tx.blob_refs().of_record(&tenant, rec(1)).await?;
    assert_eq!(hashes(&found), [(hash(1), false), (hash(2), false)]);
    assert_eq!(found[0].author, user(2), "the oldest");
    shown(&mut tx, &tenant, 1, 3).await?;
    let found = tx.blob_refs().of_record(&tenant, rec(1)).await?;
    assert_eq!(hashes(&found), [(hash(1), false), (hash(2), false)], "not for who names none");
    shown(&mut tx, &tenant, 1, 1).await?;
    let found = tx.blob_refs().of_record(&tenant, rec(1)).await?;
    assert_eq!(hashes(&found), [(hash(1), true), (hash(2), false)]);
    assert_eq!((found[0].author, found[0].clock_offset_ms), (user(1), Some(-5)));
    let held = found[0].held.as_ref().ok_or("held")?;
    assert_eq!((held.bytes, held.mime.as_str()), (1_001, "image/jpeg"));
    assert_eq!((held.render, &held.facts), (Render::Pending, &None));
    Ok(())
}

async fn a_blob_is_read_through_an_applied_reference_that_holds(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let waiting = BlobReference { applied: false, ..named(2, 1, 1) };
    tx.blob_refs().append(&tenant, &[named(1, 1, 1), waiting, named(3, 1, 2)]).await?;
    for n in [1, 2, 3] {
        shown(&mut tx, &tenant, n, 1).await?;
    }
    let readable = async |tx: &mut Tx, of: u128, n: u8| {
        let found = tx.blobs().find_readable(&tenant, rec(of), &hash(n).0).await;
        found.map(|blob| blob.map(|blob| blob.bytes))
    };
    assert_eq!(readable(&mut tx, 1, 1).await?, Some(1_001));
    assert_eq!(readable(&mut tx, 2, 1).await?, None, "through another record");
    assert_eq!(readable(&mut tx, 1, 2).await?, None, "by a change in quarantine");
    assert_eq!(readable(&mut tx, 1, 3).await?, None, "by who has not shown it");
    assert_eq!(readable(&mut tx, 1, 4).await?, None, "unknown");
    Ok(())
}

async fn records_tell_which_blobs_hold(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let again = BlobReference { change: change(8), ..named(1, 1, 1) };
    let waiting = BlobReference { applied: false, ..named(3, 2, 1) };
    let foreign = named(4, 2, 2);
    let rows =
        [named(1, 1, 1), again, named(2, 1, 1), named(2, 2, 1), waiting, named(1, 3, 1), foreign];
    tx.blob_refs().append(&tenant, &rows).await?;
    for n in [1, 3, 4] {
        shown(&mut tx, &tenant, n, 1).await?;
    }
    let found = tx.blob_refs().holding(&tenant, &[rec(1), rec(2)]).await?;
    assert_eq!(found, BTreeSet::from([(rec(1), hash(1))]));
    assert_eq!(tx.blob_refs().holding(&tenant, &[]).await?, BTreeSet::new());
    Ok(())
}

async fn a_blob_that_is_being_deleted_holds_nothing(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    shown(&mut tx, &tenant, 1, 1).await?;
    assert!(collected(&mut tx, &tenant, 1).await?, "nothing names it");
    tx.blob_refs().append(&tenant, &[named(1, 1, 1)]).await?;
    let needed = Blobs { need: vec![hash(1)], have: Vec::new() };
    assert_eq!(tx.blob_refs().standing(&tenant, user(1), &[hash(1)]).await?, needed);
    assert_eq!(hashes(&tx.blob_refs().of_record(&tenant, rec(1)).await?), [(hash(1), false)]);
    assert_eq!(tx.blob_refs().holding(&tenant, &[rec(1)]).await?, BTreeSet::new());
    Ok(())
}

async fn tenants_share_nothing(store: Store) -> TestResult {
    let fire = tenant(&store).await?;
    let other = tenant_row("welfare")?;
    let mut tx = store.write().await?;
    tx.tenants().insert(&other, EpochId(id(2))).await?;
    shown(&mut tx, &fire, 1, 1).await?;
    tx.blob_refs().append(&fire, &[named(1, 1, 1)]).await?;
    tx.blob_refs().append(&other.id, &[named(1, 1, 1)]).await?;
    let needed = Blobs { need: vec![hash(1)], have: Vec::new() };
    assert_eq!(tx.blob_refs().standing(&other.id, user(1), &[hash(1)]).await?, needed);
    assert_eq!(hashes(&tx.blob_refs().of_record(&other.id, rec(1)).await?), [(hash(1), false)]);
    assert_eq!(tx.blob_refs().holding(&other.id, &[rec(1)]).await?, BTreeSet::new());
    assert_eq!(tx.blob_refs().holding(&fire, &[rec(1)]).await?.len(), 1);
    Ok(())
}

async fn many_references_go_at_once(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    let rows: Vec<BlobReference> = (0..=200).map(|n| named(n, 1, 1)).collect();
    tx.blob_refs().append(&tenant, &rows).await?;
    tx.blob_refs().append(&tenant, &rows).await?;
    let asked: Vec<BlobHash> = rows.iter().map(|row| row.sha256).collect();
    let standing = tx.blob_refs().standing(&tenant, user(1), &asked).await?;
    assert_eq!(standing, Blobs { need: asked, have: Vec::new() });
    Ok(())
}

async fn locked_blobs_need_not_exist(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    shown(&mut tx, &tenant, 1, 1).await?;
    tx.blob_refs().lock(&tenant, &BTreeSet::from([hash(1), hash(2)])).await?;
    tx.blob_refs().append(&tenant, &[named(1, 1, 1)]).await?;
    tx.commit().await?;
    assert_eq!(store.read().await?.blob_refs().holding(&tenant, &[rec(1)]).await?.len(), 1);
    Ok(())
}

async fn who_collects_waits_for_who_refers(store: Store) -> TestResult {
    let tenant = tenant(&store).await?;
    let mut tx = store.write().await?;
    shown(&mut tx, &tenant, 1, 1).await?;
    tx.commit().await?;
    let mut refers = store.write().await?;
    refers.blob_refs().lock(&tenant, &BTreeSet::from([hash(1)])).await?;
    refers.blob_refs().append(&tenant, &[named(1, 1, 1)]).await?;
    let collects = tokio::spawn({
        let (store, tenant) = (store.clone(), tenant.clone());
        async move {
            let mut tx = store.write().await?;
            let removes = collected(&mut tx, &tenant, 1).await?;
            tx.commit().await?;
            TestResult::Ok(removes)
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!collects.is_finished(), "it did not wait");
    refers.commit().await?;
    assert!(!collects.await??, "and then sees the reference");
    Ok(())
}
