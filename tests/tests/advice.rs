//! Advice against the real server: asked in a cellar, answered in the office, acknowledged on site, seen by who decides,
//! and by nobody of another station.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that is wrong about its own world should stop"
)]

use genba_tests::bureau::{BUCKET, Bureau, Failure, Tablet};
use genba_tests::uploads::camera::Shot;
use serde_json::Value;
use storage::testing::TestResult;
use sync_protocol::blob::MediaType;

const TAINT: &str = "taint-karaoke";

/// Who takes part, and the inspection.
struct Scene {
    bureau: Bureau,
    site: Tablet,
    adviser: Tablet,
    north: Tablet,
    inspection: String,
}

impl Scene {
    async fn open(name: &str) -> Result<Self, Failure> {
        let bureau = Bureau::open(name).await?;
        let url = bureau.server.url.clone();
        let (site, _) = bureau.tablet("site", "inspector")?;
        let (adviser, _) = bureau.tablet("adviser", "adviser")?;
        let (office, _) = bureau.tablet("office", "supervisor")?;
        let (north, _) = bureau.tablet_of("north", "inspector", "station:fs-north", &url)?;
        let kind = "fire_prevention_property";
        let property = office.says(&["new", kind, "--in", BUCKET, "name=見本町ビル"])?;
        office.says(&["sync"])?;
        site.says(&["sync"])?;
        let about = ["new", "fire_inspection", "--about", &property, "inspection_type=regular"];
        let inspection = site.says(&about)?;
        for tablet in [&site, &adviser] {
            tablet.says(&["sync"])?;
        }
        Ok(Self { bureau, site, adviser, north, inspection })
    }

    /// Asks without a network; tells the session.
    fn ask(&self, more: &[&str]) -> Result<String, Failure> {
        let question = format!("{TAINT}: 間仕切で区切った部屋に感知器がない");
        let ask = ["advise", "ask", &self.inspection, "--question", &question];
        first_word(&self.site.says(&[&ask, more].concat())?)
    }

    /// A page of a manual with its edition, and a clause, that everybody holds: their ids.
    fn library(&self) -> Result<(String, String, String), Failure> {
        let url = &self.bureau.server.url;
        let (library, _) = self.bureau.tablet_of("library", "supervisor", "everyone", url)?;
        let new = |kind: &str, fields: &[&str]| {
            library.says(&[&["new", kind, "--in", "everyone"], fields].concat())
        };
        let edition = new("manual_edition", &["title=査察の手引", "edition=2025年版"])?;
        let of = format!("manual_edition={edition}");
        let page =
            new("manual_page", &[&of, "page_no=12", "title=間仕切変更時の自動火災報知設備"])?;
        let clause = new("clause", &["law=消防法施行令", "article=第21条"])?;
        library.says(&["sync"])?;
        Ok((edition, page, clause))
    }
}

/// The first word that a command says: the id of what it began.
fn first_word(said: &str) -> Result<String, Failure> {
    Ok(said.split_whitespace().next().ok_or("nothing was said")?.to_owned())
}

/// The id that `answer` tells of a piece of advice.
fn item_of(said: &str) -> Result<String, Failure> {
    let line = said.lines().find_map(|line| line.strip_prefix("advice "));
    Ok(line.ok_or_else(|| format!("no advice in {said}"))?.to_owned())
}

fn thread(tablet: &Tablet, session: &str) -> Result<Value, Failure> {
    tablet.json(&["advise", "show", session])
}

fn user(tablet: &Tablet) -> Result<Value, Failure> {
    tablet.told(&["status"], "user")
}

fn words(list: &Value, member: &str) -> Vec<String> {
    let all = list.as_array().into_iter().flatten();
    all.map(|one| one[member].as_str().unwrap_or_default().to_owned()).collect()
}

fn about(rec: &str, kind: &str) -> String {
    format!("/v1/records?about={rec}&type={kind}")
}

/// The records of one thread, and the hash of its still.
struct Advice {
    session: String,
    item: String,
    still: String,
    hash: String,
}

