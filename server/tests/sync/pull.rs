//! Pages, deltas and answers of a pull: sync.md 2.6 to 2.8.

use crate::scenes::{Held, second, sync_with, with_visits};
use crate::support::{Draft, SOUTH, TestResult, World, items, records, set, tenant};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use storage::Store;
use sync_protocol::wire::SyncAnswer;

storage::on_both!(
    a_first_sync_enters_and_then_pages,
    every_page_size_brings_every_record_once,
    changes_during_paging_arrive_whole,
    a_snapshot_goes_on_where_it_was_interrupted,
    a_change_travels_as_the_fields_that_changed,
    deltas_stand_against_the_last_complete_round,
    an_emptied_field_is_told_to_be_empty,
    a_page_of_pointers_ends_between_seqs,
    a_token_of_another_device_or_bucket_begins_anew,
    a_null_cursor_enters_everything_again,
    an_answer_holds_its_own_push,
    a_pull_goes_on_while_pushes_are_refused,
    an_answer_is_what_the_protocol_says,
);

async fn a_first_sync_enters_and_then_pages(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, visits) = with_visits(&world, 3).await?;
    let mut tablet = second(&world, &mori).await?;
    let first = tablet.sync(&world, &[]).await;
    let entered: Vec<(Value, Value)> = items(&first["enter"])
        .iter()
        .map(|enter| (enter["bucket"].clone(), enter["records"].clone()))
        .collect();
    assert_eq!(entered, [(json!("everyone"), json!(0)), (json!(SOUTH), json!(3))]);
    assert_eq!((&first["records"], &first["more"]), (&json!([]), &json!(true)));
    let second = tablet.sync(&world, &[]).await;
    assert_eq!(records(&second).len(), 3);
    assert!(records(&second).iter().all(|(_, record)| record["full"] == true));
    assert_eq!(
        second["snap"],
        json!([
            { "bucket": "everyone", "token": null }, { "bucket": SOUTH, "token": null },
        ])
    );
    assert_eq!((&second["more"], &second["enter"]), (&json!(false), &json!([])));
    let third = tablet.sync(&world, &[]).await;
    assert_eq!((&third["records"], &third["more"]), (&json!([]), &json!(false)));
    let (rec, record) = &records(&second)[0];
    let visit = visits.iter().find(|visit| visit.rec() == *rec).ok_or("a visit")?;
    assert_eq!(record["fields"], json!({ "title": [[0, 1, "first"]] }));
    assert_eq!(record["changes"][0], json!([visit.id(), crate::support::NOW.0, mori.user]));
    Ok(())
}

async fn every_page_size_brings_every_record_once(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, visits) = with_visits(&world, 150).await?;
    for bytes in [0, 1, 400, 1_000, 20_000, 10_000_000] {
        let mut tablet = second(&world, &mori).await?;
        let (mut seen, mut pages) = (Vec::new(), 0);
        loop {
            let answer = sync_with(&world, &mut tablet, json!({ "max_bytes": bytes })).await;
            seen.extend(records(&answer).into_iter().map(|(rec, _)| rec));
            pages += 1;
            assert!(
                records(&answer).len() <= 1 || answer["records"].to_string().len() < bytes + 1_000
            );
            if answer["more"] == false {
                break;
            }
            assert!(pages < 200, "{bytes} bytes a page never end");
        }
        let all: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(all, visits.iter().map(Draft::rec).collect(), "{bytes}");
        assert_eq!(seen.len(), visits.len(), "{bytes}: none twice");
    }
    Ok(())
}

async fn changes_during_paging_arrive_whole(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visits) = with_visits(&world, 12).await?;
    let mut tablet = second(&world, &mori).await?;
    let mut held = Held::default();
    held.take(&tablet.sync(&world, &[]).await);
    for round in 0..40 {
        if round < 6 {
            let visit = &visits[(round * 5) % visits.len()];
            let edit = world.draft(&mori, &visit.rec(), json!([set("opinion", round, &[])]));
            let new = world.new_visit(&mori, SOUTH);
            mori.sync(&world, &[&edit, &new]).await;
        }
        let answer = sync_with(&world, &mut tablet, json!({ "max_bytes": 1 })).await;
        for (rec, record) in records(&answer) {
            assert!(
                record["full"] == true || held.0.contains_key(&rec),
                "a delta of what it lacks"
            );
        }
        held.take(&answer);
        if answer["more"] == false && round > 6 {
            break;
        }
    }
    let answer = sync_with(&world, &mut tablet, json!({ "sums": true })).await;
    assert_eq!(held.0.len(), 18);
    for sum in items(&answer["sums"]) {
        assert_eq!(sum, held.sum(sum["bucket"].as_str().unwrap_or_default())?);
    }
    Ok(())
}

