//! Directed histories: each says what is wrong when one rule does not hold, and nothing when it does.

use super::judge;
use super::site::station;
use super::stage::{BEGIN, FIRST, ONLY_B, SECOND, SUPERVISOR, Stage};
use super::tablet::set;
use crate::uploads::camera::Shot;
use anyhow::{Context as _, Result};
use axum::http::Method;
use serde_json::{Value, json};
use server::clock::Clock as _;
use std::collections::BTreeMap;
use sync_protocol::blob::MediaType;
use sync_protocol::change::RowPath;
use sync_protocol::clock::Instant;
use sync_protocol::replica::{BlobState, Edit, Input, Notice, Phase};
use sync_protocol::wire::Status;

const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// Keeps a sentence when something is wrong.
fn unless(holds: bool, wrong: &str) -> Vec<String> {
    if holds { Vec::new() } else { vec![wrong.to_owned()] }
}

fn server_id(n: u128) -> uuid::Uuid {
    uuid::Builder::from_random_bytes(n.to_be_bytes()).into_uuid()
}

/// A page that is cut: what changed before the cut and again after it comes whole.
pub async fn a_cut_page_loses_no_field() -> Result<Vec<String>> {
    let stage = Stage::open().await?;
    let (mut writer, mut reader) = (stage.tablet(FIRST)?, stage.tablet(SECOND)?);
    let (rec, _) = writer.begin(&station("a"), "題")?;
    let (other, _) = writer.begin(&station("a"), "他")?;
    stage.sync(&mut writer).await?;
    stage.sync(&mut reader).await?;
    for (rec, field) in [(rec, "place"), (other, "title"), (rec, "area")] {
        writer.author(rec, vec![set(field, json!(field))])?;
        stage.sync(&mut writer).await?;
    }
    for _ in 0..6 {
        let Some((attempt, body)) = reader.request() else { break };
        let mut request: Value = serde_json::from_str(&body)?;
        let want = request.get_mut("want").context("a request wants something")?;
        *want = json!({ "max_bytes": 1 });
        let reply = stage.send(reader.person, request.to_string()).await?;
        reader.answer(attempt, Some(&reply));
    }
    let whole = reader.values(rec, "place") == ["place"] && reader.values(rec, "area") == ["area"];
    Ok(unless(whole, "a field that changed before the cut never came"))
}

/// A record that was moved into a bucket comes whole to those who hold the bucket.
pub async fn what_enters_comes_whole() -> Result<Vec<String>> {
    let stage = Stage::open().await?;
    let (mut writer, mut reader) = (stage.tablet(FIRST)?, stage.tablet(ONLY_B)?);
    let (rec, _) = writer.begin(&station("a"), "題")?;
    stage.sync(&mut writer).await?;
    stage.sync(&mut reader).await?;
    let body = json!({ "id": server_id(1), "to": ["station:b"] });
    let supervisor = stage.person(SUPERVISOR)?;
    let path = format!("/v1/records/{rec}/move");
    let moved = stage.call(supervisor, Method::POST, &path, Some(body)).await?;
    anyhow::ensure!(moved.status == 200, "{moved:?}");
    stage.round(&mut reader, true).await?;
    Ok(unless(reader.values(rec, "title") == ["題"], "a record that entered did not come whole"))
}

/// A name in `x` of a put that stands elsewhere has no effect.
pub async fn a_name_of_another_place_has_no_effect() -> Result<Vec<String>> {
    let stage = Stage::open().await?;
    let mut writer = stage.tablet(FIRST)?;
    let (rec, _) = writer.begin(&station("a"), "題")?;
    let place = writer.author(rec, vec![set("place", json!("場所"))])?;
    stage.sync(&mut writer).await?;
    let ops = json!([{ "o": "set", "f": "title", "v": "新", "x": [format!("{place}.0")] }]);
    let body = json!({ "id": server_id(2), "ops": ops });
    let path = format!("/v1/records/{rec}/changes");
    let edited = stage.call(stage.person(SUPERVISOR)?, Method::POST, &path, Some(body)).await?;
    anyhow::ensure!(edited.status == 200, "{edited:?}");
    let found = stage.look().await?;
    let state: Value = serde_json::from_slice(&found.records.first().context("it")?.state)?;
    let left = state.pointer("/fields/place").and_then(Value::as_array).map_or(0, Vec::len);
    Ok(unless(left == 1, "an edit of a field emptied another one"))
}

