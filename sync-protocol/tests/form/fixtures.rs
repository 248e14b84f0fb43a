//! The forms that come with the product hold every field of the field's own tables, labelled and merged as they say.

use crate::{TestResult, folder, form};
use std::{collections::BTreeSet, fs};
use sync_protocol::form::{Choice, Field, Form, Home, Kind, Label, Merge, Need, Offline, Role};

const ALL: [&str; 24] = [
    "advice_item",
    "advice_message",
    "advice_session",
    "advice_still",
    "assignment",
    "case_safety_note",
    "case_visit",
    "clause",
    "district",
    "environmental_facility",
    "fire_inspection",
    "fire_prevention_property",
    "food_facility",
    "hazmat_facility",
    "household",
    "ledger_change_proposal",
    "manual_edition",
    "manual_page",
    "member",
    "position",
    "related_party",
    "sanitation_inspection",
    "staff",
    "tenant",
];

/// Whether an answer is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needed {
    Always,
    Sometimes,
    Never,
}
use Needed::{Always, Never, Sometimes};

type Row = (&'static str, &'static str, Needed, &'static str, &'static [&'static str]);

/// The tables of the field: path, word, need, writers (`*` for the form's, `-` for the server alone), cells.
const FIRE: &[Row] = &[
    ("property", "field", Always, "supervisor", &[]),
    ("inspection_type", "field", Always, "*", &[]),
    ("basis", "field", Always, "*", &[]),
    ("planned_on", "field", Never, "*", &[]),
    ("advance_contact", "rows", Never, "*", &["at", "person", "method", "note"]),
    ("previous_inspection", "derived", Never, "-", &[]),
    ("spans", "rows", Always, "*", &["inspected_from", "inspected_to"]),
    ("inspectors", "rows", Always, "*", &["staff", "role"]),
    ("id_card_shown", "field", Always, "*", &[]),
    ("attendant_name", "field", Always, "*", &[]),
    ("attendant_capacity", "field", Always, "*", &[]),
    ("refusal", "keep_both", Sometimes, "*", &[]),
    ("site_location", "field", Never, "*", &[]),
    ("use_confirmed", "union", Always, "*", &[]),
    ("capacity_confirmed", "field", Always, "*", &[]),
    ("alteration_found", "strict", Always, "*", &[]),
    ("tenants", "rows", Never, "*", &["name", "floor", "class", "rep", "fire_manager"]),
    (
        "findings",
        "rows",
        Sometimes,
        "*",
        &["no", "place", "floor", "clause", "text", "severity", "correct_by", "status"],
    ),
    ("immediate_measure", "keep_both", Never, "*", &[]),
    ("photos", "add_only", Never, "*", &["at", "place", "caption", "drawing_pin"]),
    ("drawings", "add_only", Never, "*", &[]),
    ("video_refs", "rows", Never, "*", &["url", "recorded_at", "at", "caption"]),
    ("interview", "keep_both", Never, "*", &[]),
    ("overall_opinion", "keep_both", Always, "inspector", &[]),
    ("remote_advice", "add_only", Never, "-", &[]),
    ("manual_refs", "add_only", Never, "inspector supervisor adviser", &[]),
    ("notice_required", "derived", Never, "-", &[]),
    ("report_due_on", "field", Sometimes, "*", &[]),
    ("notice_received_by", "add_only", Never, "*", &[]),
    ("approval", "rows", Never, "-", &[]),
    ("status", "status", Never, "inspector supervisor", &[]),
    ("submit_requested", "field", Never, "inspector", &[]),
];

const SANITATION: &[Row] = &[
    ("facility", "field", Always, "supervisor", &[]),
    ("purpose", "field", Always, "*", &[]),
    ("variant", "strict", Never, "*", &[]),
    ("origin_inspection", "field", Sometimes, "inspector supervisor", &[]),
    ("entered_at", "field", Always, "*", &[]),
    ("left_at", "field", Always, "*", &[]),
    ("inspectors", "rows", Always, "*", &["staff", "role"]),
    ("attendant", "field", Always, "*", &[]),
    ("haccp_level", "strict", Always, "*", &[]),
    ("plan_exists", "item", Always, "*", &[]),
    ("records_kept", "item", Always, "*", &[]),
    ("score", "derived", Never, "-", &[]),
    ("temperatures", "rows", Never, "*", &["place", "celsius", "at", "instrument"]),
    ("measurements", "rows", Never, "*", &["item", "place", "value", "at", "instrument"]),
    (
        "samples",
        "rows",
        Never,
        "*",
        &["no", "item", "qty", "collected_at", "receipt_no", "lab", "result", "result_on"],
    ),
    ("guidance", "rows", Sometimes, "*", &["kind", "text", "clause", "correct_by", "status"]),
    ("operator_statement", "keep_both", Never, "*", &[]),
    ("photos", "add_only", Never, "*", &["at", "place", "caption"]),
    ("video_refs", "rows", Never, "*", &["url", "recorded_at", "at", "caption"]),
    ("sheet_received_by", "add_only", Never, "*", &[]),
    ("reinspection_due", "field", Sometimes, "*", &[]),
    ("disposition_proposed", "strict", Never, "*", &[]),
    (
        "outbreak",
        "rows",
        Sometimes,
        "*",
        &["patient_key", "onset_at", "symptoms", "meal_refs", "stool_result"],
    ),
    ("approval", "rows", Never, "-", &[]),
    ("status", "status", Never, "inspector", &[]),
    ("submit_requested", "field", Never, "inspector", &[]),
];

const VISIT: &[Row] = &[
    ("household", "field", Always, "caseworker", &[]),
    ("entry_kind", "field", Always, "*", &[]),
    ("visit_class", "strict", Sometimes, "*", &[]),
    ("visit_purpose", "union", Always, "*", &[]),
    ("visited_at", "field", Always, "*", &[]),
    ("left_at", "field", Always, "*", &[]),
    ("place", "field", Always, "*", &[]),
    ("place_text", "field", Sometimes, "*", &[]),
    ("met_persons", "rows", Sometimes, "*", &["member", "name", "relation"]),
    ("accompanied_by", "rows", Never, "*", &["staff"]),
    ("living_conditions", "keep_both", Sometimes, "*", &[]),
    ("health", "keep_both", Sometimes, "*", &[]),
    ("medical_care", "rows", Never, "*", &["member", "hospital", "dept", "frequency"]),
    ("work_income", "keep_both", Sometimes, "*", &[]),
    ("incomes", "rows", Never, "*", &["member", "employer", "amount", "month", "doc"]),
    ("assets", "keep_both", Never, "*", &[]),
    ("housing", "keep_both", Never, "*", &[]),
    ("family_support", "keep_both", Never, "*", &[]),
    ("other_systems", "keep_both", Never, "*", &[]),
    ("documents_collected", "add_only", Never, "*", &["kind", "photo", "returned"]),
    ("guidance_given", "keep_both", Never, "*", &[]),
    ("support_policy_review", "strict", Sometimes, "*", &[]),
    ("support_policy_new", "field", Sometimes, "*", &[]),
    ("visit_grade_proposed", "field", Never, "caseworker", &[]),
    ("next_visit_on", "field", Always, "*", &[]),
    ("sv_comment", "add_only", Never, "supervisor", &[]),
    ("approval", "rows", Never, "-", &[]),
    ("status", "status", Never, "caseworker", &[]),
    ("submit_requested", "field", Never, "caseworker", &[]),
];

/// What both sides of a thread may write: who asks, who advises, who leads them.
const BOTH_SIDES: &str = "inspector caseworker adviser supervisor";

const SESSION: &[Row] = &[
    ("inspection", "field", Always, "*", &[]),
    ("question", "keep_both", Always, "*", &[]),
    ("urgency", "strict", Always, "*", &[]),
    ("mode", "field", Always, "*", &[]),
    ("place", "field", Never, "*", &[]),
    ("requester", "field", Never, "*", &[]),
    ("requested_at", "field", Always, "*", &[]),
    ("consent_of_attendant", "strict", Sometimes, "*", &[]),
    ("advisers", "add_only", Never, "adviser supervisor", &[]),
    ("outcome", "keep_both", Never, BOTH_SIDES, &[]),
    ("status", "status", Never, "inspector caseworker supervisor adviser", &[]),
];

const MESSAGE: &[Row] =
    &[("session", "field", Always, "*", &[]), ("text", "keep_both", Always, "*", &[])];

const STILL: &[Row] = &[
    ("session", "field", Always, "*", &[]),
    ("photo", "add_only", Always, "*", &[]),
    ("caption", "field", Never, "*", &[]),
];

const ITEM: &[Row] = &[
    ("session", "field", Always, "*", &[]),
    ("text", "keep_both", Always, "*", &[]),
    ("clause", "field", Never, "*", &[]),
    ("clause_text", "field", Never, "*", &[]),
    ("manual_page", "field", Never, "*", &[]),
    ("manual_edition", "field", Sometimes, "*", &[]),
    ("adviser", "field", Never, "*", &[]),
    ("status", "status", Never, "inspector caseworker", &[]),
];

/// The workflows of the field: the states that a step leads out of, the state that it leads to, and where it is made.
type Step = (&'static str, &'static str, Offline);

const FIRE_STEPS: &[Step] = &[
    ("planned", "notified", Offline::Yes),
    ("planned notified", "on_site", Offline::Yes),
    ("on_site", "suspended", Offline::Yes),
    ("suspended", "on_site", Offline::Yes),
    ("on_site", "recorded", Offline::Yes),
    ("on_site recorded", "notice_issued", Offline::Yes),
    ("recorded returned", "submitted", Offline::Request),
    ("submitted", "returned", Offline::No),
    ("submitted", "recorded", Offline::No),
    ("submitted", "approved", Offline::No),
    ("approved", "closed", Offline::No),
    ("approved", "notice_issued", Offline::No),
    ("notice_issued", "plan_reported", Offline::No),
    ("notice_issued", "remediation_reported", Offline::No),
    ("plan_reported", "confirmed", Offline::Yes),
    ("remediation_reported", "confirmed", Offline::No),
    ("remediation_reported confirmed", "closed", Offline::No),
    ("recorded submitted approved notice_issued", "violation_processing", Offline::No),
    ("plan_reported remediation_reported", "violation_processing", Offline::No),
    ("violation_processing", "investigating", Offline::No),
    ("investigating", "warned", Offline::No),
    ("warned", "hearing", Offline::No),
    ("warned", "explanation", Offline::No),
    ("hearing explanation", "ordered", Offline::No),
    ("ordered", "posted", Offline::No),
    ("ordered posted", "accused", Offline::No),
    ("ordered posted", "fine_notified", Offline::No),
    ("ordered posted", "executed", Offline::No),
    ("warned ordered posted accused fine_notified executed", "corrected", Offline::No),
    ("corrected", "closed", Offline::No),
];

const SANITATION_STEPS: &[Step] = &[
    ("planned", "on_site", Offline::Yes),
    ("on_site", "recorded", Offline::Yes),
    ("recorded returned", "submitted", Offline::Request),
    ("submitted", "returned", Offline::No),
    ("submitted", "approved", Offline::No),
    ("approved", "sheet_delivered", Offline::No),
    ("sheet_delivered", "guidance_open", Offline::No),
    ("guidance_open reinspected", "reinspection_due", Offline::No),
    ("reinspection_due", "reinspected", Offline::No),
    ("guidance_open reinspected lifted", "closed", Offline::No),
    ("guidance_open", "disposition_proposed", Offline::No),
    ("disposition_proposed", "explanation", Offline::No),
    ("disposition_proposed explanation", "disposition_decided", Offline::No),
    ("disposition_decided", "announced", Offline::No),
    ("announced", "lifted", Offline::No),
];

const VISIT_STEPS: &[Step] = &[
    ("planned", "visiting", Offline::Yes),
    ("visiting", "absent", Offline::Yes),
    ("visiting", "recorded", Offline::Yes),
    ("recorded returned pulled_back", "drafted", Offline::Request),
    ("drafted", "sv_reviewed", Offline::No),
    ("sv_reviewed", "section_head_approved", Offline::No),
    ("sv_reviewed", "acting_approved", Offline::No),
    ("acting_approved", "post_reviewed", Offline::No),
    ("section_head_approved", "office_head_approved", Offline::No),
    ("section_head_approved office_head_approved post_reviewed", "sealed", Offline::No),
    ("drafted sv_reviewed section_head_approved", "returned", Offline::No),
    ("drafted", "pulled_back", Offline::No),
];

const SESSION_STEPS: &[Step] = &[
    ("asked", "withdrawn", Offline::Yes),
    ("asked", "answered", Offline::Yes),
    ("answered", "ended", Offline::Yes),
];

const ITEM_STEPS: &[Step] = &[
    ("given", "acknowledged", Offline::Yes),
    ("given acknowledged not_followed", "followed", Offline::Yes),
    ("given acknowledged followed", "not_followed", Offline::Yes),
];

const KEEPING: [&str; 5] =
    ["org_unit", "fiscal_year", "participants", "retention_class", "law_edition_date"];

fn word(merge: Merge) -> &'static str {
    match merge {
        Merge::Field => "field",
        Merge::Strict => "strict",
        Merge::KeepBoth => "keep_both",
        Merge::Item => "item",
        Merge::Union => "union",
        Merge::Rows => "rows",
        Merge::AddOnly => "add_only",
        Merge::Legal => "legal",
        Merge::Derived => "derived",
        Merge::Status => "status",
    }
}

fn writers(form: &Form, path: &str) -> TestResult<String> {
    let Some(roles) = &form.policy(path, None).write else { return Ok("*".into()) };
    let names: Vec<String> = roles
        .iter()
        .map(|role| Ok(serde_json::to_value(role)?.as_str().unwrap_or_default().to_owned()))
        .collect::<TestResult<_>>()?;
    Ok(if names.is_empty() { "-".into() } else { names.join(" ") })
}

#[test]
fn every_form_of_the_product_is_read() -> TestResult {
    let mut names = BTreeSet::new();
    for file in fs::read_dir(folder())? {
        names.extend(file?.path().file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    assert_eq!(names, ALL.map(str::to_owned).into());
    for name in ALL {
        let form = form(name)?;
        assert_eq!((form.kind.as_str(), form.version), (name, 1));
        assert!(form.title.is_some(), "{name}");
    }
    Ok(())
}

#[test]
fn every_field_of_the_tables_is_there_as_they_say() -> TestResult {
    for (name, rows) in [
        ("fire_inspection", FIRE),
        ("sanitation_inspection", SANITATION),
        ("case_visit", VISIT),
        ("advice_session", SESSION),
        ("advice_message", MESSAGE),
        ("advice_still", STILL),
        ("advice_item", ITEM),
    ] {
        let form = form(name)?;
        for (path, merge, need, may_write, cells) in rows {
            let field = form.field(path).ok_or(format!("{name} lacks {path}"))?;
            assert_eq!(word(field.merge), *merge, "{name} {path}");
            assert_eq!(writers(&form, path)?, *may_write, "{name} {path}");
            let needed = match field.required {
                Need::Always => Always,
                Need::When(_) => Sometimes,
                Need::Never => Never,
            };
            assert_eq!(needed, *need, "{name} {path}");
            for cell in *cells {
                assert!(
                    field.cells.iter().any(|known| known.path == *cell),
                    "{name} {path}/{cell}"
                );
            }
        }
        // Advice is kept as long as the record that it is about.
        let kept = if name.starts_with("advice_") { &[][..] } else { &KEEPING };
        for path in kept {
            assert!(form.field(path).is_some(), "{name} lacks {path}");
        }
    }
    Ok(())
}

#[test]
fn every_step_of_the_workflows_is_there_and_made_where_they_say() -> TestResult {
    for (name, steps) in [
        ("fire_inspection", FIRE_STEPS),
        ("sanitation_inspection", SANITATION_STEPS),
        ("case_visit", VISIT_STEPS),
        ("advice_session", SESSION_STEPS),
        ("advice_item", ITEM_STEPS),
    ] {
        let form = form(name)?;
        let statuses = form.statuses.as_ref().ok_or("states")?;
        for (out_of, to, offline) in steps {
            for from in out_of.split(' ') {
                let way = statuses.transition(from, to);
                assert_eq!(way.map(|way| way.offline), Some(*offline), "{name} {from} → {to}");
            }
        }
        let mut pairs = BTreeSet::new();
        for way in &statuses.transitions {
            for from in &way.from {
                assert!(pairs.insert((from, &way.to)), "{name} {from} → {} twice", way.to);
            }
            let returns =
                matches!(way.to.as_str(), "returned" | "violation_processing" | "not_followed");
            assert!(way.why || !returns, "{name} {} needs a reason", way.to);
        }
        let ranks: BTreeSet<i64> = statuses.states.iter().map(|state| state.rank).collect();
        assert_eq!(ranks.len(), statuses.states.len(), "{name}: no two states of one rank");
        let reached: BTreeSet<&str> =
            statuses.transitions.iter().map(|way| way.to.as_str()).collect();
        for state in &statuses.states {
            let is_there = reached.contains(state.code.as_str()) || state.code == statuses.initial;
            assert!(is_there, "{name} {} is never reached", state.code);
        }
    }
    Ok(())
}

#[test]
fn the_checklists_are_whole() -> TestResult {
    let checks = |form: &Form, letter: char| -> Vec<Field> {
        let begin = format!("checks.{letter}");
        form.fields.iter().filter(|field| field.path.starts_with(&begin)).cloned().collect()
    };
    let mut all = 0;
    for (name, letter, count, finding) in [
        ("fire_inspection", 'F', 20, Some("findings")),
        ("sanitation_inspection", 'H', 20, Some("guidance")),
        ("sanitation_inspection", 'R', 8, Some("guidance")),
        ("sanitation_inspection", 'B', 7, Some("guidance")),
        ("sanitation_inspection", 'S', 7, Some("guidance")),
        ("sanitation_inspection", 'C', 6, Some("guidance")),
        ("sanitation_inspection", 'T', 6, Some("guidance")),
        ("sanitation_inspection", 'P', 7, Some("guidance")),
        ("case_visit", 'W', 14, None),
    ] {
        let checks = checks(&form(name)?, letter);
        all += checks.len();
        if name == "sanitation_inspection" {
            let weights = checks.iter().filter_map(|field| Some(field.check.as_ref()?.weight));
            assert_eq!(weights.sum::<u32>(), 100, "{letter}");
            assert!(
                checks.iter().all(|field| field.relevant.is_some()),
                "{letter} has its kind of facility"
            );
        }
        let expected: Vec<String> = (1..=count).map(|n| format!("checks.{letter}{n:02}")).collect();
        assert_eq!(checks.iter().map(|field| field.path.clone()).collect::<Vec<_>>(), expected);
        for field in &checks {
            let check = field.check.as_ref().ok_or("a check")?;
            assert_eq!(check.finding.as_deref(), finding, "{}", field.path);
            assert!(check.basis.as_ref().is_some_and(|basis| !basis.is_empty()), "{}", field.path);
            assert_ne!(field.required, Need::Never, "{}", field.path);
        }
    }
    let of_form = |name: &str| -> TestResult<usize> {
        Ok(form(name)?.fields.iter().filter(|field| field.path.starts_with("checks.")).count())
    };
    let there = ["fire_inspection", "sanitation_inspection", "case_visit"].map(of_form);
    assert_eq!(there.into_iter().sum::<TestResult<usize>>()?, all, "no check beside these");
    let food = checks(&form("sanitation_inspection")?, 'H');
    let critical: Vec<&str> = food
        .iter()
        .filter(|f| f.check.as_ref().is_some_and(|c| c.critical))
        .map(|f| f.path.as_str())
        .collect();
    let expected =
        ["H01", "H08", "H11", "H12", "H13", "H14", "H17"].map(|code| format!("checks.{code}"));
    assert_eq!(critical, expected);
    Ok(())
}

#[test]
fn only_who_advises_gives_advice_and_only_who_is_on_site_acknowledges_it() -> TestResult {
    let on_site = [Role::Inspector, Role::Caseworker];
    let item = form("advice_item")?;
    assert_eq!(item.write, [Role::Adviser, Role::Supervisor]);
    let steps = item.statuses.as_ref().ok_or("states")?;
    assert!(steps.transitions.iter().all(|way| way.roles == on_site));
    let session = form("advice_session")?;
    let steps = session.statuses.as_ref().ok_or("states")?;
    let answer = steps.transition("asked", "answered").ok_or("a way")?;
    assert_eq!(answer.roles, [Role::Adviser, Role::Supervisor]);
    for name in ALL.into_iter().filter(|name| name.starts_with("advice_")) {
        for reads_only in [Role::Approver, Role::Auditor, Role::Reader] {
            let form = form(name)?;
            let writes = form.fields.iter().find(|f| form.may_write(&f.path, None, reads_only));
            assert!(!form.write.contains(&reads_only) && writes.is_none(), "{name} {reads_only:?}");
        }
    }
    Ok(())
}

/// Every label of a form, with the place where it stands.
fn labels(form: &Form) -> Vec<(String, &Label)> {
    fn of_field<'a>(at: &str, field: &'a Field, all: &mut Vec<(String, &'a Label)>) {
        let at = format!("{at} {}", field.path);
        all.push((at.clone(), &field.label));
        all.extend(field.help.iter().map(|help| (format!("{at} help"), help)));
        all.extend(
            field.choices.iter().map(|choice| (format!("{at} {}", choice.code), &choice.label)),
        );
        field.cells.iter().for_each(|cell| of_field(&at, cell, all));
    }
    let mut all = vec![(form.kind.to_string(), &form.label)];
    all.extend(form.sections.iter().map(|section| (section.code.clone(), &section.label)));
    all.extend(form.rules.iter().map(|rule| (rule.code.clone(), &rule.label)));
    let states = form.statuses.iter().flat_map(|statuses| &statuses.states);
    all.extend(states.map(|state| (state.code.clone(), &state.label)));
    form.fields.iter().for_each(|field| of_field(form.kind.as_str(), field, &mut all));
    all
}

/// Whether a text has a letter of Japanese.
fn is_japanese(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}'))
}

#[test]
fn every_label_is_there_in_both_languages() -> TestResult {
    for name in ALL {
        let form = form(name)?;
        for (at, label) in labels(&form) {
            let rank = matches!(label.ja.as_str(), "A" | "B" | "C");
            assert!(rank || is_japanese(&label.ja), "{name} {at}: {}", label.ja);
            assert!(
                !label.en.trim().is_empty() && !is_japanese(&label.en),
                "{name} {at}: {}",
                label.en
            );
        }
    }
    Ok(())
}

#[test]
fn every_reference_is_to_a_form() -> TestResult {
    let known: BTreeSet<&str> = ALL.into_iter().collect();
    for name in ALL {
        let form = form(name)?;
        let cells = form.fields.iter().flat_map(|field| &field.cells);
        for field in form
            .fields
            .iter()
            .chain(cells)
            .filter(|field| matches!(field.kind, Kind::Ref | Kind::Refs))
        {
            assert!(!field.to.is_empty(), "{name} {}", field.path);
            assert!(field.to.iter().all(|to| known.contains(to.as_str())), "{name} {}", field.path);
        }
        if let Home::About(kinds) = &form.home {
            assert!(kinds.iter().all(|kind| known.contains(kind.as_str())), "{name}");
        }
    }
    Ok(())
}

#[test]
fn masters_are_written_in_the_office_and_hold_no_my_number() -> TestResult {
    const BY_THE_FIELD: [&str; 9] = [
        "advice_item",
        "advice_message",
        "advice_session",
        "advice_still",
        "fire_inspection",
        "sanitation_inspection",
        "case_visit",
        "case_safety_note",
        "ledger_change_proposal",
    ];
    for name in ALL {
        let form = form(name)?;
        if !BY_THE_FIELD.contains(&name) {
            assert_eq!(form.write, [Role::Supervisor], "{name}");
            assert!(form.fields.iter().all(|field| field.write.is_none()), "{name}");
        }
        for (at, label) in labels(&form).into_iter().filter(|(at, _)| !at.ends_with("help")) {
            assert!(!label.ja.contains("個人番号"), "{name} {at}");
        }
    }
    Ok(())
}

#[test]
fn the_occupancy_classes_stand_in_the_order_of_the_law() -> TestResult {
    let of = |form: &Form, path: &str| -> TestResult<Vec<Choice>> {
        Ok(form.field(path).ok_or("a field")?.choices.clone())
    };
    let classes = of(&form("fire_prevention_property")?, "occupancy_class")?;
    assert_eq!(classes.len(), 46);
    assert!(classes.is_sorted_by(|a, b| a.sort < b.sort));
    let codes: Vec<&str> = classes.iter().map(|class| class.code.as_str()).collect();
    assert_eq!(codes[28..32], ["09-i", "09-ro", "10", "11"]);
    assert_eq!(codes[38..], ["16-i", "16-ro", "16-2", "16-3", "17", "18", "19", "20"]);
    let specified =
        classes.iter().filter(|class| class.group.as_deref() == Some("specified")).count();
    assert_eq!(specified, 29);
    assert_eq!(of(&form("fire_inspection")?, "use_confirmed")?, classes);
    assert_eq!(of(&form("tenant")?, "occupancy_class")?, classes);
    Ok(())
}

#[test]
fn welfare_narratives_and_advice_are_never_shown_as_one() -> TestResult {
    for name in ALL {
        let apart =
            matches!(name, "case_visit" | "case_safety_note") || name.starts_with("advice_");
        assert_eq!(form(name)?.merged_view, !apart, "{name}");
    }
    Ok(())
}

#[test]
fn a_field_stands_on_one_line_of_its_form() -> TestResult {
    for name in ALL {
        let text = fs::read_to_string(folder().join(format!("{name}.json")))?;
        let form = form(name)?;
        for field in form.fields.iter().flat_map(|field| std::iter::once(field).chain(&field.cells))
        {
            let opening = format!("{{\"path\": \"{}\", ", field.path);
            assert!(
                text.lines().any(|line| line.trim_start().starts_with(&opening)),
                "{name} {}",
                field.path
            );
        }
    }
    Ok(())
}
