//! One promise a test.

use crate::server::{FORBIDDEN, POISON, Server};
use crate::tablet::{SECRET, Tablet, bucket, field, row};
use serde_json::json;
use std::collections::BTreeSet;
use sync_protocol::change::{Change, Op, Path};
use sync_protocol::clock::UnixMillis;
use sync_protocol::replica::{Edit, Input, Notice, Phase, Refused, Replica};
use sync_protocol::wire::Status;

fn server_with(devices: usize, buckets: &[&str]) -> Server {
    let mut server = Server::new(3);
    for device in 0..devices {
        server.granted.insert(device, buckets.iter().map(|name| bucket(name)).collect());
    }
    server
}

fn synced(server: &mut Server, device: usize) -> Tablet {
    let mut tablet = Tablet::new(device);
    tablet.sync(server);
    tablet
}

#[test]
fn what_was_written_is_shown_at_once_and_after_every_step() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    assert_eq!(tablet.title(rec), ["first"]);
    tablet.author(rec, vec![field("title", "second")]).unwrap();
    assert_eq!(tablet.title(rec), ["second"]);
    tablet.connect();
    while tablet.round(&mut server, true) {
        assert_eq!(tablet.title(rec), ["second"]);
    }
    tablet.sync(&mut server);
    assert_eq!(tablet.title(rec), ["second"]);
    assert_eq!(tablet.replica.outbox_len(), 0);
}

#[test]
fn a_write_stays_shown_until_its_record_arrives() {
    let mut server = server_with(2, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    tablet.sync(&mut server);
    let mut other = synced(&mut server, 1);
    for number in 0..10 {
        other.begin_record(&bucket("s"), &format!("record {number}"));
    }
    other.sync(&mut server);
    tablet.author(rec, vec![field("title", "second")]).unwrap();
    tablet.connect();
    let mut rounds = 0;
    while tablet.round(&mut server, true) {
        rounds += 1;
        assert_eq!(tablet.title(rec), ["second"], "after round {rounds}");
    }
    assert!(rounds > 3, "the answer with the result did not bring the record");
}

#[test]
fn a_quarantined_middle_edit_leaves_no_false_sibling() {
    let mut server = server_with(2, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    tablet.sync(&mut server);
    tablet.author(rec, vec![field("title", FORBIDDEN)]).unwrap();
    tablet.author(rec, vec![field("title", "last")]).unwrap();
    tablet.sync(&mut server);
    assert_eq!(tablet.title(rec), ["last"]);
    let other = synced(&mut server, 1);
    assert_eq!(other.title(rec), ["last"]);
}

#[test]
fn a_row_carries_its_unanswered_presence_forward() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    let add = Edit::Add { at: row("r1"), pos: Some("a0".to_owned()), value: None };
    let cell = Path::Cell(row("r1"), "severity".to_owned());
    let first = tablet.author(rec, vec![add, Edit::Set(cell.clone(), json!("minor"))]).unwrap();
    let second = tablet.author(rec, vec![Edit::Set(cell, json!("serious"))]).unwrap();
    let third = tablet.author(rec, vec![Edit::Rem { at: row("r1"), why: None }]).unwrap();
    let ops = |id| {
        tablet.replica.own_changes().find(|own| own.id == id).unwrap().change.unwrap().ops.clone()
    };
    let [Op::Add { .. }, Op::Set { px: within, .. }] = &ops(first)[..] else { panic!() };
    assert_eq!(within.len(), 1, "the cell renews the presence that the same change gave");
    let [Op::Set { x, px, .. }] = &ops(second)[..] else { panic!() };
    assert_eq!((x.len(), px.len()), (1, 2));
    let [Op::Rem { x, .. }] = &ops(third)[..] else { panic!() };
    assert_eq!(x.len(), 3, "both changes are unanswered: their presences and what those replaced");
    tablet.sync(&mut server);
    assert!(server.records[&rec].record.lists["findings"]["r1"].presences.is_empty());
    assert_eq!(
        tablet.author(rec, vec![Edit::Pos { at: row("r1"), pos: "b".to_owned() }]),
        Err(Refused::NoRow("findings/r1".to_owned()))
    );
}

#[test]
fn an_answered_edit_carries_nothing_forward() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    tablet.author(rec, vec![field("title", "second")]).unwrap();
    tablet.sync(&mut server);
    let id = tablet.author(rec, vec![field("title", "third")]).unwrap();
    let text = tablet.replica.own_changes().find(|own| own.id == id).unwrap().text.unwrap();
    let change = Change::parse(text).unwrap();
    let [Op::Set { x, .. }] = &change.ops[..] else { panic!() };
    assert_eq!(x.len(), 1);
}

