//! 居酒屋かりな (f-08): a tablet whose clock is a day ahead does not win by its clock.

use super::Tablets;
use crate::field_day::claims::Book;
use crate::field_day::crew::set;
use crate::field_day::world::{World, shown};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sync_protocol::id::ChangeId;
use sync_protocol::view::Mark;

const FIELD: &str = "attendant";
/// How far an effective time may be off: two minutes.
const OFF_MS_MAX: i64 = 120_000;

pub(super) async fn play(world: &World, book: &mut Book, tablets: &mut Tablets) -> Result<()> {
    book.scene("居酒屋かりな f-08 (食中毒疑い): a tablet's clock is a day ahead");
    let rec = World::record("sanitation", "sanitation_inspection:si-f08")?;
    let early = tablets.of("st-h4")?.edit(rec, vec![set(FIELD, "従業員 仮名 三平")]).await?;
    // A real minute does not pass in a demo; a moment is enough to be later.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let late = tablets.of("st-h1")?.edit(rec, vec![set(FIELD, "営業者 仮名 酒美")]).await?;
    book.say("st-h4 見本 葉子 (患者調査班, clock +24 h) writes who attended; a moment later st-h1 writes another name. Neither saw the other.");
    tablets.of("st-h1")?.sync().await?;
    tablets.of("st-h4")?.sync().await?;
    tablets.of("st-h1")?.sync().await?;

    let office = world.office("sanitation", "st-h2").await?;
    let history = office.get(&format!("/v1/records/{rec}/history?limit=200")).await?;
    let (wrong, right) = (change(&history, early)?, change(&history, late)?);
    let at = |entry: &Value| {
        sync_protocol::clock::UnixMillis::parse(entry["change"]["at"].as_str().unwrap_or_default())
    };
    let claimed = at(wrong).context("at")?.since(at(right).context("at")?);
    book.holds(
        "st-h4's change says that it was made a day later",
        claimed > 23 * 3_600_000,
        || format!("{claimed} ms"),
    );
    let effective = |entry: &Value| entry["t_eff"].as_i64().context("t_eff");
    let apart = effective(right)? - effective(wrong)?;
    book.holds("the server stamps it where it belongs, before st-h1's (the clock that counts sleep tells the distance)", (0..OFF_MS_MAX).contains(&apart), || format!("{apart} ms"));
    let record = shown(&office, rec).await?;
    let field = &record["view"]["fields"][FIELD];
    book.claim(
        "the later answer is shown: 営業者 仮名 酒美",
        &field["shown"],
        &json!("営業者 仮名 酒美"),
    );
    book.claim(
        "… the other one as 'also entered', nothing is refused for its time",
        &field["mark"],
        &json!("also"),
    );
    let flags = record["state"]["flags"].to_string();
    book.holds("the record is flagged clock_suspect", flags.contains("clock_suspect"), || {
        flags.clone()
    });
    for login in ["st-h1", "st-h4"] {
        let seen = tablets.of(login)?.field(rec, FIELD)?;
        book.claim(
            &format!("{login}'s tablet shows the same"),
            (seen.shown, seen.mark),
            (json!("営業者 仮名 酒美"), Mark::Also),
        );
    }
    Ok(())
}

fn change(history: &Value, id: ChangeId) -> Result<&Value> {
    let mut changes = history["changes"].as_array().into_iter().flatten();
    changes.find(|entry| entry["id"] == json!(id)).context("the change is in the history")
}
