//! The list of current forms, as tablets fetch it.

use super::Form;
use crate::value;
use serde_json::Value;

/// Writes the list of current forms as canonical JSON, ordered by type and version, with its hash (`sha256:<hex>`).
pub fn bundle(forms: &[&Form]) -> (String, String) {
    let mut forms = forms.to_vec();
    forms.sort_by(|a, b| (&a.kind, a.version).cmp(&(&b.kind, b.version)));
    let bodies = forms.into_iter().map(|form| form.body().clone()).collect();
    let text = value::canonical(&Value::Array(bodies));
    (value::hash_text(&value::hash_of(text.as_bytes())), text)
}