#[test]
fn a_lost_answer_hides_no_quarantine() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    let bad = tablet.author(rec, vec![field("title", FORBIDDEN)]).unwrap();
    tablet.connect();
    assert!(tablet.round(&mut server, false), "the answer is lost");
    tablet.crash();
    tablet.sync(&mut server);
    let own = tablet.replica.own_changes().find(|own| own.id == bad).unwrap();
    assert_eq!(own.outcome.unwrap().status, Status::Quarantined);
    assert!(tablet.notices.contains(&Notice::Quarantined(bad)));
    assert_eq!(
        tablet.title(rec),
        ["first"],
        "what is in quarantine is not displayed as if it stood"
    );
}

#[test]
fn a_released_change_is_told_by_open() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    let bad = tablet.author(rec, vec![field("title", FORBIDDEN)]).unwrap();
    tablet.sync(&mut server);
    server.release_all(UnixMillis(1));
    tablet.sync(&mut server);
    assert!(tablet.notices.contains(&Notice::Settled(bad)));
    assert_eq!(tablet.title(rec), [FORBIDDEN]);
}

#[test]
fn a_retry_shows_the_same_attempt_and_the_same_changes() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    tablet.begin_record(&bucket("s"), "first");
    tablet.connect();
    let (attempt, body) = tablet.sending.clone().unwrap();
    tablet.crash();
    tablet.begin_record(&bucket("s"), "second");
    tablet.connect();
    assert_eq!(tablet.sending.clone().unwrap(), (attempt, body));
}

#[test]
fn one_change_that_breaks_the_server_does_not_stop_the_others() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    for title in ["a", "b", POISON, "c", "d"] {
        tablet.author(rec, vec![field("title", title)]).unwrap();
    }
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.outbox_len(), 0);
    assert_eq!(tablet.title(rec), ["d"]);
}

#[test]
fn a_push_is_never_larger_than_the_limits() {
    let mut server = server_with(1, &["s"]);
    server.limits.max_body = 9_000;
    server.limits.max_change = 6_000;
    server.limits.max_push = 100;
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    for number in 0..20 {
        tablet.author(rec, vec![field(&format!("note{number}"), &"x".repeat(5_000))]).unwrap();
    }
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.outbox_len(), 0);
    assert!(
        !tablet.notices.iter().any(|notice| matches!(notice, Notice::Failed { status: 413, .. }))
    );
    server.limits.max_body = 6_500;
    tablet.author(rec, vec![field("note", &"x".repeat(2_500))]).unwrap();
    tablet.author(rec, vec![field("note", &"x".repeat(3_500))]).unwrap();
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.outbox_len(), 0, "a smaller limit is learned from the 413");
    let refused = tablet.author(rec, vec![field("note", &"x".repeat(6_001))]).unwrap_err();
    assert!(refused.to_string().contains("over 6000"), "{refused}");
}

