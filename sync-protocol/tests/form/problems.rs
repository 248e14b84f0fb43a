//! What the forms of the product find missing or wrong, and what they compute.

use crate::{TestResult, answers::Answers, form};
use proptest::prelude::*;
use serde_json::{Value, json};
use sync_protocol::blob::VIDEO_BYTES_MAX;
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::{Form, Level, Problem};

const STAFF: &str = "01990000-0000-7000-8000-0000000000f1";
const SUBJECT: &str = "01990000-0000-7000-8000-0000000000a1";

fn at() -> UnixMillis {
    UnixMillis::parse("2026-11-22T06:00:00.000Z").unwrap_or_default()
}

fn found(form: &Form, answers: &Answers) -> Vec<String> {
    form.problems(answers, at())
        .into_iter()
        .map(|Problem { path, code, .. }| format!("{path} {code}"))
        .collect()
}

/// A fire inspection that may be submitted: every check good.
fn whole_fire_inspection() -> Answers {
    let mut answers = Answers::of(&json!({
        "property": SUBJECT, "inspection_type": "regular", "basis": "art-4", "planned_on": "2026-11-22",
        "spans/s1/inspected_from": "2026-11-22T04:00:00.000Z", "spans/s1/inspected_to": "2026-11-22T05:00:00.000Z",
        "inspectors/i1/staff": STAFF, "inspectors/i1/role": "leader", "id_card_shown": "yes",
        "attendant_name": "見本 太郎", "attendant_capacity": "owner", "use_confirmed/04": null,
        "capacity_confirmed": 340, "alteration_found": "none", "overall_opinion": "良好。"}));
    for check in 1..=20 {
        answers = answers.with(&format!("checks.F{check:02}.result"), json!("good"));
    }
    answers
}

#[test]
fn a_whole_inspection_has_no_problem() -> TestResult {
    assert_eq!(found(&form("fire_inspection")?, &whole_fire_inspection()), [""; 0]);
    Ok(())
}

#[test]
fn an_empty_inspection_lacks_what_the_form_requires_and_can_be_saved() -> TestResult {
    let problems = form("fire_inspection")?.problems(&Answers::default(), at());
    assert!(
        problems.iter().all(|problem| problem.level == Level::Submit && problem.code == "required")
    );
    assert_eq!(problems.len(), 12 + 20, "{problems:#?}");
    let first = problems.first().ok_or("a problem")?;
    assert_eq!(
        (first.path.as_str(), first.ja.as_str()),
        ("property", "「防火対象物」を入力してください")
    );
    assert_eq!(first.en, "Property: an answer is required");
    Ok(())
}

#[test]
fn each_wrong_answer_of_a_fire_inspection_is_named() -> TestResult {
    let form = form("fire_inspection")?;
    let long = "長".repeat(101);
    let cases: [(&str, Value, &[&str]); 24] = [
        ("property", json!("p-01"), &["property kind"]),
        ("basis", json!("art-5"), &["basis choice"]),
        ("planned_on", json!("2026-02-30"), &["planned_on kind"]),
        ("planned_on", json!("2026-11-22T00:00:00.000Z"), &["planned_on kind"]),
        ("attendant_name", json!(long), &["attendant_name too_long"]),
        ("attendant_name", json!(7), &["attendant_name kind"]),
        ("attendant_name", json!(" "), &["attendant_name required"]),
        ("capacity_confirmed", json!("many"), &["capacity_confirmed kind"]),
        ("capacity_confirmed", json!(0), &[]),
        ("capacity_confirmed", json!(-1), &["capacity_confirmed range"]),
        ("capacity_confirmed", json!(99_999), &[]),
        ("capacity_confirmed", json!(100_000), &["capacity_confirmed range"]),
        ("site_location", json!({"lat": "43.77", "lon": "142.36", "accuracy_m": 12}), &[]),
        ("site_location", json!({"lat": "143.77", "lon": "142.36"}), &["site_location kind"]),
        ("site_location", json!({"lat": "43.77"}), &["site_location kind"]),
        ("use_confirmed/99", Value::Null, &["use_confirmed choice"]),
        ("submit_requested", json!("yes"), &["submit_requested kind"]),
        ("checks.F07.result", json!("fine"), &["checks.F07.result choice"]),
        ("checks.F07.result", json!("na"), &[]),
        ("checks.F07.result", json!("unchecked"), &["checks.F07.remark unchecked_reason"]),
        (
            "alteration_found",
            json!("unnotified"),
            &["alteration_found unnotified_alteration_without_finding"],
        ),
        (
            "spans/s1/inspected_to",
            json!("2026-11-22T03:59:59.999Z"),
            &["spans/s1/inspected_to ends_before_it_begins"],
        ),
        ("spans/s1/inspected_to", json!("2026-11-22T06:15:00.000Z"), &[]),
        (
            "spans/s1/inspected_to",
            json!("2026-11-22T06:15:00.001Z"),
            &["spans/s1/inspected_to ends_in_the_future"],
        ),
    ];
    for (path, value, expected) in cases {
        let answers = whole_fire_inspection().with(path, value.clone());
        assert_eq!(found(&form, &answers), expected, "{path} = {value}");
    }
    Ok(())
}