async fn a_snapshot_goes_on_where_it_was_interrupted(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, visits) = with_visits(&world, 8).await?;
    let mut tablet = second(&world, &mori).await?;
    tablet.sync(&world, &[]).await;
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        let before = tablet.clone();
        let lost = sync_with(&world, &mut tablet, json!({ "max_bytes": 1 })).await;
        // The answer is lost: the same pages come again to the same request.
        let (lease, attempt) = (before.lease.clone(), tablet.lease.clone());
        tablet = before;
        tablet.lease = attempt;
        assert_ne!(tablet.lease, lease);
        let again = sync_with(&world, &mut tablet, json!({ "max_bytes": 1 })).await;
        assert_eq!(again["records"], lost["records"]);
        seen.extend(records(&again).into_iter().map(|(rec, _)| rec));
        if again["more"] == false {
            break;
        }
    }
    assert_eq!(seen, visits.iter().map(Draft::rec).collect());
    Ok(())
}

async fn a_change_travels_as_the_fields_that_changed(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visits) = with_visits(&world, 2).await?;
    let mut tablet = second(&world, &mori).await?;
    tablet.drain(&world).await;
    let row = json!({ "o": "add", "f": "findings", "e": "r1", "pos": "a0" });
    let edit = world.draft(&mori, &visits[0].rec(), json!([set("opinion", "a", &[]), row]));
    let result = mori.push(&world, &edit).await;
    let answer = tablet.sync(&world, &[]).await;
    assert_eq!(records(&answer).len(), 1);
    let record = &answer["records"][0];
    assert_eq!((&record["full"], &record["rv"]), (&json!(false), &result["seq"]));
    assert_eq!(record["fields"], json!({ "opinion": [[0, 0, "a"]] }));
    assert_eq!(
        record["lists"],
        json!({ "findings": { "r1": {
        "p": [[0, 1]], "r": [], "v": [], "pos": [[0, 1, "a0"]], "cells": {},
    } } })
    );
    assert_eq!(record["in"], json!([SOUTH]));
    Ok(())
}

/// A pointer is overwritten in place, so a page that is cut must not make the next one forget older fields.
async fn deltas_stand_against_the_last_complete_round(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visits) = with_visits(&world, 3).await?;
    let mut tablet = second(&world, &mori).await?;
    tablet.drain(&world).await;
    let edit =
        |i: usize, field: &str| world.draft(&mori, &visits[i].rec(), json!([set(field, "a", &[])]));
    let edits = [edit(0, "opinion"), edit(1, "opinion"), edit(2, "opinion")];
    mori.sync(&world, &edits.iter().collect::<Vec<_>>()).await;
    let page = sync_with(&world, &mut tablet, json!({ "max_bytes": 1 })).await;
    assert_eq!((records(&page).len(), &page["more"]), (1, &json!(true)));
    let again = world.draft(&mori, &visits[1].rec(), json!([set("grade", "minor", &[])]));
    mori.sync(&world, &[&again]).await;
    let answers = tablet.drain(&world).await;
    let sent: BTreeMap<String, Value> = answers.iter().flat_map(records).collect();
    let fields = &sent[&visits[1].rec()]["fields"];
    assert_eq!((&fields["opinion"][0][2], &fields["grade"][0][2]), (&json!("a"), &json!("minor")));
    assert_eq!(sent.len(), 2, "the first was complete");
    Ok(())
}

async fn an_emptied_field_is_told_to_be_empty(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visits) = with_visits(&world, 1).await?;
    let rec = visits[0].rec();
    let row =
        world.draft(&mori, &rec, json!([{ "o": "add", "f": "findings", "e": "r1", "pos": "a0" }]));
    mori.sync(&world, &[&row]).await;
    let mut tablet = second(&world, &mori).await?;
    tablet.drain(&world).await;
    let gone = json!([{ "o": "rem", "f": "findings", "e": "r1", "x": [format!("{}p", row.dot(0))], "why": "twice" }]);
    let gone = world.draft(&mori, &rec, gone);
    mori.sync(&world, &[&gone]).await;
    let answer = tablet.sync(&world, &[]).await;
    let element = &answer["records"][0]["lists"]["findings"]["r1"];
    assert_eq!((&element["p"], &element["r"][0][2]), (&json!([]), &json!("twice")));
    Ok(())
}

async fn a_page_of_pointers_ends_between_seqs(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, visits) = with_visits(&world, 30).await?;
    let mut tablet = second(&world, &mori).await?;
    tablet.drain(&world).await;
    for round in 0..2 {
        let edits: Vec<Draft> = visits
            .iter()
            .map(|visit| world.draft(&mori, &visit.rec(), json!([set("opinion", round, &[])])))
            .collect();
        mori.sync(&world, &edits.iter().collect::<Vec<_>>()).await;
    }
    let (mut seen, mut last) = (Vec::new(), 0);
    for _ in 0..40 {
        let answer = sync_with(&world, &mut tablet, json!({ "max_bytes": 900 })).await;
        for (rec, record) in records(&answer) {
            let rv = record["rv"].as_i64().unwrap_or_default();
            assert!(rv > last, "in the order of seqs");
            last = rv;
            seen.push(rec);
        }
        if answer["more"] == false {
            break;
        }
    }
    assert_eq!(seen, visits.iter().map(Draft::rec).collect::<Vec<_>>());
    Ok(())
}

