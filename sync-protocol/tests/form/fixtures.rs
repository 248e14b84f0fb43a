//! The forms that come with the product hold every field of the field's own tables, labelled and merged as they say.

use crate::{TestResult, folder, form};
use std::{collections::BTreeSet, fs};
use sync_protocol::form::{Choice, Field, Form, Home, Kind, Label, Merge, Need, Role};

const ALL: [&str; 20] = [
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
    for (name, rows) in
        [("fire_inspection", FIRE), ("sanitation_inspection", SANITATION), ("case_visit", VISIT)]
    {
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
        for path in KEEPING {
            assert!(form.field(path).is_some(), "{name} lacks {path}");
        }
    }
    Ok(())
}

#[test]
fn the_checklists_are_whole() -> TestResult {
    let checks = |form: &Form| -> Vec<Field> {
        form.fields.iter().filter(|field| field.path.starts_with("checks.")).cloned().collect()
    };
    for (name, letter, count, finding) in [
        ("fire_inspection", 'F', 20, Some("findings")),
        ("sanitation_inspection", 'H', 20, Some("guidance")),
        ("case_visit", 'W', 14, None),
    ] {
        let checks = checks(&form(name)?);
        let expected: Vec<String> = (1..=count).map(|n| format!("checks.{letter}{n:02}")).collect();
        assert_eq!(checks.iter().map(|field| field.path.clone()).collect::<Vec<_>>(), expected);
        for field in &checks {
            let check = field.check.as_ref().ok_or("a check")?;
            assert_eq!(check.finding.as_deref(), finding, "{}", field.path);
            assert!(check.basis.as_ref().is_some_and(|basis| !basis.is_empty()), "{}", field.path);
            assert_ne!(field.required, Need::Never, "{}", field.path);
        }
    }
    let food = checks(&form("sanitation_inspection")?);
    let parts: Vec<_> = food.iter().filter_map(|field| field.check.as_ref()).collect();
    assert_eq!(parts.iter().map(|check| check.weight).sum::<u32>(), 100);
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
fn every_reference_is_to_a_form_or_to_a_session() -> TestResult {
    let known: BTreeSet<&str> = ALL.into_iter().chain(["advice_session"]).collect();
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
    const BY_THE_FIELD: [&str; 5] = [
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
fn welfare_narratives_are_never_shown_as_one() -> TestResult {
    for name in ALL {
        let apart = matches!(name, "case_visit" | "case_safety_note");
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