#[test]
fn a_bad_check_needs_a_remark_and_a_finding_and_a_date_for_the_reply() -> TestResult {
    let form = form("fire_inspection")?;
    let bad = whole_fire_inspection().with("checks.F07.result", json!("bad"));
    assert_eq!(
        found(&form, &bad),
        ["checks.F07.remark bad_remark", "checks.F07.finding_ref bad_finding", "findings required"]
    );
    let named = bad
        .with("checks.F07.remark", json!("自転車が置かれている。"))
        .with("checks.F07.finding_ref", json!("r1"))
        .with("findings/r1/place", json!("2階階段"))
        .with("findings/r1/text", json!("避難の支障となる物品。"))
        .with("findings/r1/severity", json!("general"));
    assert_eq!(found(&form, &named), ["report_due_on required"]);
    let due = named.with("report_due_on", json!("2026-12-06"));
    assert_eq!(found(&form, &due), [""; 0]);
    assert_eq!(
        found(&form, &due.clone().with("checks.F07.finding_ref", json!("r9"))),
        ["checks.F07.finding_ref bad_finding"]
    );
    assert_eq!(
        found(&form, &due.clone().with("findings/r1/correct_by", json!("2026-11-21"))),
        ["findings/r1/correct_by finding_due_before_the_plan"]
    );
    assert_eq!(
        found(&form, &due.with("findings/r2/text", json!("別の指摘。"))),
        ["findings/r2/place required", "findings/r2/severity required"]
    );
    Ok(())
}

#[test]
fn an_unchecked_item_with_its_reason_is_answered() -> TestResult {
    let form = form("fire_inspection")?;
    let unchecked = whole_fire_inspection().with("checks.F11.result", json!("unchecked"));
    assert_eq!(found(&form, &unchecked), ["checks.F11.remark unchecked_reason"]);
    let reasoned = unchecked.with("checks.F11.remark", json!("機械室が施錠されていた。"));
    assert_eq!(found(&form, &reasoned), [""; 0]);
    Ok(())
}

#[test]
fn a_refused_inspection_asks_for_the_refusal_and_not_for_the_checks() -> TestResult {
    let form = form("fire_inspection")?;
    let mut refused = whole_fire_inspection().with("attendant_capacity", json!("refused"));
    for check in 1..=20 {
        refused = refused.without(&format!("checks.F{check:02}.result"));
    }
    refused = refused.without("capacity_confirmed").without("alteration_found");
    assert_eq!(found(&form, &refused), ["refusal required"]);
    assert_eq!(found(&form, &refused.with("refusal", json!("立入りを拒まれた。"))), [""; 0]);
    Ok(())
}

#[test]
fn one_signature_is_enough() -> TestResult {
    let form = form("fire_inspection")?;
    let signed = whole_fire_inspection().with("notice_received_by/a", json!({"name": "見本 太郎"}));
    assert_eq!(found(&form, &signed), [""; 0]);
    let twice = signed.with("notice_received_by/b", json!({"name": "例示 花子"}));
    assert_eq!(found(&form, &twice), ["notice_received_by too_many"]);
    Ok(())
}

