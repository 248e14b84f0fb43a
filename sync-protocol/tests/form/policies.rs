//! What a form says of a path: the view over its siblings and who may write it.

use crate::{TestResult, form};
use serde_json::json;
use sync_protocol::form::{Builtin, Form, Offline, Policy, Role, ViewKind, bundle};

#[test]
fn the_parts_of_a_check_have_policies_of_their_own() -> TestResult {
    let form = form("fire_inspection")?;
    let view = |path: &str| form.policy(path, None).view.clone();
    let ranks =
        [("bad", 3), ("unchecked", 2), ("na", 1), ("good", 0)].map(|(v, rank)| (json!(v), rank));
    assert_eq!(view("checks.F07.result"), ViewKind::Strict { rank: ranks.to_vec() });
    assert_eq!(view("checks.F07.remark"), ViewKind::KeepBoth { merged: true });
    assert_eq!(view("checks.F07.photos"), ViewKind::AddOnly);
    assert_eq!(view("checks.F07.finding_ref"), ViewKind::Register);
    for unknown in
        ["checks.F07", "checks.F07.colour", "checks.F99.result", "result", "findings.result"]
    {
        assert_eq!(*form.policy(unknown, None), Policy::raw(), "{unknown}");
    }
    Ok(())
}

#[test]
fn fields_and_cells_have_the_view_of_their_word() -> TestResult {
    let (fire, food, visit) =
        (form("fire_inspection")?, form("sanitation_inspection")?, form("case_visit")?);
    let strict = |ranks: &[(&str, i64)]| ViewKind::Strict {
        rank: ranks.iter().map(|(code, rank)| (json!(code), *rank)).collect(),
    };
    let cases = [
        (&fire, "id_card_shown", None, ViewKind::Register),
        (
            &fire,
            "alteration_found",
            None,
            strict(&[("none", 0), ("notified", 1), ("unnotified", 2)]),
        ),
        (&fire, "interview", None, ViewKind::KeepBoth { merged: true }),
        (&visit, "living_conditions", None, ViewKind::KeepBoth { merged: false }),
        (&visit, "checks.W01.remark", None, ViewKind::KeepBoth { merged: false }),
        (&visit, "support_policy_new", None, ViewKind::Register),
        (&visit, "sv_comment", None, ViewKind::AddOnly),
        (&visit, "documents_collected", None, ViewKind::AddOnly),
        (&visit, "documents_collected", Some("returned"), ViewKind::Register),
        (&fire, "use_confirmed", None, ViewKind::Elements { exclusive: vec![] }),
        (
            &form("case_safety_note")?,
            "risk_kinds",
            None,
            ViewKind::Elements { exclusive: vec!["none".into()] },
        ),
        (&fire, "findings", None, ViewKind::Rows),
        (
            &fire,
            "findings",
            Some("severity"),
            strict(&[("serious", 2), ("general", 1), ("minor", 0)]),
        ),
        (&fire, "findings", Some("text"), ViewKind::KeepBoth { merged: true }),
        (&fire, "findings", Some("correct_by"), ViewKind::Legal),
        (&fire, "findings", Some("colour"), ViewKind::Raw),
        (&fire, "photos", Some("at"), ViewKind::Register),
        (&fire, "capacity_confirmed", None, ViewKind::Number { tolerance: None }),
        (
            &food,
            "temperatures",
            Some("celsius"),
            ViewKind::Number { tolerance: Some("0.5".into()) },
        ),
        (&food, "score", None, ViewKind::Derived(Builtin::WeightedScore)),
        (&food, "haccp_level", None, strict(&[])),
        (&fire, "nowhere", Some("text"), ViewKind::Raw),
    ];
    for (form, field, cell, expected) in cases {
        assert_eq!(form.policy(field, cell).view, expected, "{field} {cell:?}");
    }
    let ViewKind::Status { ranks } = &fire.policy("status", None).view else {
        return Err("no status".into());
    };
    assert!(
        ranks["suspended"] > ranks["on_site"] && ranks["closed"] > ranks["violation_processing"]
    );
    Ok(())
}

