//! 見本町ビル (p-01): two crews without a network disagree, one is called away, the other goes on.

use super::Tablets;
use crate::field_day::claims::Book;
use crate::field_day::crew::{Crew, row, set};
use crate::field_day::world::{World, shown};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::replica::Edit;
use sync_protocol::view::Mark;

const F12: &str = "checks.F12.result";
const TALK: [&str; 3] =
    ["立会いは見本太一氏。", "三階は今年の春に改装したとのこと。", "図面は後日提出するとのこと。"];
/// What the first crew adds after the first sentence, and the second at the end.
const TALK_F1: &str = "同氏は建物の所有者でもある。";
const TALK_F3: &str = "工事をした者の名は分からないとのこと。";

pub(super) async fn play(
    world: &World,
    book: &mut Book,
    tablets: &mut Tablets,
) -> Result<RecordId> {
    book.scene("見本町ビル p-01: two crews, no network (立入検査)");
    let rec = World::record("fire", "fire_inspection:fi-p01-today")?;
    arrive(tablets, rec).await?;
    book.say("st-f1 見本 (第1係) opens the inspection at the door (on_site), st-f3 仮名 (第2係) joins; both go down without a network.");

    first_crew(world, tablets.of("st-f1")?, rec).await?;
    book.say("st-f1 finds F12 自動火災報知設備 in order (良), writes F01 to F12, and is called away: 災害出動 → suspended.");
    second_crew(world, tablets.of("st-f3")?, rec).await?;
    book.say("st-f3 goes on: on the third floor F12 is 不良, an unnotified partition (無届間仕切), two findings; → recorded.");
    book.claim(
        "st-f1's own tablet still shows 良 before any network",
        tablets.of("st-f1")?.value(rec, F12)?,
        json!("good"),
    );

    // The crew that goes on finds a network first; it makes no difference.
    tablets.of("st-f3")?.sync().await?;
    tablets.of("st-f1")?.sync().await?;
    tablets.of("st-f3")?.sync().await?;
    book.say("Both find a network, the second crew first.");
    disagreement(world, book, tablets, rec).await?;
    resolve(world, book, tablets, rec).await?;
    Ok(rec)
}

async fn arrive(tablets: &mut Tablets, rec: RecordId) -> Result<()> {
    let status = json!({ "from": "planned", "to": "on_site" });
    let first = tablets.of("st-f1")?;
    first.edit(rec, vec![set("status", status), set("interview", TALK.concat())]).await?;
    first.sync().await?;
    tablets.of("st-f3")?.sync().await?;
    Ok(())
}

fn span(world: &World, id: &str, from: i64, to: i64, ended_by: &str) -> Vec<Edit> {
    let cells = [
        ("inspected_from", world.minutes_ago(from)),
        ("inspected_to", world.minutes_ago(to)),
        ("ended_by", json!(ended_by)),
    ];
    row("spans", id, &cells)
}

fn inspector(login: &str, role: &str) -> Result<Vec<Edit>> {
    let staff = World::record("fire", &format!("staff:{login}"))?;
    Ok(row("inspectors", login, &[("staff", json!(staff)), ("role", json!(role))]))
}

fn checks(codes: std::ops::RangeInclusive<u32>, result: &str) -> Vec<Edit> {
    codes.map(|n| set(&format!("checks.F{n:02}.result"), result)).collect()
}

async fn first_crew(world: &World, crew: &mut Crew, rec: RecordId) -> Result<()> {
    let talk = [TALK[0], TALK_F1, TALK[1], TALK[2]].concat();
    let seen = vec![
        set("id_card_shown", "yes"),
        set("attendant_name", "見本 太一"),
        set("attendant_capacity", "owner"),
        set("interview", talk),
    ];
    crew.edit(rec, seen).await?;
    let mut found = checks(1..=12, "good");
    found.push(set("checks.F12.remark", "受信機に異常なし。一階と二階の感知器を確かめた。"));
    crew.edit(rec, found).await?;
    let mut leaving = span(world, "crew-1", 90, 50, "dispatch");
    leaving.extend(inspector("st-f1", "leader")?);
    leaving.push(set("status", json!({ "from": "on_site", "to": "suspended" })));
    crew.edit(rec, leaving).await?;
    Ok(())
}

async fn second_crew(world: &World, crew: &mut Crew, rec: RecordId) -> Result<()> {
    let talk = [TALK.concat().as_str(), TALK_F3].concat();
    let mut found = vec![
        set(F12, "bad"),
        set("checks.F12.remark", "三階の新しい間仕切りの内側に感知器がない。"),
        set("checks.F12.finding_ref", "crew-2-1"),
        set("interview", talk),
    ];
    found.extend(checks(13..=19, "na"));
    found.push(set("checks.F20.result", "bad"));
    found.push(set("checks.F20.remark", "三階の用途と間仕切りの変更が届け出られていない。"));
    found.push(set("checks.F20.finding_ref", "crew-2-2"));
    found.push(set("alteration_found", "unnotified"));
    crew.edit(rec, found).await?;
    for (id, clause, text) in [
        (
            "crew-2-1",
            "fire-17",
            "三階のカラオケ室に感知器を設け、自動火災報知設備の警戒を欠かないこと。",
        ),
        ("crew-2-2", "ord-alteration", "三階の用途変更と間仕切りの変更を届け出ること。"),
    ] {
        let clause = World::record("fire", &format!("clause:{clause}"))?;
        let cells = [
            ("place", json!("カラオケ室")),
            ("floor", json!("3階")),
            ("clause", json!(clause)),
            ("text", json!(text)),
            ("severity", json!("serious")),
            ("correct_by", world.date(30)?),
            ("status", json!("open")),
        ];
        crew.edit(rec, row("findings", id, &cells)).await?;
    }
    let mut closing = span(world, "crew-2", 80, 20, "completed");
    closing.extend(inspector("st-f3", "member")?);
    for code in ["03-ro", "02-ni", "15"] {
        closing.extend(row("use_confirmed", code, &[]));
    }
    closing.push(set("capacity_confirmed", 214));
    closing.push(set("report_due_on", world.date(14)?));
    closing.push(set("overall_opinion", "重大違反の疑いがある。予防課と協議し、結果通知を急ぐ。"));
    closing.push(set("status", json!({ "from": "on_site", "to": "recorded" })));
    crew.edit(rec, closing).await?;
    Ok(())
}