/// From the inspection to its sessions, to their advice, to who said what.
async fn seen_by_who_decides(scene: &Scene, advice: &Advice) -> TestResult {
    let Scene { bureau, site, adviser, inspection, .. } = scene;
    let Advice { session, item, .. } = advice;
    let chief = bureau.console("chief", "approver", BUCKET).await?;
    let sessions = chief.get(&about(inspection, "advice_session")).await?;
    assert_eq!(words(&sessions["records"], "rec"), [session.as_str()]);
    assert_eq!(words(&sessions["records"], "status"), ["answered"]);
    let items = chief.get(&about(session, "advice_item")).await?;
    let row = &items["records"][0];
    assert_eq!(row["title"], "命令は書かず、結果通知で期限を示す");
    assert_eq!((&row["created_by"], &row["status"]), (&user(adviser)?, &"not_followed".into()));
    let told = chief.get(&format!("/v1/records/{item}")).await?;
    let step = &told["view"]["fields"]["status"];
    assert_eq!(step["shown"]["why"], "相手方が不在");
    assert_eq!(step["versions"][0]["by"], user(site)?);
    let history = chief.get(&format!("/v1/records/{item}/history")).await?;
    assert_eq!(
        history["changes"].as_array().map(Vec::len),
        Some(3),
        "given, acknowledged, not followed"
    );
    let stills = chief.get(&about(session, "advice_still")).await?;
    assert_eq!(stills["records"][0]["media"], serde_json::json!({ "have": 1, "of": 1 }));
    Ok(())
}

async fn seen_by_nobody_of_another_station(scene: &Scene, advice: &Advice) -> TestResult {
    let Scene { bureau, site, north, inspection, .. } = scene;
    let Advice { session, item, still, hash } = advice;
    assert!(site.traces(TAINT)? > 0, "the search finds what is there");
    north.says(&["sync"])?;
    assert_eq!(north.json(&["advise", "list"])?, serde_json::json!([]));
    assert_eq!(north.traces(TAINT)?, 0);
    let stranger = bureau.console("stranger", "supervisor", "station:fs-north").await?;
    for rec in [session, item, still] {
        let (status, _) = stranger.try_get(&format!("/v1/records/{rec}")).await?;
        assert_eq!(status.as_u16(), 404);
    }
    for (rec, kind) in [(inspection, "advice_session"), (session, "advice_item")] {
        assert_eq!(stranger.get(&about(rec, kind)).await?["records"], serde_json::json!([]));
    }
    let (status, _) = stranger.try_get(&format!("/v1/records/{still}/media/{hash}")).await?;
    assert_eq!(status.as_u16(), 404);
    Ok(())
}

