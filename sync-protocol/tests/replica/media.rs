//! Photos: asked about until the server has them, kept until its backup has them too.

use crate::server::{FORBIDDEN, Server};
use crate::tablet::{Tablet, bucket, field, photo};
use serde_json::json;
use std::collections::BTreeSet;
use sync_protocol::blob::BlobHash;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::RecordId;
use sync_protocol::replica::{BlobState, Input, Notice};
use sync_protocol::wire::{BLOBS_MAX, SyncAnswer};

fn begun() -> (Server, Tablet, RecordId) {
    let mut server = Server::new(3);
    server.granted.insert(0, [bucket("s"), bucket("t")].into());
    let mut tablet = Tablet::new(0);
    tablet.sync(&mut server);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    tablet.sync(&mut server);
    (server, tablet, rec)
}

fn asked(tablet: &Tablet) -> Vec<String> {
    let (_, body) = tablet.sending.as_ref().expect("a request");
    let request: serde_json::Value = serde_json::from_str(body).expect("JSON");
    serde_json::from_value(request["blobs"].clone()).unwrap_or_default()
}

#[test]
fn a_photo_is_needed_uploaded_had_and_dropped_when_it_is_durable() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Waiting));
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Needed));
    assert!(tablet.notices.contains(&Notice::BlobNeeded(photo(1))));
    assert!(!tablet.replica.calls_for_sync(), "what is needed waits for its upload");
    tablet.upload(&mut server);
    assert!(tablet.replica.calls_for_sync(), "an upload calls for the answer that ends it");
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Had));
    assert!(tablet.notices.contains(&Notice::BlobHad(photo(1))));
    assert_eq!(tablet.replica.unsent_blobs(), 0);
    assert!(tablet.files.contains(&photo(1)), "had, and in no backup yet");
    server.backup_seq = Some(server.seq);
    tablet.sync(&mut server);
    assert!(!tablet.files.contains(&photo(1)));
    assert_eq!(tablet.replica.blobs().count(), 0, "the row goes with the bytes");
}

#[test]
fn a_backup_that_is_older_than_the_bytes_lets_nothing_go() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    tablet.sync(&mut server);
    server.backup_seq = Some(server.seq);
    tablet.sync(&mut server);
    tablet.upload(&mut server);
    tablet.sync(&mut server);
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Had));
    assert!(tablet.files.contains(&photo(1)), "the backup holds the change and not the bytes");
    tablet.author(rec, vec![field("title", "second")]).unwrap();
    tablet.sync(&mut server);
    server.backup_seq = Some(server.seq);
    tablet.sync(&mut server);
    assert!(!tablet.files.contains(&photo(1)), "a later backup holds both");
}

#[test]
fn without_any_backup_bytes_stay_for_thirty_days_after_they_were_had() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    tablet.sync(&mut server);
    tablet.pass(20 * 86_400_000);
    tablet.upload(&mut server);
    tablet.sync(&mut server);
    tablet.pass(29 * 86_400_000);
    tablet.sync(&mut server);
    assert!(tablet.files.contains(&photo(1)), "the change is old, the upload is not");
    tablet.pass(86_400_000);
    tablet.sync(&mut server);
    assert!(!tablet.files.contains(&photo(1)));
}

#[test]
fn bytes_that_two_changes_name_stay_until_both_are_durable() {
    let (mut server, mut tablet, rec) = begun();
    let (other, _) = tablet.begin_record(&bucket("s"), "other");
    tablet.photograph(rec, 1).unwrap();
    tablet.sync(&mut server);
    tablet.upload(&mut server);
    tablet.sync(&mut server);
    let backup = server.seq;
    tablet.photograph(other, 1).unwrap();
    tablet.sync(&mut server);
    server.backup_seq = Some(backup);
    tablet.sync(&mut server);
    assert!(tablet.files.contains(&photo(1)));
    server.backup_seq = Some(server.seq);
    tablet.sync(&mut server);
    assert!(!tablet.files.contains(&photo(1)));
}

