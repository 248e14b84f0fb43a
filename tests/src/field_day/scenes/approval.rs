//! 決裁: an approver seals what he saw, and a late edit arrives.

use super::Tablets;
use crate::field_day::claims::Book;
use crate::field_day::crew::set;
use crate::field_day::office::Office;
use crate::field_day::story::beside;
use crate::field_day::world::{World, shown};
use anyhow::{Context as _, Result};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::wire::Status;

const OPINION: &str = "重大違反の疑いがある。予防課と協議し、本日中に結果通知の案を作る。";

pub(super) async fn play(
    world: &World,
    book: &mut Book,
    tablets: &mut Tablets,
    rec: RecordId,
) -> Result<()> {
    book.scene("決裁: 消防署長 seals the inspection of p-01, a late edit arrives");
    let offline = "立会者は途中で席を外した。";
    let forgotten = {
        let crew = tablets.of("st-f1")?;
        let talk = crew.value(rec, "interview")?;
        crew.edit(
            rec,
            vec![set("interview", format!("{}{offline}", talk.as_str().unwrap_or_default()))],
        )
        .await?
    };
    book.say("st-f1, back from the fire, adds a sentence; his tablet has no network.");

    let chief = world.office("fire", "pos-station-chief").await?;
    let read = shown(&chief, rec).await?;
    let crew = tablets.of("st-f3")?;
    crew.edit(rec, vec![set("overall_opinion", OPINION)]).await?;
    crew.sync().await?;
    let (status, refused) = seal(&chief, rec, &read).await?;
    book.claim(
        "the chief reads; before he seals, st-f3 changes the opinion: 409, he would approve what he has not seen",
        (status, refused["type"].as_str().unwrap_or_default().to_owned()),
        (StatusCode::CONFLICT, "/problems/changed-since-seen".to_owned()),
    );
    let read = shown(&chief, rec).await?;
    let (status, sealed) = seal(&chief, rec, &read).await?;
    book.holds("he reads again and seals what he saw", status.is_success(), || sealed.to_string());
    let hash = read["to_seal"]["view_hash"].clone();
    let record = shown(&chief, rec).await?;
    book.claim(
        "the seal names the hash of that view",
        &record["state"]["seal"]["view_hash"],
        &hash,
    );

    let crew = tablets.of("st-f1")?;
    crew.sync().await?;
    let outcome = crew.outcome(forgotten)?.context("a result")?;
    book.claim(
        "now st-f1 finds a network: his sentence is received, as late (sealed)",
        (outcome.status, outcome.why.as_deref().unwrap_or_default().to_owned()),
        (Status::Late, "sealed".to_owned()),
    );
    let record = shown(&chief, rec).await?;
    let talk = record["view"]["fields"]["interview"]["shown"].as_str().unwrap_or_default();
    book.holds("the approved view has not changed", !talk.contains(offline), || talk.to_owned());
    let beside = beside(&record)?;
    book.claim(
        "his change stands beside the seal, and waits for a person",
        beside,
        vec![forgotten],
    );
    let seen = crew.value(rec, "interview")?;
    book.holds(
        "st-f1's tablet, too, shows the approved text",
        seen.as_str().is_some_and(|text| !text.contains(offline)),
        || seen.to_string(),
    );
    aside(world, book, &chief, rec, forgotten, &hash).await
}

async fn aside(
    world: &World,
    book: &mut Book,
    chief: &Office,
    rec: RecordId,
    change: sync_protocol::id::ChangeId,
    hash: &Value,
) -> Result<()> {
    let (status, _) = world
        .office("fire", "st-f2")
        .await?
        .try_post(&format!("/v1/records/{rec}/late/{change}/accept"), &json!({}))
        .await?;
    book.claim("st-f2 (予防係長, supervisor) may not judge it: 403", status, StatusCode::FORBIDDEN);
    let why = json!({ "why": "通知には要らない。聞き取りの控えに残す。" });
    chief.post(&format!("/v1/records/{rec}/late/{change}/aside"), &why).await?;
    let record = shown(chief, rec).await?;
    book.holds(
        "the chief sets it aside with a reason; it is in the history for ever",
        beside(&record)?.is_empty(),
        || record["state"]["late"].to_string(),
    );
    book.claim("the seal is the same", &record["state"]["seal"]["view_hash"], hash);
    book.look(&format!(
        "GET {}/v1/records/{rec} and /history as pos-station-chief 見本 五郎",
        world.server.url
    ));
    Ok(())
}

async fn seal(chief: &Office, rec: RecordId, read: &Value) -> Result<(StatusCode, Value)> {
    let body = json!({ "rv": read["to_seal"]["rv"], "view_hash": read["to_seal"]["view_hash"] });
    chief.try_post(&format!("/v1/records/{rec}/seal"), &body).await
}