#[test]
fn what_the_server_could_not_read_is_refused_when_it_is_written() {
    let mut tablet = Tablet::new(0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    let unfit =
        |tablet: &mut Tablet, edit: Edit| tablet.author(rec, vec![edit]).unwrap_err().to_string();
    assert!(
        unfit(&mut tablet, Edit::Set(Path::Field("n".to_owned()), json!(1.5))).contains("integer")
    );
    assert!(unfit(&mut tablet, field("n", "\0")).contains("U+0000"));
    assert!(unfit(&mut tablet, Edit::Undel).contains("not deleted"));
    assert!(
        unfit(&mut tablet, Edit::New(sync_protocol::change::Home::In(bucket("s"))))
            .contains("exists")
    );
    let many = vec![field("n", "v"); 501];
    assert!(tablet.author(rec, many).unwrap_err().to_string().contains("500"));
    assert_eq!(tablet.author(rec, Vec::new()), Err(Refused::Empty));
    assert_eq!(tablet.replica.outbox_len(), 1, "nothing of it was kept");
}

#[test]
fn a_clone_is_found_and_both_offer_their_changes() {
    let mut server = server_with(1, &["s"]);
    let mut first = synced(&mut server, 0);
    let mut second = first.copy(99);
    let mut authored = BTreeSet::new();
    for turn in 0..3 {
        authored.insert(first.begin_record(&bucket("s"), &format!("first {turn}")).1);
        authored.insert(second.begin_record(&bucket("s"), &format!("second {turn}")).1);
        first.sync(&mut server);
        second.sync(&mut server);
    }
    assert!(second.notices.contains(&Notice::Forked));
    assert_ne!(first.replica.replica_id(), second.replica.replica_id());
    first.sync(&mut server);
    assert_eq!(authored, server.kept.keys().copied().collect());
    assert_eq!(first.replica.records().count(), 6);
    assert_eq!(second.replica.records().count(), 6);
}

#[test]
fn a_restored_tablet_offers_again_and_is_answered_dup() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    let mut older = tablet.copy(7);
    tablet.sync(&mut server);
    tablet.author(rec, vec![field("title", "second")]).unwrap();
    tablet.sync(&mut server);
    older.sync(&mut server);
    assert!(older.notices.contains(&Notice::Forked));
    assert_eq!(older.replica.outbox_len(), 0);
    assert_eq!(older.title(rec), ["second"]);
}

#[test]
fn another_secret_beside_the_database_begins_a_new_replica() {
    let mut tablet = Tablet::new(0);
    tablet.begin_record(&bucket("s"), "first");
    let before = tablet.replica.replica_id();
    tablet.reopen(SECRET);
    assert_eq!(tablet.replica.replica_id(), before);
    tablet.reopen(b"another");
    assert_ne!(tablet.replica.replica_id(), before);
    assert_eq!(tablet.replica.outbox_len(), 1);
    let after = tablet.replica.replica_id();
    tablet.reopen(b"another");
    assert_eq!(tablet.replica.replica_id(), after);
}

#[test]
fn after_a_restored_server_everything_kept_is_offered_with_its_stamps() {
    let mut server = server_with(2, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    tablet.sync(&mut server);
    let backup = server.clone();
    let late = tablet.author(rec, vec![field("title", "second")]).unwrap();
    tablet.sync(&mut server);
    let mut server = backup.restored(&server);
    assert!(!server.kept.contains_key(&late));
    tablet.connect();
    tablet.round(&mut server, true);
    assert!(tablet.notices.contains(&Notice::EpochChanged));
    assert_eq!(tablet.title(rec), ["second"], "shown although the server has lost it");
    tablet.sync(&mut server);
    assert!(server.kept.contains_key(&late));
    assert_eq!(tablet.title(rec), ["second"]);
    assert_eq!(synced(&mut server, 1).title(rec), ["second"]);
}

#[test]
fn received_texts_stay_until_a_backup_holds_them() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    tablet.begin_record(&bucket("s"), "first");
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.own_changes().count(), 1);
    server.backup_seq = Some(server.seq);
    tablet.begin_record(&bucket("s"), "second");
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.own_changes().count(), 1, "the second is newer than the backup");
    server.backup_seq = None;
    tablet.pass(29 * 86_400_000);
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.own_changes().count(), 1);
    tablet.pass(2 * 86_400_000);
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.own_changes().count(), 0, "30 days without any backup");
}