async fn a_token_of_another_device_or_bucket_begins_anew(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, _) = with_visits(&world, 3).await?;
    let mut tablet = second(&world, &mori).await?;
    tablet.sync(&world, &[]).await;
    let mut other = second(&world, &mori).await?;
    other.sync(&world, &[]).await;
    let good = tablet.snap.clone();
    for tokens in [
        other.snap.clone(),
        vec![
            json!({ "bucket": SOUTH, "token": good[0]["token"] }),
            json!({ "bucket": "everyone", "token": good[1]["token"] }),
        ],
        vec![json!({ "bucket": SOUTH, "token": "nonsense" })],
        vec![json!({ "bucket": SOUTH, "token": null })],
        vec![json!({ "bucket": SOUTH, "token": tablet.cursor })],
    ] {
        tablet.snap = tokens;
        let answer = tablet.sync(&world, &[]).await;
        assert_eq!(items(&answer["enter"]).len(), 2, "{answer}");
        assert_eq!(answer["records"], json!([]));
    }
    let sent: usize = tablet.drain(&world).await.iter().map(|answer| records(answer).len()).sum();
    assert_eq!(sent, 3);
    Ok(())
}

async fn a_null_cursor_enters_everything_again(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, _) = with_visits(&world, 2).await?;
    mori.drain(&world).await;
    assert_eq!(mori.have.len(), 2);
    mori.cursor = Value::Null;
    let answer = mori.sync(&world, &[]).await;
    assert_eq!(items(&answer["enter"]).len(), 2, "what it says to have does not count");
    assert_eq!(answer["records"], json!([]));
    let sent: usize = mori.drain(&world).await.iter().map(|answer| records(answer).len()).sum();
    assert_eq!(sent, 2);
    Ok(())
}

async fn an_answer_holds_its_own_push(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let mut mori = world.inspector("mori").await?;
    mori.drain(&world).await;
    let visit = world.new_visit(&mori, SOUTH);
    let answer = mori.sync(&world, &[&visit]).await;
    assert_eq!(answer["records"][0]["rec"], json!(visit.rec()));
    assert_eq!(answer["records"][0]["rv"], answer["results"][0]["seq"]);
    assert_eq!(mori.sync(&world, &[]).await["records"], json!([]));
    // A change in quarantine takes a seq too, and no cursor is lost by it.
    let waiting = world.draft(&mori, &world.id(), json!([set("title", "x", &[])]));
    mori.sync(&world, &[&waiting]).await;
    assert_eq!(mori.sync_texts(&world, &["{}".to_owned()]).await["results"][0]["code"], "bad_op");
    assert_eq!(mori.sync(&world, &[]).await["enter"], json!([]));
    Ok(())
}

async fn a_pull_goes_on_while_pushes_are_refused(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mori, _) = with_visits(&world, 4).await?;
    let mut tablet = second(&world, &mori).await?;
    let mut seen = 0;
    for _ in 0..20 {
        let text = format!("{{\"id\":\"{}\"}}", world.id());
        let mut envelope = tablet.envelope(&world);
        envelope["want"] = json!({ "max_bytes": 1 });
        let request = crate::support::with_changes(&envelope, &[text]);
        let answer = world.post_sync(&tablet, request).await.ok();
        assert_eq!(answer["results"][0]["code"], "bad_op");
        tablet.take(&answer);
        tablet.next += 1;
        seen += records(&answer).len();
    }
    assert_eq!(seen, 4);
    Ok(())
}

async fn an_answer_is_what_the_protocol_says(store: Store) -> TestResult {
    let world = World::new(store).await?;
    let (mut mori, _) = with_visits(&world, 2).await?;
    let waiting = world.draft(&mori, &world.id(), json!([set("title", "x", &[])]));
    for texts in [vec![], vec![waiting.text()], vec![world.new_visit(&mori, SOUTH).text()]] {
        let answer = world.post_sync(&mori, mori.request(&world, &texts)).await;
        let read: SyncAnswer = serde_json::from_str(&answer.text)?;
        assert_eq!((read.v, read.retry_after), (1, 0));
        assert_eq!(read.limits, sync_protocol::wire::Limits::default());
        let book =
            world.state.sync.library.book(&world.state.store, &tenant("fire"), world.now()).await?;
        assert_eq!(read.bundle, book.bundle);
        let bundle = world.get(&mori, &format!("/v1/bundles/{}", read.bundle)).await;
        assert!(bundle.ok().to_string().contains("\"visit\""));
        mori.take(&serde_json::from_str(&answer.text)?);
        mori.next += i64::try_from(texts.len())?;
    }
    world.get(&mori, "/v1/bundles/sha256:0").await.refused(404, "not-found");
    Ok(())
}