/// An answer that was lost: the tablet still learns that its change is in quarantine.
pub async fn a_lost_answer_hides_no_quarantine() -> Result<Vec<String>> {
    let stage = Stage::open().await?;
    let mut writer = stage.tablet(FIRST)?;
    let (rec, _) = writer.begin(&station("a"), "題")?;
    stage.sync(&mut writer).await?;
    let forbidden = writer.author(rec, vec![set("grade", json!("良"))])?;
    stage.round(&mut writer, false).await?;
    stage.sync(&mut writer).await?;
    let own = writer.replica.own_changes().find(|own| own.id == forbidden);
    let shown = own.and_then(|own| own.outcome.cloned());
    let told = writer.notices.contains(&Notice::Quarantined(forbidden));
    let holds = told && shown.is_some_and(|outcome| outcome.status == Status::Quarantined);
    Ok(unless(holds, "the tablet never learned that its change is in quarantine"))
}

/// A bucket that is left while a change of it is unsent: the change still arrives.
pub async fn leaving_loses_no_unsent_change() -> Result<Vec<String>> {
    let stage = Stage::open().await?;
    let mut writer = stage.tablet(FIRST)?;
    let (rec, _) = writer.begin(&station("a"), "題")?;
    stage.sync(&mut writer).await?;
    stage.end_grants(writer.person).await?;
    let (attempt, body) = writer.request().context("a request")?;
    let unsent = writer.author(rec, vec![set("title", json!("最後"))])?;
    let reply = stage.send(writer.person, body).await?;
    writer.answer(attempt, Some(&reply));
    stage.sync(&mut writer).await?;
    let found = stage.look().await?;
    let there = found.changes.iter().any(|row| row.id == unsent.0)
        || found.quarantine.iter().any(|row| row.id == Some(unsent.0));
    Ok(unless(there, "a change that was unsent when its bucket was left never arrived"))
}

/// A bucket that is left while a photo of it is still to be sent: the tablet does not say yet that it has erased it.
pub async fn leaving_waits_for_a_photo() -> Result<Vec<String>> {
    let stage = Stage::open().await?;
    let mut writer = stage.tablet(FIRST)?;
    let (rec, _) = writer.begin(&station("a"), "題")?;
    let shot = Shot::new(MediaType::Heic, 5_000, 1);
    let at = RowPath { field: "photos".to_owned(), row: "p-1".to_owned() };
    writer.author(rec, vec![Edit::Add { at, pos: None, value: Some(shot.payload()) }])?;
    stage.sync(&mut writer).await?;
    anyhow::ensure!(writer.replica.outbox_len() == 0, "its text was received");
    stage.end_grants(writer.person).await?;
    stage.sync(&mut writer).await?;
    let waits = writer
        .replica
        .buckets()
        .any(|(bucket, phase)| *bucket == station("a") && *phase == Phase::Leaving);
    let waits = waits && writer.replica.blob_state(shot.blob.sha256) == Some(BlobState::Needed);
    Ok(unless(waits, "a bucket was told to be erased with a photo that was still to be sent"))
}

/// A clock that was two days slow: who saw a value and replaced it still replaces it.
pub async fn a_slow_clock_replaces_what_it_saw() -> Result<Vec<String>> {
    let stage = Stage::open().await?;
    stage.clock.advance(DAY_MS);
    let (mut first, mut second) = (stage.tablet(FIRST)?, stage.tablet(SECOND)?);
    let (rec, _) = first.begin(&station("a"), "先")?;
    stage.sync(&mut first).await?;
    stage.sync(&mut second).await?;
    // Without a network nothing is sent before the new start.
    second.input(Input::Network(false));
    second.clock.now = Instant(BEGIN.plus(-2 * DAY_MS));
    second.author(rec, vec![set("title", json!("後"))])?;
    "after a new start".clone_into(&mut second.clock.boot);
    second.clock.now = Instant(stage.clock.now());
    stage.sync(&mut second).await?;
    stage.sync(&mut first).await?;
    Ok(unless(first.values(rec, "title") == ["後"], "the clock brought back what was replaced"))
}

/// A copy of a tablet is found at its next new attempt.
pub async fn a_copy_is_found() -> Result<Vec<String>> {
    let stage = Stage::open().await?;
    let mut first = stage.tablet(FIRST)?;
    first.begin(&station("a"), "題")?;
    stage.sync(&mut first).await?;
    let mut copy = first.copied(99)?;
    stage.round(&mut first, true).await?;
    let answered = stage.round(&mut copy, true).await?.map(|reply| reply.status);
    Ok(unless(answered == Some(409) && copy.forks() == 1, "a copy went on under the same replica"))
}

