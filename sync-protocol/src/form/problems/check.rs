//! What is missing or wrong in one item of a checklist.

use super::super::{Field, Kind, predicate::Scope, values::answered};
use super::{Problem, Said, asked, needed, single};
use serde_json::Value;

pub(super) fn of(field: &Field, scope: Scope<'_>, found: &mut Vec<Problem>) {
    let path = |part: &str| format!("{}.{part}", field.path);
    let (result, remark) = (path("result"), path("remark"));
    let said = scope.values.field(&remark);
    if asked(field, scope) {
        match scope.values.field(&result).and_then(Value::as_str) {
            None if !needed(field, scope) => {}
            None => found.push(Said::Required.of(field, &result)),
            Some("good" | "na") => {}
            Some("unchecked") if answered(said) => {}
            Some("unchecked") => found.push(Said::UncheckedReason.of(field, &remark)),
            Some("bad") => bad(field, scope, found),
            Some(_) => found.push(Said::Choice.of(field, &result)),
        }
    }
    let photos = path("photos");
    for photo in scope.values.rows(&photos) {
        if !single::names_its_blob(Kind::Photos, photo.value) {
            found.push(Said::BadBlob.of(field, &format!("{photos}/{}", photo.id)));
        }
    }
    if said.is_some_and(single::holds_my_number) {
        found.push(Said::MyNumber.of(field, &remark));
    }
}

fn bad(field: &Field, scope: Scope<'_>, found: &mut Vec<Problem>) {
    let remark = format!("{}.remark", field.path);
    if !answered(scope.values.field(&remark)) {
        found.push(Said::BadRemark.of(field, &remark));
    }
    let Some(list) = field.check.as_ref().and_then(|check| check.finding.as_deref()) else {
        return;
    };
    let named = format!("{}.finding_ref", field.path);
    let row = scope.values.field(&named).and_then(Value::as_str);
    if !scope.values.rows(list).iter().any(|finding| Some(finding.id) == row) {
        found.push(Said::BadFinding.of(field, &named));
    }
}