#[tokio::test]
async fn advice_goes_from_the_cellar_to_who_decides() -> TestResult {
    let scene = Scene::open("advice").await?;
    let Scene { bureau, site, adviser, .. } = &scene;
    let (edition, page, clause) = scene.library()?;
    let shot = Shot::new(MediaType::Jpeg, 40_000, 7);
    let file = bureau.folder.path().join("still.jpg");
    std::fs::write(&file, &shot.bytes)?;

    // In the cellar: nothing of this needs a network.
    let session = scene.ask(&["--urgency", "on-site", "--still", &file.display().to_string()])?;
    let asked = thread(site, &session)?;
    assert_eq!((&asked["state"], &asked["entries"][0]["sent"]), (&"asked".into(), &false.into()));
    assert!(site.says(&["advise", "show", &session])?.contains("not sent yet"));
    site.says(&["sync"])?;

    // In the office.
    adviser.says(&["sync"])?;
    let listed = adviser.json(&["advise", "list"])?;
    assert_eq!(words(&listed, "session"), [session.as_str()]);
    assert_eq!(listed[0]["asked_by"], user(site)?);
    let still = listed[0]["entries"][0]["rec"].as_str().ok_or("a still")?.to_owned();
    let fetched = bureau.folder.path().join("fetched.jpg").display().to_string();
    let hash = shot.blob.sha256.to_string();
    adviser.says(&["media", &still, &hash, "--save", &fetched])?;
    assert_eq!(std::fs::read(&fetched)?, shot.bytes, "the adviser sees what is seen on site");
    let said = adviser.says(&[
        "advise",
        "answer",
        &session,
        "--text",
        "受信機のラベルも撮ってください",
        "--item",
        "命令は書かず、結果通知で期限を示す",
        "--clause",
        &clause,
        "--page",
        &page,
    ])?;
    let item = item_of(&said)?;
    adviser.says(&["sync"])?;

    // On site again.
    site.says(&["sync"])?;
    let answered = thread(site, &session)?;
    assert_eq!(answered["state"], "answered");
    let kinds = ["advice_still", "advice_message", "advice_item"];
    assert_eq!(words(&answered["entries"], "type"), kinds);
    let advice = &answered["entries"][2];
    assert_eq!((&advice["rec"], &advice["by"]), (&item.as_str().into(), &user(adviser)?));
    assert_eq!(advice["clause"], clause.as_str());
    assert_eq!(advice["manual_page"], page.as_str());
    assert_eq!(advice["manual_edition"], edition.as_str());
    assert_eq!(advice["fate"]["state"], "given");
    let shown = site.says(&["advise", "show", &session])?;
    for words in ["第21条", "間仕切変更時の自動火災報知設備", "査察の手引", "not acknowledged yet"]
    {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    assert!(site.says(&["advise", "list"])?.contains("1 to be acknowledged"));
    site.says(&["advise", "acknowledge", &item])?;
    let unsent = &thread(site, &session)?["entries"][2];
    assert_eq!((&unsent["sent"], &unsent["fate"]["sent"]), (&true.into(), &false.into()));
    site.says(&["sync"])?;
    let no = ["advise", "acknowledge", &item, "--followed", "no"];
    assert_eq!(site.fails(&no)?.0, Some(2), "without a reason");
    site.says(&[&no[..], &["--why", "相手方が不在"]].concat())?;
    assert_eq!(site.fails(&["advise", "acknowledge", &item])?.0, Some(4), "it is said already");
    for tablet in [site, adviser] {
        tablet.says(&["sync"])?;
    }
    let seen = thread(adviser, &session)?;
    assert_eq!(seen, thread(site, &session)?, "one order and one fate for everybody");
    let fate = &seen["entries"][2]["fate"];
    assert_eq!((&fate["state"], &fate["why"]), (&"not_followed".into(), &"相手方が不在".into()));
    assert_eq!(fate["by"], user(site)?);

    assert_eq!(fate["changed_since"], false);

    let advice = Advice { session, item, still, hash };
    seen_by_who_decides(&scene, &advice).await?;
    seen_by_nobody_of_another_station(&scene, &advice).await?;
    Ok(scene.bureau.server.stop()?)
}

#[tokio::test]
async fn nobody_does_the_part_of_the_other_side() -> TestResult {
    let scene = Scene::open("advice-roles").await?;
    let Scene { site, adviser, .. } = &scene;
    let session = scene.ask(&[])?;
    site.says(&["sync"])?;
    adviser.says(&["sync"])?;
    let item = item_of(&adviser.says(&["advise", "answer", &session, "--item", "通知する"])?)?;
    adviser.says(&["sync"])?;
    site.says(&["sync"])?;

    // Past the commands, as a tablet of another maker might: kept in quarantine, and shown to nobody as said.
    adviser.says(&["set", &item, "status", r#"{"from":"given","to":"followed"}"#])?;
    adviser.says(&["sync"])?;
    site.says(&["new", "advice_item", "--about", &session, "text=自分で書いた助言"])?;
    site.says(&["sync"])?;
    for tablet in [adviser, site, adviser] {
        tablet.says(&["sync"])?;
    }
    for tablet in [adviser, site] {
        let quarantined = tablet.told(&["status"], "quarantined")?;
        assert_eq!(quarantined[0]["code"], "forbidden", "{quarantined}");
    }
    let chief = scene.bureau.console("chief", "approver", BUCKET).await?;
    let items = chief.get(&format!("/v1/records?about={session}&type=advice_item")).await?;
    assert_eq!(words(&items["records"], "title"), ["通知する"], "only the adviser's");
    assert_eq!(items["records"][0]["status"], Value::Null, "nobody on site has acknowledged it");
    Ok(scene.bureau.server.stop()?)
}

#[tokio::test]
async fn each_refusal_has_its_exit_code_and_a_way_out() -> TestResult {
    let scene = Scene::open("advice-codes").await?;
    let Scene { bureau, site, adviser, inspection, .. } = &scene;
    let property = site.json(&["list", "--type", "fire_prevention_property"])?;
    let property = property[0]["rec"].as_str().ok_or("a property")?;
    let (library, _) = bureau.tablet_of("library", "supervisor", "everyone", &bureau.server.url)?;
    let page = library.says(&["new", "manual_page", "--in", "everyone", "title=版のない頁"])?;
    library.says(&["sync"])?;
    let session = scene.ask(&[])?;
    site.says(&["sync"])?;
    adviser.says(&["sync"])?;
    let answer = ["advise", "answer", &session];
    let unknown = "01990000-0000-7000-8000-000000000001";
    let cases: [(&Tablet, Vec<&str>, i32, &str); 9] = [
        (site, vec!["advise", "ask", property, "--question", "?"], 4, "advice is asked about"),
        (site, vec!["advise", "ask", unknown, "--question", "?"], 1, "genba-tablet list"),
        (site, vec!["advise", "ask", inspection, "--question", ""], 4, "is empty"),
        (site, [&answer[..], &["--text", "!"]].concat(), 4, "advise say"),
        (adviser, answer.to_vec(), 2, "--text"),
        (adviser, [&answer[..], &["--text", "!", "--page", property]].concat(), 2, "--item"),
        (adviser, [&answer[..], &["--item", "!", "--page", property]].concat(), 4, "manual_page"),
        (adviser, [&answer[..], &["--item", "!", "--page", &page]].concat(), 4, "no edition"),
        (adviser, [&answer[..], &["--item", "!", "--clause", unknown]].concat(), 1, "not on this"),
    ];
    for (tablet, words, code, told) in cases {
        let (ended, complaint) = tablet.fails(&words)?;
        assert_eq!(ended, Some(code), "{words:?}: {complaint}");
        assert!(complaint.contains(told), "{words:?}: {complaint}");
    }
    assert_eq!(thread(adviser, &session)?["entries"], serde_json::json!([]), "nothing was written");
    assert_eq!(adviser.json(&["status"])?["unsent"], 0);
    Ok(scene.bureau.server.stop()?)
}

#[tokio::test]
async fn a_thread_moves_with_its_building() -> TestResult {
    let scene = Scene::open("advice-moves").await?;
    let Scene { bureau, site, adviser, north, .. } = &scene;
    let session = scene.ask(&[])?;
    site.says(&["sync"])?;
    adviser.says(&["sync"])?;
    adviser.says(&["advise", "answer", &session, "--item", "通知する"])?;
    adviser.says(&["sync"])?;
    site.says(&["sync"])?;
    let (before, there) = (thread(site, &session)?, ["--bucket", "station:fs-north"]);
    let property = site.json(&["list", "--type", "fire_prevention_property"])?;
    let property = property[0]["rec"].as_str().ok_or("a property")?;
    let planner = bureau.console("planner", "supervisor", BUCKET).await?;
    let who = [&there[..], &["--tenant", "fire", "--login", "planner"]].concat();
    bureau.admin(&["grant", "--online", "--role", "supervisor"], &who)?;
    let to = serde_json::json!({ "to": ["station:fs-north"] });
    planner.post(&format!("/v1/records/{property}/move"), &to).await?;
    for tablet in [site, adviser, north] {
        tablet.says(&["sync"])?;
    }
    let after = thread(north, &session)?;
    assert_eq!((&after["entries"], &after["state"]), (&before["entries"], &"answered".into()));
    for tablet in [site, adviser] {
        assert_eq!(tablet.json(&["advise", "list"])?, serde_json::json!([]));
    }
    Ok(scene.bureau.server.stop()?)
}

#[tokio::test]
async fn advice_that_changes_after_it_was_acknowledged_is_marked() -> TestResult {
    let scene = Scene::open("advice-changed").await?;
    let Scene { site, adviser, .. } = &scene;
    let session = scene.ask(&[])?;
    site.says(&["sync"])?;
    adviser.says(&["sync"])?;
    let item =
        item_of(&adviser.says(&["advise", "answer", &session, "--item", "口頭で伝える"])?)?;
    adviser.says(&["sync"])?;
    site.says(&["sync"])?;
    site.says(&["advise", "acknowledge", &item, "--followed", "yes"])?;
    site.says(&["sync"])?;
    adviser.says(&["sync"])?;
    adviser.says(&["set", &item, "text", "文書で伝える"])?;
    adviser.says(&["sync"])?;
    site.says(&["sync"])?;
    let seen = thread(site, &session)?;
    assert_eq!(seen["entries"][0]["text"], "文書で伝える");
    let fate = &seen["entries"][0]["fate"];
    assert_eq!((&fate["state"], &fate["changed_since"]), (&"followed".into(), &true.into()));
    assert!(site.says(&["advise", "show", &session])?.contains("changed after that"));
    Ok(scene.bureau.server.stop()?)
}

#[tokio::test]
async fn an_answer_that_crosses_a_withdrawal_is_seen() -> TestResult {
    let scene = Scene::open("advice-crossing").await?;
    let Scene { site, adviser, .. } = &scene;
    let session = scene.ask(&["--urgency", "later"])?;
    site.says(&["sync"])?;
    adviser.says(&["sync"])?;
    // Both are without a network.
    adviser.says(&["advise", "answer", &session, "--text", "届出が要る"])?;
    site.says(&["advise", "withdraw", &session])?;
    for tablet in [site, adviser, site] {
        tablet.says(&["sync"])?;
    }
    let seen = thread(site, &session)?;
    assert_eq!(seen, thread(adviser, &session)?);
    assert_eq!(seen["state"], "answered", "an answer that is there is not hidden");
    assert_eq!(words(&seen["entries"], "text"), ["届出が要る"]);
    site.says(&["advise", "end", &session, "--outcome", "届出を求めた"])?;
    for tablet in [site, adviser] {
        tablet.says(&["sync"])?;
    }
    let ended = thread(adviser, &session)?;
    assert_eq!((&ended["state"], &ended["outcome"]), (&"ended".into(), &"届出を求めた".into()));
    Ok(scene.bureau.server.stop()?)
}