#[test]
fn a_photo_names_bytes_that_can_be_stored() -> TestResult {
    let form = form("fire_inspection")?;
    let named = |mime: &str, bytes: u64| json!({"sha256": "0a".repeat(32), "bytes": bytes, "mime": mime, "taken_at": "x"});
    let most = named("video/mp4", VIDEO_BYTES_MAX);
    for (payload, good) in [
        (named("image/jpeg", 1), true),
        (most, true),
        (named("video/mp4", VIDEO_BYTES_MAX + 1), false),
        (named("image/jpeg", 0), false),
        (named("image/svg+xml", 1), false),
        (json!({"sha256": "0a"}), false),
        (json!("photo.jpg"), false),
        (json!([]), false),
        (Value::Null, false),
    ] {
        for list in ["photos", "drawings", "checks.F07.photos"] {
            let path = format!("{list}/p1");
            let answers = whole_fire_inspection().with(&path, payload.clone());
            let expected: &[String] = if good { &[] } else { &[format!("{path} bad_blob")] };
            assert_eq!(found(&form, &answers), expected, "{path} = {payload}");
        }
        let signed = whole_fire_inspection().with("notice_received_by/a", payload.clone());
        let signature: &[&str] = if good || payload.get("sha256").is_none() {
            &[]
        } else {
            &["notice_received_by/a bad_blob"]
        };
        assert_eq!(found(&form, &signed), signature, "a signature of {payload}");
    }
    let problems = form.problems(&whole_fire_inspection().with("photos/p1", json!("x")), at());
    let told = problems.first().ok_or("a problem")?;
    assert_eq!(told.level, Level::Submit);
    assert_eq!(told.ja, "「写真」に写真・動画として保存できない項目があります");
    assert_eq!(told.en, "Photos: names no photo or video that can be stored");
    Ok(())
}

#[test]
fn a_video_elsewhere_lies_on_an_allowed_host() -> TestResult {
    for form in [form("fire_inspection")?, form("sanitation_inspection")?] {
        let of = |url: Value| {
            let answers = Answers::default().with("video_refs/v1/url", url);
            let found = found(&form, &answers);
            found
                .into_iter()
                .filter(|problem| problem.starts_with("video_refs"))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(json!("https://video.city.example/v/1")), [""; 0]);
        assert_eq!(of(json!("https://a.video.city.example/v/1")), [""; 0]);
        assert_eq!(of(Value::Null), ["video_refs/v1/url required"]);
        for url in [
            json!("https://evil.example/v/1"),
            json!("http://video.city.example/v/1"),
            json!(7),
            json!({}),
        ] {
            assert_eq!(of(url.clone()), ["video_refs/v1/url video_url"], "{url}");
        }
    }
    let form = form("fire_inspection")?;
    let wrong = whole_fire_inspection().with("video_refs/v1/url", json!("ftp://a.example"));
    let problems = form.problems(&wrong, at());
    let told = problems.first().ok_or("a problem")?;
    assert_eq!(
        told.ja,
        "「アドレス」は許可されたホストの https:// のURLにしてください (video.city.example, *.video.city.example)"
    );
    assert_eq!(
        told.en,
        "Address: not an https:// address on an allowed host (video.city.example, *.video.city.example)"
    );
    Ok(())
}

fn whole_visit() -> Answers {
    let mut answers = Answers::of(&json!({
        "household": SUBJECT, "entry_kind": "visit", "visit_class": "planned", "visit_purpose/living": null,
        "visited_at": "2026-11-22T04:00:00.000Z", "left_at": "2026-11-22T04:40:00.000Z", "place": "home",
        "met_persons/m1/name": "本人", "living_conditions": "室内は片付いている(目視)。", "health": "通院を続けている(本人)。",
        "work_income": "就労なし(本人)。", "support_policy_review": "no_change", "next_visit_on": "2027-02-01",
        "duty_explained_on": "2026-11-22"}));
    for check in 1..=14 {
        answers = answers.with(&format!("checks.W{check:02}.result"), json!("good"));
    }
    answers
}

#[test]
fn a_visit_where_nobody_was_home_is_a_result() -> TestResult {
    let form = form("case_visit")?;
    assert_eq!(found(&form, &whole_visit()), [""; 0]);
    let absent = Answers::of(&json!({
        "household": SUBJECT, "entry_kind": "visit", "visit_class": "absent", "visit_purpose/living": null,
        "visited_at": "2026-11-22T04:00:00.000Z", "left_at": "2026-11-22T04:05:00.000Z", "place": "home",
        "absence_slip_left": true, "next_visit_on": "2026-11-29"}));
    assert_eq!(found(&form, &absent), [""; 0]);
    assert_eq!(
        found(&form, &absent.clone().without("absence_slip_left")),
        ["absence_slip_left required"]
    );
    let telephone = absent.with("entry_kind", json!("telephone"));
    assert!(found(&form, &telephone).contains(&"living_conditions required".to_owned()));
    Ok(())
}

