//! hh-03: the household moves to a colleague while a visit record is still unsynced on the caseworker's tablet.

use super::Tablets;
use crate::field_day::claims::Book;
use crate::field_day::crew::{row, set};
use crate::field_day::world::{World, shown};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::replica::Edit;
use sync_protocol::wire::Status;

/// What only the city knew of the household, and what she wrote herself.
const NOT_HERS: &str = "架空 葵";
const HERS: &str = "引っ越しの箱はほぼ片付いた";

pub(super) async fn play(world: &World, book: &mut Book, tablets: &mut Tablets) -> Result<()> {
    book.scene("hh-03 (住所秘匿): a household moves while a visit is unsynced (訪問記録)");
    let household = World::record("welfare", "household:hh-03")?;
    let note = World::record("welfare", "case_safety_note:sn-hh03")?;
    let (visit, change) = {
        let crew = tablets.of("st-w1")?;
        let (visit, change) =
            crew.begin("case_visit", household, visited(world, household)?).await?;
        book.say(
            "st-w1 仮名 春子 visits and writes her record at the kitchen table, without a network.",
        );
        book.holds(
            "her tablet holds the household and its safety note",
            crew.has(household)? && crew.has(note)?,
            || "one is missing".to_owned(),
        );
        book.holds("… in its files, too", crew.files_hold(NOT_HERS)?, || {
            format!("no file holds {NOT_HERS}")
        });
        (visit, change)
    };

    let supervisor = world.office("welfare", "st-w3").await?;
    supervisor
        .post(&format!("/v1/records/{household}/move"), &json!({ "to": ["caseload:B"] }))
        .await?;
    book.say(
        "Meanwhile st-w3 仮名 秋代 (査察指導員) moves hh-03 to st-w2's caseload B (担当替え).",
    );

    let crew = tablets.of("st-w2")?;
    crew.sync().await?;
    let last = World::record("welfare", "case_visit:cv-hh03-last")?;
    let child = World::record("welfare", "member:hh-03-m2")?;
    book.holds(
        "st-w2 仮名 夏夫 gets the household with its members and its earlier visit",
        crew.has(household)? && crew.has(last)? && crew.has(child)?,
        || "something is missing".to_owned(),
    );
    book.claim(
        "… but not the safety note: it stays in safety:A until st-w3 moves it",
        crew.has(note)?,
        false,
    );

    left(book, tablets, household, visit, change).await?;

    let crew = tablets.of("st-w2")?;
    crew.sync().await?;
    let lived = crew.value(visit, "living_conditions")?;
    book.holds(
        "the unsynced visit reached st-w2, in her words",
        lived.as_str().is_some_and(|text| text.contains(HERS)),
        || lived.to_string(),
    );
    let record = shown(&supervisor, visit).await?;
    book.claim(
        "it lies in caseload B, written by 仮名 春子",
        &record["in"],
        &json!(["caseload:B"]),
    );
    let inbox = supervisor.get("/v1/conflicts").await?;
    let entry = inbox["records"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry["record"]["rec"] == json!(visit));
    let flags = entry.map_or(Value::Null, |entry| entry["record"]["flags"].clone());
    book.holds(
        "st-w3 finds it in the inbox as left_scope",
        flags.to_string().contains("left_scope"),
        || inbox.to_string(),
    );
    durable(world, book, tablets).await?;
    book.look(&format!("GET {}/v1/records/{visit}/history as st-w3 仮名 秋代", world.server.url));
    Ok(())
}

fn visited(world: &World, household: RecordId) -> Result<Vec<Edit>> {
    let mut edits = vec![
        set("household", json!(household)),
        set("entry_kind", "visit"),
        set("visit_class", "planned"),
        set("visited_at", world.minutes_ago(60)),
        set("left_at", world.minutes_ago(15)),
        set("place", "home"),
        set("living_conditions", format!("{HERS}。下の子は昼寝をしていた。")),
        set("health", "母子とも変わりない(本人の話)。"),
        set("work_income", "求職の面接を一件受けた。"),
        set("support_policy_review", "no_change"),
        set("duty_explained_on", world.date(0)?),
        set("next_visit_on", world.date(30)?),
        set("status", json!({ "from": "planned", "to": "recorded" })),
    ];
    edits.extend((1..=14).map(|n| set(&format!("checks.W{n:02}.result"), "good")));
    edits.extend(row("visit_purpose", "living", &[]));
    edits.extend(row(
        "met_persons",
        "head",
        &[("name", json!("架空 美咲")), ("relation", json!("本人"))],
    ));
    Ok(edits)
}

async fn left(
    book: &mut Book,
    tablets: &mut Tablets,
    household: RecordId,
    visit: RecordId,
    change: sync_protocol::id::ChangeId,
) -> Result<()> {
    let crew = tablets.of("st-w1")?;
    crew.sync().await?;
    let outcome = crew.outcome(change)?.context("a result")?;
    book.claim(
        "st-w1 syncs: her visit is applied, as late (left_scope): she might write when she wrote, not any more",
        (outcome.status, outcome.why.as_deref().unwrap_or_default().to_owned()),
        (Status::Late, "left_scope".to_owned()),
    );
    book.holds(
        "her tablet shows neither the household nor the visit",
        !crew.has(household)? && !crew.has(visit)?,
        || "it still shows one".to_owned(),
    );
    crew.sync().await?;
    book.claim(
        "everything pending was received, so the records are erased from its files",
        crew.files_hold(NOT_HERS)?,
        false,
    );
    book.holds(
        "… all but her own words, kept until they are in a backup",
        crew.files_hold(HERS)?,
        || "her text is gone".to_owned(),
    );
    Ok(())
}

/// The bureau's backup covers her change; then her tablet lets go of it.
async fn durable(world: &World, book: &mut Book, tablets: &mut Tablets) -> Result<()> {
    let crew = tablets.of("st-w1")?;
    let seq = crew.tablet()?.replica().head();
    let admin = world.office("welfare", "admin-welfare").await?;
    admin.post("/v1/admin/backups", &json!({ "seq": seq })).await?;
    crew.sync().await?;
    crew.sync().await?;
    book.claim(
        "the night's backup is reported: her tablet lets go of her words too",
        crew.files_hold(HERS)?,
        false,
    );
    Ok(())
}