#[test]
fn leaving_hides_at_once_and_erases_when_everything_is_received() {
    let mut server = server_with(1, &["s", "t"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "taint-7f3a");
    tablet.sync(&mut server);
    let pending = tablet.author(rec, vec![field("title", "taint-late")]).unwrap();
    tablet.connect();
    let (attempt, body) = tablet.sending.take().unwrap();
    tablet.input(Input::Failed { attempt });
    drop(body);
    server.granted.insert(0, [bucket("t")].into());
    // The pending attempt was lost; the next one carries the change and brings the leave.
    tablet.author(rec, vec![field("title", "taint-later")]).unwrap();
    tablet.pass(2_000);
    tablet.input(Input::Tick);
    tablet.round(&mut server, true);
    assert_eq!(tablet.replica.displayed(rec), None);
    assert_eq!(tablet.replica.records().count(), 0);
    assert!(
        tablet.replica.received(rec).is_some(),
        "hidden, not erased: a change waits for its result"
    );
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.received(rec), None);
    assert_eq!(server.purged, [bucket("s")]);
    assert!(server.kept.contains_key(&pending));
    let texts = |tablet: &Tablet| {
        tablet.rows.values().filter(|v| String::from_utf8_lossy(v).contains("taint")).count()
    };
    assert_eq!(texts(&tablet), 3, "the user's own frozen texts");
    server.backup_seq = Some(server.seq);
    tablet.sync(&mut server);
    assert_eq!(texts(&tablet), 0, "durable: nothing is left");
    assert_eq!(tablet.replica.own_changes().filter(|own| own.text.is_some()).count(), 0);
}

#[test]
fn a_new_grant_before_the_erasure_cancels_it() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    tablet.sync(&mut server);
    for title in ["a", "b", "c", "d", "e", "f"] {
        tablet.author(rec, vec![field("title", title)]).unwrap();
    }
    server.granted.insert(0, BTreeSet::new());
    tablet.connect();
    tablet.round(&mut server, true);
    assert_eq!(tablet.replica.displayed(rec), None);
    server.granted.insert(0, [bucket("s")].into());
    tablet.sync(&mut server);
    assert!(tablet.replica.displayed(rec).is_some());
    assert!(server.purged.is_empty());
    assert!(tablet.holds_completely());
}

#[test]
fn a_record_in_two_buckets_survives_losing_one() {
    let mut server = server_with(1, &["s", "t"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    tablet.sync(&mut server);
    server.move_record(rec, &bucket("t"));
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.buckets_of(rec).collect::<Vec<_>>(), [&bucket("t")]);
    assert_eq!(tablet.title(rec), ["first"]);
    server.granted.insert(0, [bucket("s")].into());
    tablet.sync(&mut server);
    assert_eq!(tablet.title(rec), Vec::<String>::new());
}

#[test]
fn a_snapshot_is_resumed_after_every_interruption() {
    let mut server = server_with(2, &["s"]);
    let mut writer = synced(&mut server, 1);
    for number in 0..20 {
        writer.begin_record(&bucket("s"), &format!("record {number}"));
    }
    writer.sync(&mut server);
    for cut in 0..9 {
        let mut tablet = Tablet::new(0);
        tablet.connect();
        for _ in 0..cut {
            tablet.round(&mut server, true);
        }
        tablet.round(&mut server, false);
        tablet.crash();
        tablet.sync(&mut server);
        assert_eq!(tablet.replica.records().count(), 20, "cut after {cut}");
        assert!(tablet.holds_completely());
    }
}

#[test]
fn a_bad_cursor_keeps_everything_and_enters_again() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    tablet.sync(&mut server);
    for value in tablet.rows.values_mut() {
        let text =
            String::from_utf8_lossy(value).replace(r#""cursor":"1:1""#, r#""cursor":"nonsense""#);
        *value = text.into_bytes();
    }
    tablet.crash();
    tablet.connect();
    tablet.round(&mut server, true);
    assert!(
        tablet
            .notices
            .iter()
            .any(|n| matches!(n, Notice::Failed { why, .. } if why == "bad-cursor"))
    );
    assert_eq!(tablet.title(rec), ["first"]);
    tablet.sync(&mut server);
    assert_eq!(tablet.title(rec), ["first"]);
    assert!(tablet.holds_completely());
}

#[test]
fn a_difference_of_the_sums_fetches_the_bucket_anew() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    tablet.sync(&mut server);
    let key = (sync_protocol::replica::Table::Record, rec.to_string());
    tablet.rows.remove(&key).expect("the row of the record");
    tablet.crash();
    assert_eq!(tablet.replica.records().count(), 0);
    tablet.pass(25 * 3_600_000);
    tablet.sync(&mut server);
    tablet.pass(25 * 3_600_000);
    tablet.sync(&mut server);
    assert!(tablet.notices.contains(&Notice::Differs(bucket("s"))));
    assert_eq!(tablet.title(rec), ["first"]);
}