#[test]
fn each_wrong_answer_of_a_visit_is_named() -> TestResult {
    let form = form("case_visit")?;
    let cases: [(&str, Value, &[&str]); 8] = [
        ("left_at", json!("2026-11-22T03:00:00.000Z"), &["left_at leaves_before_arriving"]),
        ("next_visit_on", json!("2026-11-21"), &["next_visit_on next_visit_before_this_one"]),
        ("next_visit_on", json!("2026-11-22"), &[]),
        ("place", json!("elsewhere"), &["place_text required"]),
        ("support_policy_review", json!("changed"), &["support_policy_new required"]),
        ("met_persons/m2/relation", json!("長女"), &["met_persons/m2/name person_without_name"]),
        ("incomes/i1/amount", json!(-1), &["incomes/i1/amount range", "incomes/i1/month required"]),
        ("checks.W03.result", json!("bad"), &["checks.W03.remark bad_remark"]),
    ];
    for (path, value, expected) in cases {
        assert_eq!(
            found(&form, &whole_visit().with(path, value.clone())),
            expected,
            "{path} = {value}"
        );
    }
    Ok(())
}

#[test]
fn a_my_number_is_found_wherever_text_is_written() -> TestResult {
    let form = form("case_visit")?;
    let number = json!("番号は1234-5678-9018と聞いた。");
    for path in [
        "assets",
        "place_text",
        "checks.W05.remark",
        "incomes/i1/doc",
        "sv_comment/c1",
        "unknown_elsewhere",
    ] {
        let answers = whole_visit()
            .with("incomes/i1/amount", json!(0))
            .with("incomes/i1/month", json!("2026-10"));
        let expected: &[String] =
            if path == "unknown_elsewhere" { &[] } else { &[format!("{path} my_number")] };
        assert_eq!(found(&form, &answers.with(path, number.clone())), expected, "{path}");
    }
    let near = json!("番号は1234-5678-9019と聞いた。");
    assert_eq!(found(&form, &whole_visit().with("assets", near)), [""; 0]);
    let sha256 = format!("{}123456789018", "a".repeat(52));
    let photo = json!({"sha256": sha256, "bytes": 1, "mime": "image/jpeg", "staff": STAFF});
    assert_eq!(found(&form, &whole_visit().with("photos/p1", photo)), [""; 0]);
    Ok(())
}

#[test]
fn derived_values_follow_the_checks_and_the_findings() -> TestResult {
    let form = form("fire_inspection")?;
    let derived = |answers: &Answers| Value::Object(form.derived(answers).into_iter().collect());
    let good = whole_fire_inspection();
    assert_eq!(derived(&good), json!({"any_bad": false, "notice_required": false}));
    let bad =
        good.with("checks.F07.result", json!("bad")).with("findings/r1/text", json!("物品。"));
    assert_eq!(derived(&bad), json!({"any_bad": true, "notice_required": true}));
    Ok(())
}

#[test]
fn the_score_weighs_what_was_looked_at() -> TestResult {
    let form = form("sanitation_inspection")?;
    let cases = [
        (json!({}), Value::Null, false),
        (json!({"checks.H01.result": "na", "checks.H02.result": "unchecked"}), Value::Null, false),
        (json!({"checks.H01.result": "good"}), json!("100.0"), false),
        (json!({"checks.H01.result": "bad"}), json!("0.0"), true),
        (json!({"checks.H08.result": "good", "checks.H05.result": "bad"}), json!("66.7"), false),
        (
            json!({"checks.H06.result": "good", "checks.H01.result": "bad", "checks.H03.result": "na"}),
            json!("37.5"),
            true,
        ),
        (json!({"checks.H19.result": "good", "checks.H05.result": "bad"}), json!("33.3"), false),
        (json!({"plan_exists.result": "bad", "checks.H19.result": "good"}), json!("100.0"), false),
        (
            json!({"variant": "bath", "checks.B02.result": "bad", "checks.B04.result": "good"}),
            json!("37.5"),
            true,
        ),
        (
            json!({"variant": "bath", "checks.B01.result": "good", "checks.H01.result": "bad"}),
            json!("100.0"),
            false,
        ),
        (json!({"checks.B02.result": "bad", "checks.H01.result": "good"}), json!("100.0"), false),
    ];
    for (answers, score, critical) in cases {
        let derived = form.derived(&Answers::of(&answers));
        assert_eq!(derived.get("score"), Some(&score), "{answers}");
        assert_eq!(derived.get("any_critical_bad"), Some(&json!(critical)), "{answers}");
    }
    Ok(())
}