async fn disagreement(
    world: &World,
    book: &mut Book,
    tablets: &mut Tablets,
    rec: RecordId,
) -> Result<()> {
    let office = world.office("fire", "st-f2").await?;
    let record = shown(&office, rec).await?;
    let field = |path: &str| &record["view"]["fields"][path];
    book.claim(
        "the server shows the graver answer on F12, 不良, for the time being",
        &field(F12)["shown"],
        &json!("bad"),
    );
    book.claim(
        "… as a conflict that a person decides, never by 'last one wins'",
        &field(F12)["mark"],
        &json!("conflict"),
    );
    let answers: Vec<&Value> =
        field(F12)["versions"].as_array().into_iter().flatten().map(|v| &v["value"]).collect();
    book.holds(
        "… with both answers, each under its author",
        answers.len() == 2 && answers.contains(&&json!("good")),
        || field(F12)["versions"].to_string(),
    );
    let talk = field("interview")["shown"].as_str().unwrap_or_default();
    book.claim(
        "both crews added to the statements (関係者の説明), in different places: shown as one text with both additions",
        talk,
        [TALK[0], TALK_F1, TALK[1], TALK[2], TALK_F3].concat().as_str(),
    );
    let rows = |list: &str| record["view"]["lists"][list]["rows"].as_array().map_or(0, Vec::len);
    book.claim(
        "both crews' 査察員 and 検査日時 rows stand side by side",
        (rows("inspectors"), rows("spans")),
        (2, 2),
    );
    book.claim("both findings (指摘事項) are there", rows("findings"), 2);
    let state = field("status")["shown"]["to"].as_str().unwrap_or_default();
    book.claim("recorded goes before suspended: the inspection is not stuck", state, "recorded");

    let inbox = office.get("/v1/conflicts").await?;
    let listed = inbox["records"].as_array().into_iter().flatten();
    let mut listed = listed.map(|entry| &entry["record"]["rec"]);
    book.holds(
        "st-f2 予防係長 finds the record in the inbox of conflicts",
        listed.any(|r| *r == json!(rec)),
        || inbox.to_string(),
    );
    for login in ["st-f1", "st-f3"] {
        let seen = tablets.of(login)?.field(rec, F12)?;
        book.claim(
            &format!("{login}'s tablet shows the same conflict"),
            (seen.mark, seen.shown),
            (Mark::Conflict, json!("bad")),
        );
    }
    book.look(&format!("GET {}/v1/conflicts and /v1/records/{rec}", world.server.url));
    Ok(())
}

async fn resolve(
    world: &World,
    book: &mut Book,
    tablets: &mut Tablets,
    rec: RecordId,
) -> Result<()> {
    book.say("The crews telephone: st-f1 did not go to the third floor. st-f3 decides 不良 and tidies the texts, again without a network.");
    let crew = tablets.of("st-f3")?;
    let talk = crew.value(rec, "interview")?;
    let remark = "一階と二階は異常なし。三階の新しい間仕切りの内側に感知器がない。";
    crew.edit(rec, vec![set(F12, "bad"), set("checks.F12.remark", remark), set("interview", talk)])
        .await?;
    crew.sync().await?;
    tablets.of("st-f1")?.sync().await?;
    let record = shown(&world.office("fire", "st-f2").await?, rec).await?;
    book.claim("nothing is left to decide", &record["conflicts"], &json!([]));
    book.claim("… and nothing is missing for 決裁", &record["to_seal"]["problems"], &json!([]));
    let seen = tablets.of("st-f1")?.field(rec, F12)?;
    book.claim(
        "st-f1's tablet has the decision",
        (seen.mark, seen.shown),
        (Mark::Agreed, json!("bad")),
    );
    let versions = history_of(world, rec, F12).await?;
    book.claim("the history keeps all three answers with their authors", versions, 3);
    Ok(())
}

/// How many changes in the history of a record set a field.
async fn history_of(world: &World, rec: RecordId, path: &str) -> Result<usize> {
    let office = world.office("fire", "st-f2").await?;
    let history = office.get(&format!("/v1/records/{rec}/history?limit=200")).await?;
    let changes = history["changes"].as_array().context("changes")?;
    let sets = |change: &Value| {
        let ops = change["change"]["ops"].as_array().into_iter().flatten();
        ops.filter(|op| op["f"] == path).count()
    };
    Ok(changes.iter().map(sets).sum())
}
