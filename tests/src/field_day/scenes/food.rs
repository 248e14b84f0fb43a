//! 仕出し架空亭 (f-02): the re-inspection, recorded in a kitchen without a network.

use super::Tablets;
use crate::field_day::claims::Book;
use crate::field_day::crew::{row, set};
use crate::field_day::world::{World, shown};
use anyhow::Result;
use serde_json::json;
use sync_protocol::wire::Status;

const REINSPECTION: &str = "sanitation_inspection:si-f02-again";

pub(super) async fn play(world: &World, book: &mut Book, tablets: &mut Tablets) -> Result<()> {
    book.scene("仕出し架空亭 f-02: re-inspection (再監視) in a kitchen without a network");
    let rec = World::record("sanitation", REINSPECTION)?;
    let crew = tablets.of("st-h1")?;
    let origin = crew.value(rec, "origin_inspection")?;
    let first = World::record("sanitation", "sanitation_inspection:si-f02")?;
    book.claim("the planned record names the inspection of 16 days ago (原監視), and the tablet holds both", origin, json!(first));
    book.claim(
        "… where cold storage H12 was 不良 at 12 ℃",
        crew.value(first, "checks.H12.result")?,
        json!("bad"),
    );

    let staff = World::record("sanitation", "staff:st-h1")?;
    let mut edits = vec![
        set("entered_at", world.minutes_ago(70)),
        set("left_at", world.minutes_ago(10)),
        set("attendant", "営業者 架空 亭主"),
        set("haccp_level", "approach"),
        set("plan_exists.result", "good"),
        set("records_kept.result", "good"),
        set("status", json!({ "from": "planned", "to": "on_site" })),
    ];
    edits.extend(row("inspectors", "st-h1", &[("staff", json!(staff)), ("role", json!("leader"))]));
    crew.edit(rec, edits).await?;
    for (id, place, celsius, minutes) in
        [("a", "二号冷蔵庫 上段", "4.2", 60), ("b", "二号冷蔵庫 上段(再測定)", "4.4", 44)]
    {
        let cells = [
            ("place", json!(place)),
            ("celsius", json!(celsius)),
            ("limit", json!("10")),
            ("at", world.minutes_ago(minutes)),
            ("instrument", json!("中心温度計 No.3")),
        ];
        crew.edit(rec, row("temperatures", id, &cells)).await?;
    }
    let mut checks: Vec<_> =
        (1..=20).map(|n| set(&format!("checks.H{n:02}.result"), "good")).collect();
    checks.push(set("checks.H19.result", "na"));
    checks.push(set("checks.H06.result", "bad"));
    checks.push(set("checks.H06.remark", "二号冷蔵庫の上の天井に結露。"));
    checks.push(set("checks.H06.finding_ref", "g1"));
    crew.edit(rec, checks).await?;
    let guided = [
        ("kind", json!("oral")),
        ("text", json!("天井の結露をふき取り、換気を強めること。")),
        ("correct_by", world.date(14)?),
        ("status", json!("open")),
    ];
    crew.edit(rec, row("guidance", "g1", &guided)).await?;
    let done = [
        set("operator_statement", "パッキンを替えた。記録は毎日付けている。"),
        set("status", json!({ "from": "on_site", "to": "recorded" })),
    ];
    let last = crew.edit(rec, done.to_vec()).await?;
    book.say("st-h1 架空 花子 measures 4.2 and 4.4 ℃, answers 20 items, guides orally (口頭指導) on one. Six changes wait on the tablet.");
    book.claim("six changes wait", crew.tablet()?.replica().outbox_len(), 6);
    let score = crew.view(rec)?.derived.get("score").cloned();
    book.claim(
        "the tablet computes the score (評点) without a network: 95 of 98 points",
        score.clone(),
        Some(json!("96.9")),
    );

    let report = crew.sync().await?;
    book.claim("a network: all six have their results", (report.answered, report.waiting), (6, 0));
    let outcome = crew.outcome(last)?.map(|outcome| outcome.status);
    book.claim("… the last one 'ok'", outcome, Some(Status::Ok));
    let office = world.office("sanitation", "st-h2").await?;
    let record = shown(&office, rec).await?;
    book.claim(
        "the server computes the same score",
        Some(record["view"]["derived"]["score"].clone()),
        score,
    );
    book.claim("the server finds nothing missing", &record["problems"], &json!([]));
    let rows = record["view"]["lists"]["temperatures"]["rows"].as_array().map_or(0, Vec::len);
    book.claim("both measurements are there", rows, 2);
    book.look(&format!("GET {}/v1/records/{rec} as st-h2 例示 冬実", world.server.url));
    Ok(())
}
