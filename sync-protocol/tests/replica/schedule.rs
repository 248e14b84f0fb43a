//! Tablets that nothing calls for come one by one, and an outage does not bring them together.

use crate::server::Server;
use crate::tablet::{Tablet, bucket, field};
use proptest::prelude::*;
use sync_protocol::clock::Instant;
use sync_protocol::replica::{BACKOFF_BASE_MS, IDLE_SYNC_MS, Input};

/// Rounds with a server whose clock is behind the tablet's by so much, until nothing calls for another.
fn settle(tablet: &mut Tablet, server: &mut Server, off_ms: i64) {
    for _ in 0..20 {
        while let Some((attempt, body)) = tablet.sending.take() {
            let now = tablet.clock.now.0.plus(-off_ms);
            let (status, answer) = server.sync(tablet.device, &body, now);
            tablet.input(Input::Answer { attempt, status, retry_after_ms: None, body: &answer });
        }
        if !tablet.replica.calls_for_sync() {
            return;
        }
        wake(tablet);
    }
    panic!("something calls for a sync for ever");
}

/// A tablet that has synced everything, with a wall clock that is off by so much.
fn at_rest(server: &mut Server, device: usize, off_ms: i64) -> Tablet {
    server.granted.insert(device, [bucket("s")].into());
    let mut tablet = Tablet::new(device);
    tablet.clock.now = Instant(tablet.clock.now.0.plus(off_ms));
    tablet.connect();
    settle(&mut tablet, server, off_ms);
    tablet
}

fn wait(tablet: &Tablet) -> i64 {
    tablet.wake.unwrap() - tablet.clock.mono
}

/// Lets the time of the next wake come.
fn wake(tablet: &mut Tablet) {
    tablet.pass(wait(tablet));
    tablet.input(Input::Tick);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_device_keeps_its_slot_whenever_it_synced_last(
        device in 0_usize..10_000,
        passes in prop::collection::vec(1_i64..3 * IDLE_SYNC_MS, 1..6),
    ) {
        let mut server = Server::new(3);
        let mut tablet = at_rest(&mut server, device, 0);
        let slot_of = |tablet: &Tablet| {
            (tablet.clock.now.0.0 + wait(tablet)).rem_euclid(IDLE_SYNC_MS)
        };
        let slot = slot_of(&tablet);
        for pass in passes {
            tablet.pass(pass);
            tablet.input(Input::SyncWanted);
            settle(&mut tablet, &mut server, 0);
            prop_assert!((1..=IDLE_SYNC_MS).contains(&wait(&tablet)), "{}", wait(&tablet));
            prop_assert_eq!(slot_of(&tablet), slot);
            wake(&mut tablet);
            prop_assert!(tablet.sending.is_some(), "the slot has come");
            prop_assert!(tablet.round(&mut server, true));
            prop_assert_eq!(wait(&tablet), IDLE_SYNC_MS, "and comes again a quarter of an hour later");
        }
    }

    #[test]
    fn an_outage_is_left_to_the_next_slot_by_who_waits_for_nothing(
        device in 0_usize..10_000,
        failures in 1_usize..8,
    ) {
        let mut server = Server::new(3);
        let mut tablet = at_rest(&mut server, device, 0);
        wake(&mut tablet);
        for _ in 0..failures {
            let (attempt, _) = tablet.sending.take().unwrap();
            tablet.input(Input::Failed { attempt });
            prop_assert_eq!(wait(&tablet), IDLE_SYNC_MS);
            wake(&mut tablet);
        }
        prop_assert!(tablet.round(&mut server, true));
        prop_assert_eq!(wait(&tablet), IDLE_SYNC_MS);
    }
}

#[test]
fn the_tablets_of_a_city_come_evenly() {
    const TABLETS: usize = 600;
    let mut server = Server::new(3);
    let mut in_minute = [0_usize; 15];
    for device in 0..TABLETS {
        let tablet = at_rest(&mut server, device, 0);
        in_minute[usize::try_from((wait(&tablet) - 1) / 60_000).unwrap()] += 1;
    }
    let even = TABLETS / in_minute.len();
    assert!(in_minute.iter().all(|n| (even / 2..=2 * even).contains(n)), "{in_minute:?}");
}

#[test]
fn what_was_recorded_meanwhile_does_not_wait_for_the_slot() {
    let mut server = Server::new(3);
    let mut tablet = at_rest(&mut server, 0, 0);
    let (rec, _) = tablet.begin_record(&bucket("s"), "first");
    settle(&mut tablet, &mut server, 0);
    wake(&mut tablet);
    let (attempt, _) = tablet.sending.take().unwrap();
    tablet.input(Input::Failed { attempt });
    assert_eq!(wait(&tablet), IDLE_SYNC_MS);
    tablet.author(rec, vec![field("title", "second")]).unwrap();
    let began = tablet.clock.mono;
    tablet.input(Input::Tick);
    settle(&mut tablet, &mut server, 0);
    assert_eq!(tablet.replica.outbox_len(), 0);
    let took = tablet.clock.mono - began;
    assert!(took <= 4 * BACKOFF_BASE_MS, "two short backoffs at most, {took}");
}

#[test]
fn the_wait_that_the_server_asks_for_goes_before_the_slot() {
    let mut server = Server::new(3);
    let mut tablet = at_rest(&mut server, 0, 0);
    wake(&mut tablet);
    let (attempt, _) = tablet.sending.take().unwrap();
    tablet.input(Input::Answer { attempt, status: 503, retry_after_ms: Some(60_000), body: b"" });
    assert_eq!(wait(&tablet), 60_000);
    wake(&mut tablet);
    assert!(tablet.round(&mut server, true));
}

/// The server's clock counts, as far as a tablet knows it.
#[test]
fn a_wrong_clock_does_not_move_the_slot() {
    let slots: Vec<i64> = [0, 86_400_000, -100_000_001]
        .into_iter()
        .map(|off_ms| {
            let tablet = at_rest(&mut Server::new(3), 7, off_ms);
            let server_now = tablet.clock.now.0.plus(-off_ms);
            (server_now.0 + wait(&tablet)).rem_euclid(IDLE_SYNC_MS)
        })
        .collect();
    assert!(slots.iter().all(|slot| *slot == slots[0]), "{slots:?}");
}