#[test]
fn only_the_named_roles_may_write() -> TestResult {
    let (fire, food, visit) =
        (form("fire_inspection")?, form("sanitation_inspection")?, form("case_visit")?);
    let note = form("case_safety_note")?;
    let cases: [(&Form, &str, Option<&str>, &[Role]); 17] = [
        (&fire, "property", None, &[Role::Supervisor]),
        (&fire, "basis", None, &[Role::Inspector, Role::Supervisor]),
        (&fire, "checks.F01.result", None, &[Role::Inspector, Role::Supervisor]),
        (&fire, "overall_opinion", None, &[Role::Inspector]),
        (&fire, "approval", None, &[]),
        (&fire, "approval", Some("comment"), &[]),
        (&fire, "approval", Some("unknown"), &[]),
        (&fire, "notice_required", None, &[]),
        (&fire, "remote_advice", None, &[]),
        (&fire, "manual_refs", None, &[Role::Inspector, Role::Supervisor, Role::Adviser]),
        (&fire, "unknown_field", None, &[Role::Inspector, Role::Supervisor]),
        (&fire, "status", None, &[Role::Inspector, Role::Supervisor]),
        (&food, "samples", Some("result"), &[Role::Inspector]),
        (&visit, "visit_grade_proposed", None, &[Role::Caseworker]),
        (&visit, "sv_comment", None, &[Role::Supervisor]),
        (&visit, "status", None, &[Role::Caseworker]),
        (&note, "status", None, &[Role::Caseworker, Role::Supervisor]),
    ];
    let all = [
        Role::Inspector,
        Role::Caseworker,
        Role::Supervisor,
        Role::Adviser,
        Role::Approver,
        Role::Auditor,
        Role::Reader,
    ];
    for (form, field, cell, expected) in cases {
        let may: Vec<Role> =
            all.into_iter().filter(|role| form.may_write(field, cell, *role)).collect();
        assert_eq!(may, expected, "{field} {cell:?}");
    }
    Ok(())
}

#[test]
fn transitions_say_where_they_are_made() -> TestResult {
    let form = form("fire_inspection")?;
    let statuses = form.statuses.as_ref().ok_or("no statuses")?;
    let cases = [
        ("planned", "on_site", Some(Offline::Yes)),
        ("recorded", "submitted", Some(Offline::Request)),
        ("submitted", "approved", Some(Offline::No)),
        ("planned", "approved", None),
        ("submitted", "on_site", None),
    ];
    for (from, to, expected) in cases {
        assert_eq!(statuses.transition(from, to).map(|way| way.offline), expected, "{from} → {to}");
    }
    assert_eq!(statuses.initial, "planned");
    Ok(())
}

#[test]
fn a_bundle_is_the_same_in_any_order_and_changes_with_any_form() -> TestResult {
    let (fire, food) = (form("fire_inspection")?, form("sanitation_inspection")?);
    let (hash, text) = bundle(&[&fire, &food]);
    assert_eq!(bundle(&[&food, &fire]), (hash.clone(), text.clone()));
    assert!(hash.starts_with("sha256:") && hash.len() == 71);
    assert_ne!(bundle(&[&fire]).0, hash);

    let list: Vec<serde_json::Value> = serde_json::from_str(&text)?;
    let again: Vec<Form> =
        list.iter().map(|body| Form::parse(&body.to_string())).collect::<Result<_, _>>()?;
    assert_eq!(again, [fire, food]);
    Ok(())
}

#[test]
fn a_role_is_written_in_small_letters() -> TestResult {
    assert_eq!(serde_json::to_value(Role::Caseworker)?, json!("caseworker"));
    assert_eq!(serde_json::from_value::<Role>(json!("approver"))?, Role::Approver);
    assert!(serde_json::from_value::<Role>(json!("lab")).is_err());
    Ok(())
}
