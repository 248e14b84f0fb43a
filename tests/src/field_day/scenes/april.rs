//! 四月一日: rights begin and end at their instant, also on tablets.

use super::Tablets;
use crate::field_day::claims::Book;
use crate::field_day::world::World;
use anyhow::{Context as _, Result};
use serde_json::json;
use std::time::Duration;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::RecordId;

/// How long until the cover begins: long enough for a sync before it, also on a busy machine.
const COVER_IN_MS: i64 = 5_000;
/// How long until it ends, once that is said.
const END_IN_MS: i64 = 1_000;

pub(super) async fn play(world: &World, book: &mut Book, tablets: &mut Tablets) -> Result<()> {
    book.scene("四月一日: the successor, and a cover of some seconds");
    let successor = world.city.user("welfare", "st-w4")?;
    let admin = world.office("welfare", "admin-welfare").await?;
    let grants = admin.get(&format!("/v1/admin/grants?user={successor}")).await?;
    let first = world.day.instant("@fy+1-04-01T00:00")?.to_string();
    let prepared = grants["grants"].as_array().into_iter().flatten();
    let mut prepared = prepared.filter(|grant| grant["bucket"] == "caseload:A");
    let from = prepared.next().map(|grant| grant["from"].clone());
    book.claim(
        "caseload A is prepared for st-w4 見本 冬樹 from midnight of 1 April in Japan",
        from,
        Some(json!(first)),
    );
    let hh01 = World::record("welfare", "household:hh-01")?;
    let crew = tablets.of("st-w4")?;
    crew.sync().await?;
    book.claim("until then his tablet holds nothing of it", crew.has(hh01)?, false);

    let hh08 = World::record("welfare", "household:hh-08")?;
    let begins = now_by(tablets)?.plus(COVER_IN_MS);
    let cover = json!({
        "user": successor, "bucket": "caseload:B", "role": "caseworker", "from": begins.to_string(),
    });
    let cover = admin.post("/v1/admin/grants", &cover).await?;
    book.say("To see such a midnight today, the administrator gives him caseload B from an instant in five seconds (応援).");
    tablets.of("st-w4")?.sync().await?;
    book.claim("before it begins: nothing", tablets.of("st-w4")?.has(hh08)?, false);
    wait_until(tablets, begins).await?;
    tablets.of("st-w4")?.sync().await?;
    book.claim("it has begun: hh-08 is on his tablet", tablets.of("st-w4")?.has(hh08)?, true);
    book.claim("… and in its files", tablets.of("st-w4")?.files_hold("架空 静")?, true);
    let ends = now_by(tablets)?.plus(END_IN_MS);
    let grant = cover["id"].as_str().context("the grant has an id")?;
    admin
        .post(&format!("/v1/admin/grants/{grant}/end"), &json!({ "at": ends.to_string() }))
        .await?;
    wait_until(tablets, ends).await?;
    gone(book, tablets, hh08).await
}

async fn gone(book: &mut Book, tablets: &mut Tablets, rec: RecordId) -> Result<()> {
    let crew = tablets.of("st-w4")?;
    crew.sync().await?;
    book.claim("it has ended: hidden at his next contact", crew.has(rec)?, false);
    crew.sync().await?;
    book.claim("… and erased from the files", crew.files_hold("架空 静")?, false);
    Ok(())
}

fn now_by(tablets: &mut Tablets) -> Result<UnixMillis> {
    Ok(tablets.of("st-w4")?.tablet()?.clock().read().now.0)
}

async fn wait_until(tablets: &mut Tablets, instant: UnixMillis) -> Result<()> {
    let left = instant.since(now_by(tablets)?).max(0);
    let left = u64::try_from(left).context("a wait")?;
    tokio::time::sleep(Duration::from_millis(left + 100)).await;
    Ok(())
}