/// What lies in a bucket that is not granted looks as if it were not there.
pub async fn a_foreign_record_is_not_shown() -> Result<Vec<String>> {
    let stage = Stage::open().await?;
    let mut writer = stage.tablet(FIRST)?;
    let (rec, _) = writer.begin(&station("a"), "題")?;
    stage.sync(&mut writer).await?;
    let mut wrongs = Vec::new();
    for path in [format!("/v1/records/{rec}"), format!("/v1/records/{rec}/history")] {
        let reply = stage.call(stage.person(ONLY_B)?, Method::GET, &path, None).await?;
        wrongs.extend(unless(reply.status == 404, "a record of a foreign bucket was shown"));
    }
    Ok(wrongs)
}

/// A change that comes again after a day is known.
pub async fn a_change_is_known_for_ever() -> Result<Vec<String>> {
    let stage = Stage::open().await?;
    let mut first = stage.tablet(FIRST)?;
    first.begin(&station("a"), "題")?;
    let mut copy = first.copied(99)?;
    stage.sync(&mut first).await?;
    stage.clock.advance(DAY_MS + 3_600_000);
    stage.sync(&mut copy).await?;
    let found = stage.look().await?;
    let mut wrongs = judge::wrongs(&found, &BTreeMap::new());
    let once = found.changes.len() == 1 && found.quarantine.is_empty();
    wrongs.extend(unless(once, "a change that came again had another effect"));
    let refused = copy.statuses.keys().any(|status| !matches!(status, 200 | 409));
    wrongs.extend(unless(!refused, "a change that came again was refused"));
    Ok(wrongs)
}

/// What was replaced before it arrived does not come to life when it arrives.
pub async fn what_was_replaced_early_stays_replaced() -> Result<Vec<String>> {
    let stage = Stage::open().await?;
    let (mut writer, mut reader) = (stage.tablet(FIRST)?, stage.tablet(SECOND)?);
    let (rec, _) = writer.begin(&station("a"), "始")?;
    stage.sync(&mut writer).await?;
    writer.author(rec, vec![set("title", json!("中")), set("grade", json!("良"))])?;
    writer.author(rec, vec![set("title", json!("終"))])?;
    stage.sync(&mut writer).await?;
    let supervisor = stage.person(SUPERVISOR)?;
    let list = stage.call(supervisor, Method::GET, "/v1/quarantine?state=open", None).await?.json();
    let q = list.pointer("/changes/0/q").and_then(Value::as_str).context("one in quarantine")?;
    let path = format!("/v1/quarantine/{q}/release");
    let released = stage.call(supervisor, Method::POST, &path, Some(json!({}))).await?;
    anyhow::ensure!(released.status == 200, "{released:?}");
    stage.sync(&mut reader).await?;
    Ok(unless(reader.values(rec, "title") == ["終"], "what was replaced early came to life"))
}

/// A change that the server fails on is stored unread the third time it comes alone, and holds up nothing else.
///
/// Without the fault it is a change like any other.
pub async fn a_change_that_fails_is_kept_unread() -> Result<Vec<String>> {
    let stage = Stage::open().await?;
    let mut writer = stage.tablet(FIRST)?;
    let (rec, _) = writer.begin(&station("a"), "題")?;
    stage.sync(&mut writer).await?;
    writer.author(rec, vec![set("place", json!("前"))])?;
    let failing = writer.author(rec, vec![set("title", json!("genba-poison"))])?;
    writer.author(rec, vec![set("area", json!(7))])?;
    stage.sync(&mut writer).await?;
    anyhow::ensure!(writer.is_settled(), "the outbox is empty, {:?}", writer.statuses);
    let found = stage.look().await?;
    let others = writer.values(rec, "place") == ["前"] && writer.values(rec, "area") == [json!(7)];
    anyhow::ensure!(others, "the changes before and after it are applied");
    let Some(kept) = found.quarantine.first() else {
        anyhow::ensure!(writer.statuses.keys().all(|status| *status == 200), "nothing failed");
        return Ok(unless(found.changes.len() == 4, "a change is neither here nor there"));
    };
    anyhow::ensure!(found.quarantine.len() == 1 && found.changes.len() == 3, "it alone is kept");
    anyhow::ensure!((kept.id, kept.code.as_str()) == (Some(failing.0), "bad_op"), "{kept:?}");
    anyhow::ensure!(writer.statuses.get(&500).is_some_and(|times| *times >= 2), "it failed before");
    Ok(vec!["a change that the server fails on was stored unread".to_owned()])
}