/// Section D is the one of the facility: of every other kind nothing is asked and nothing counts.
#[test]
fn an_inspection_is_asked_for_the_items_of_its_facility() -> TestResult {
    let form = form("sanitation_inspection")?;
    let whole = Answers::of(&json!({
        "facility": SUBJECT, "purpose": "regular", "attendant": "見本 太郎",
        "entered_at": "2026-11-22T04:00:00.000Z", "left_at": "2026-11-22T05:00:00.000Z",
        "inspectors/i1/staff": STAFF, "inspectors/i1/role": "leader"}));
    for (variant, letter, count, others) in [
        (None, 'H', 20, 3),
        (Some("food"), 'H', 20, 3),
        (Some("hotel"), 'R', 8, 0),
        (Some("bath"), 'B', 7, 0),
        (Some("salon"), 'S', 7, 0),
        (Some("cleaning"), 'C', 6, 0),
        (Some("entertainment"), 'T', 6, 0),
        (Some("building"), 'P', 7, 0),
    ] {
        let mut answers = whole.clone();
        if let Some(variant) = variant {
            answers = answers.with("variant", json!(variant));
        }
        let asked = found(&form, &answers);
        let own: Vec<String> =
            (1..=count).map(|n| format!("checks.{letter}{n:02}.result required")).collect();
        assert!(own.iter().all(|item| asked.contains(item)), "{variant:?}: {asked:?}");
        assert_eq!(asked.len(), own.len() + others, "{variant:?}: {asked:?}");
        for n in 1..=count {
            answers = answers.with(&format!("checks.{letter}{n:02}.result"), json!("good"));
        }
        if others > 0 {
            answers = answers
                .with("haccp_level", json!("based"))
                .with("plan_exists.result", json!("good"))
                .with("records_kept.result", json!("good"));
        }
        answers = answers.with("temperatures/t1/place", json!("浴室"));
        answers = answers.with("temperatures/t1/celsius", json!("42"));
        answers = answers.with("temperatures/t1/limit", json!("10"));
        answers = answers.with("temperatures/t1/at", json!("2026-11-22T04:10:00.000Z"));
        let warm: &[&str] =
            if others > 0 { &["temperatures/t1/celsius too_warm_without_a_bad_item"] } else { &[] };
        assert_eq!(found(&form, &answers), warm, "{variant:?}");
        let derived = form.derived(&answers);
        assert_eq!(derived.get("score"), Some(&json!("100.0")), "{variant:?}");
    }
    let unknown = whole.with("variant", json!("circus"));
    assert!(found(&form, &unknown).contains(&"variant choice".to_owned()));
    Ok(())
}

proptest! {
    #[test]
    fn the_score_is_the_exact_quotient_rounded_half_up(results in prop::collection::vec(0..4usize, 20)) {
        const WEIGHTS: [u64; 20] = [5, 5, 8, 8, 4, 3, 3, 8, 4, 5, 5, 8, 8, 6, 5, 4, 4, 3, 2, 2];
        let form = form("sanitation_inspection").map_err(|e| TestCaseError::fail(e.to_string()))?;
        let mut answers = Answers::default();
        let (mut good, mut all) = (0, 0);
        for (check, (result, weight)) in results.iter().zip(WEIGHTS).enumerate() {
            let word = ["good", "bad", "na", "unchecked"][*result];
            answers = answers.with(&format!("checks.H{:02}.result", check + 1), json!(word));
            good += if *result == 0 { weight } else { 0 };
            all += if *result < 2 { weight } else { 0 };
        }
        let derived = form.derived(&answers);
        let Some(score) = derived.get("score").and_then(Value::as_str) else {
            prop_assert_eq!(all, 0);
            return Ok(());
        };
        let (whole, tenth) = score.split_once('.').unwrap_or_default();
        let tenths: u64 = format!("{whole}{tenth}").parse().unwrap_or(u64::MAX);
        // score − 0.05 ≤ exact < score + 0.05, in twentieths of the denominator
        prop_assert!(2 * all * tenths <= 2000 * good + all && 2000 * good + all < 2 * all * (tenths + 1), "{score}");
    }

    #[test]
    fn any_answers_get_an_answer(paths in prop::collection::vec(
        ("(findings|spans|use_confirmed|photos)/[ab]/(text|no|inspected_to|severity)|checks\\.F0[1-9]\\.(result|remark|finding_ref)|capacity_confirmed|planned_on|site_location",
         prop_oneof![Just(json!(null)), any::<i64>().prop_map(|n| json!(n)), any::<String>().prop_map(|t| json!(t)),
            Just(json!([1, "a"])), Just(json!({"lat": true})), Just(json!("bad"))]), 0..12)) {
        let form = form("fire_inspection").map_err(|e| TestCaseError::fail(e.to_string()))?;
        let answers = paths.into_iter().fold(Answers::default(), |answers, (path, value)| answers.with(&path, value));
        let problems = form.problems(&answers, at());
        prop_assert_eq!(&problems, &form.problems(&answers, at()));
        prop_assert!(problems.iter().all(|problem| !problem.ja.is_empty() && !problem.en.is_empty()));
    }
}