#[test]
fn the_purge_waits_for_every_byte() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    tablet.sync(&mut server);
    server.granted.insert(0, [bucket("t")].into());
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.displayed(rec), None, "hidden at once");
    assert!(tablet.replica.received(rec).is_some(), "not erased: the server lacks a photo");
    assert!(tablet.replica.blobs().all(|own| own.sealed));
    assert!(server.purged.is_empty());
    tablet.crash();
    tablet.sync(&mut server);
    assert!(tablet.replica.received(rec).is_some());
    tablet.upload(&mut server);
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.received(rec), None);
    assert_eq!(server.purged, [bucket("s")]);
    assert!(tablet.files.contains(&photo(1)), "kept for the server's sake until it is durable");
    server.backup_seq = Some(server.seq);
    tablet.sync(&mut server);
    assert!(tablet.files.is_empty());
}

#[test]
fn a_record_that_moves_away_waits_for_its_bytes_too() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    tablet.sync(&mut server);
    server.granted.insert(0, [bucket("s")].into());
    server.move_record(rec, &bucket("t"));
    tablet.sync(&mut server);
    assert!(tablet.replica.displayed(rec).is_none() && tablet.replica.received(rec).is_some());
    tablet.upload(&mut server);
    tablet.sync(&mut server);
    assert!(tablet.replica.received(rec).is_none());
}

#[test]
fn bytes_that_are_lost_hold_nothing_up() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    tablet.sync(&mut server);
    tablet.files.clear();
    tablet.input(Input::BlobLost { sha256: photo(1) });
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Lost));
    server.granted.insert(0, [bucket("t")].into());
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.received(rec), None);
    assert_eq!(server.purged, [bucket("s")]);
}

#[test]
fn what_was_lost_is_there_again_when_it_is_photographed_again() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    tablet.sync(&mut server);
    tablet.input(Input::BlobLost { sha256: photo(1) });
    tablet.photograph(rec, 1).unwrap();
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Waiting));
    tablet.sync(&mut server);
    tablet.upload(&mut server);
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Had));
}

#[test]
fn the_photo_of_a_change_that_was_closed_binds_nothing() {
    let (mut server, mut tablet, _) = begun();
    let (foreign, _) = tablet.begin_record(&bucket("x"), FORBIDDEN);
    tablet.photograph(foreign, 1).unwrap();
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Needed), "in quarantine");
    assert_eq!(tablet.replica.unsent_blobs(), 1);
    // The record comes to be by another's hand, so a second beginning of it is closed; so is what was done to it.
    server.release_all(UnixMillis(1));
    for kept in server.kept.values_mut() {
        kept.result.st = sync_protocol::wire::Status::Closed;
    }
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.unsent_blobs(), 0);
    server.backup_seq = Some(server.seq);
    tablet.sync(&mut server);
    assert!(tablet.files.is_empty());
}

#[test]
fn an_answer_about_what_was_not_asked_is_ignored() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    tablet.connect();
    let (attempt, body) = tablet.sending.take().unwrap();
    let (_, answer) = server.sync(0, &body, tablet.clock.now.0);
    tablet.photograph(rec, 2).unwrap();
    let mut answer: SyncAnswer = serde_json::from_slice(&answer).unwrap();
    answer.blobs.have = vec![photo(2), photo(3)];
    let body = serde_json::to_vec(&answer).unwrap();
    tablet.input(Input::Answer { attempt, status: 200, retry_after_ms: None, body: &body });
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Needed));
    assert_eq!(tablet.replica.blob_state(photo(2)), Some(BlobState::Waiting));
    assert_eq!(tablet.replica.blob_state(photo(3)), None);
    for input in [
        Input::BlobUploaded { sha256: photo(3) },
        Input::BlobLost { sha256: photo(3) },
        Input::BlobDropped { sha256: photo(1) },
        Input::BlobUploaded { sha256: photo(2) },
    ] {
        tablet.input(input);
    }
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Needed));
    assert_eq!(tablet.replica.blob_state(photo(2)), Some(BlobState::Waiting), "not needed yet");
}