#[test]
fn a_delta_of_a_record_not_held_fetches_its_bucket_anew() {
    let mut server = server_with(2, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    tablet.sync(&mut server);
    tablet.rows.remove(&(sync_protocol::replica::Table::Record, rec.to_string())).expect("the row");
    tablet.crash();
    let mut other = synced(&mut server, 1);
    other.author(rec, vec![field("title", "second")]).unwrap();
    other.sync(&mut server);
    tablet.sync(&mut server);
    assert_eq!(tablet.title(rec), ["second"]);
    assert!(tablet.holds_completely());
}

#[test]
fn results_are_taken_where_the_pull_cannot_be_read() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    tablet.begin_record(&bucket("s"), "first");
    server.pull_fails = true;
    tablet.connect();
    tablet.round(&mut server, true);
    assert_eq!(tablet.replica.outbox_len(), 0);
    assert_eq!(tablet.replica.records().count(), 1, "still shown over the server's state");
}

#[test]
fn nonsense_for_an_answer_is_a_failed_attempt() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    tablet.begin_record(&bucket("s"), "first");
    tablet.connect();
    for body in [&b""[..], b"null", b"[]", b"{}", b"{\"v\":1}", b"\xff\xfe", b"<html>"] {
        for status in [200, 204, 302, 400, 401, 403, 404, 409, 413, 429, 500, 502, 503] {
            tablet.pass(400_000);
            tablet.input(Input::Tick);
            let (attempt, _) =
                tablet.sending.take().expect("the outbox is not empty and the network is up");
            tablet.input(Input::Answer { attempt, status, retry_after_ms: None, body });
        }
    }
    tablet.sync(&mut server);
    assert_eq!(tablet.replica.outbox_len(), 0);
}

#[test]
fn the_wait_that_the_server_asks_for_is_kept() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    tablet.begin_record(&bucket("s"), "first");
    tablet.connect();
    let (attempt, _) = tablet.sending.take().unwrap();
    tablet.input(Input::Answer { attempt, status: 503, retry_after_ms: Some(60_000), body: b"" });
    tablet.pass(59_999);
    tablet.input(Input::SyncWanted);
    assert_eq!(tablet.sending, None);
    tablet.pass(1);
    tablet.input(Input::Tick);
    assert!(tablet.sending.is_some());
}

#[test]
fn failures_back_off_and_stay_bounded() {
    let mut tablet = Tablet::new(0);
    tablet.connect();
    let mut longest = 0;
    for _ in 0..60 {
        let (attempt, _) = tablet.sending.take().expect("an attempt");
        tablet.input(Input::Failed { attempt });
        let wait = tablet.wake.map_or(0, |at| at - tablet.clock.mono).max(0);
        assert!(wait <= 300_000, "{wait}");
        longest = longest.max(wait);
        tablet.pass(wait);
        tablet.input(Input::Tick);
    }
    assert!(longest > 60_000, "{longest}");
}

#[test]
fn the_rows_rebuild_the_replica_exactly() {
    let mut server = server_with(1, &["s"]);
    let mut tablet = synced(&mut server, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    tablet.author(rec, vec![field("title", FORBIDDEN)]).unwrap();
    tablet.sync(&mut server);
    tablet.author(rec, vec![field("title", "pending")]).unwrap();
    let mut committed = tablet.stored();
    let mut whole = tablet.replica.rows();
    committed.sort();
    whole.sort();
    assert_eq!(committed, whole);
    let (again, step) = Replica::open(committed, SECRET, &mut tablet.dice).unwrap();
    assert!(step.writes.is_empty());
    let mut rows = again.rows();
    rows.sort();
    assert_eq!(rows, whole);
    assert_eq!(tablet.replica.buckets().next(), Some((&bucket("s"), &Phase::Held)));
}

#[test]
fn a_damaged_row_is_named() {
    let tablet = Tablet::new(0);
    let mut rows = tablet.stored();
    rows[0].value = b"{".to_vec();
    let damaged = Replica::open(rows, SECRET, &mut tablet.dice.clone()).unwrap_err();
    assert!(damaged.to_string().starts_with("the row replica of State is damaged"), "{damaged}");
    let missing = Replica::open(Vec::new(), SECRET, &mut tablet.dice.clone()).unwrap_err();
    assert!(missing.to_string().contains("missing"), "{missing}");
}