#[test]
fn what_is_needed_after_its_upload_is_uploaded_again() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    tablet.sync(&mut server);
    tablet.input(Input::BlobUploaded { sha256: photo(1) });
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Needed));
    tablet.upload(&mut server);
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Had));
}

#[test]
fn a_retry_asks_about_the_same_blobs() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    tablet.connect();
    let first = tablet.sending.clone().unwrap();
    assert_eq!(asked(&tablet), [photo(1).to_string()]);
    assert!(tablet.round(&mut server, false), "the answer is lost");
    tablet.crash();
    tablet.photograph(rec, 2).unwrap();
    tablet.connect();
    assert_eq!(tablet.sending.clone().unwrap(), first);
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.blob_state(photo(2)), Some(BlobState::Needed));
}

#[test]
fn more_photos_than_a_request_may_name_are_all_asked_about() {
    let (mut server, mut tablet, rec) = begun();
    server.limits.max_body = 256 * 1024;
    server.limits.max_push = 200;
    let count = BLOBS_MAX + 2;
    let mut all = BTreeSet::new();
    for number in 0..count {
        let mut hash = [7; 32];
        hash[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
        let sha256 = BlobHash(hash);
        all.insert(sha256);
        let payload = json!({ "sha256": sha256, "bytes": 9, "mime": "video/mp4" });
        let at = sync_protocol::change::RowPath {
            field: "photos".to_owned(),
            row: format!("p{number}"),
        };
        let add = sync_protocol::replica::Edit::Add { at, pos: None, value: Some(payload) };
        tablet.author(rec, vec![add]).unwrap();
    }
    tablet.connect();
    assert_eq!(asked(&tablet).len(), BLOBS_MAX);
    tablet.sync(&mut server);
    assert!(tablet.replica.blobs().all(|own| own.state == BlobState::Needed));
    tablet.files = all;
    tablet.upload(&mut server);
    tablet.sync(&mut server);
    assert!(tablet.replica.blobs().all(|own| own.state == BlobState::Had));
}

#[test]
fn a_server_that_knows_nothing_of_blobs_is_not_asked_without_end() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    server.knows_blobs = false;
    tablet.sync(&mut server);
    assert!(!tablet.replica.calls_for_sync());
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Waiting));
    server.knows_blobs = true;
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Needed));
}

#[test]
fn a_restored_copy_learns_anew_what_the_server_has() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    tablet.photograph(rec, 2).unwrap();
    tablet.sync(&mut server);
    let mut older = tablet.copy(77);
    tablet.upload(&mut server);
    tablet.sync(&mut server);
    older.sync(&mut server);
    assert!(older.notices.contains(&Notice::Forked));
    assert!(older.replica.blobs().all(|own| own.state == BlobState::Had));
}

#[test]
fn a_restored_server_is_given_again_what_its_backup_lacks() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    tablet.sync(&mut server);
    let backup = server.clone();
    tablet.upload(&mut server);
    tablet.sync(&mut server);
    let mut server = backup.restored(&server);
    tablet.sync(&mut server);
    assert!(tablet.notices.contains(&Notice::EpochChanged));
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Needed));
    tablet.upload(&mut server);
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.blob_state(photo(1)), Some(BlobState::Had));
}

#[test]
fn a_crash_before_the_bytes_were_dropped_drops_them_later() {
    let (mut server, mut tablet, rec) = begun();
    tablet.photograph(rec, 1).unwrap();
    tablet.sync(&mut server);
    tablet.upload(&mut server);
    tablet.sync(&mut server);
    server.backup_seq = Some(server.seq);
    tablet.drops_fail = true;
    tablet.sync(&mut server);
    assert!(tablet.files.contains(&photo(1)));
    assert_eq!(tablet.replica.blob_state(photo(1)), None, "no change names it any more");
    tablet.drops_fail = false;
    tablet.crash();
    assert!(tablet.files.is_empty());
    assert_eq!(tablet.replica.blobs().count(), 0);
}
