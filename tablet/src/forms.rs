//! The forms on a tablet, read from the list that the server names by its hash.

use crate::error::TabletError;
use serde_json::Value;
use std::collections::BTreeMap;
use sync_protocol::form::Form;
use sync_protocol::id::RecordType;

/// The current forms by kind.
#[derive(Clone, Debug, Default)]
pub struct Forms(BTreeMap<RecordType, Form>);

impl Forms {
    /// Reads the list. A form that this program cannot read is left out: its records are shown raw.
    pub fn read(text: &str) -> Result<Self, TabletError> {
        let unreadable = |e: serde_json::Error| TabletError::Unreadable(format!("the forms: {e}"));
        let bodies: Vec<Value> = serde_json::from_str(text).map_err(unreadable)?;
        let forms = bodies.iter().filter_map(|body| Form::parse(&body.to_string()).ok());
        Ok(Self(forms.map(|form| (form.kind.clone(), form)).collect()))
    }

    /// The form of a kind.
    pub fn get(&self, kind: &RecordType) -> Option<&Form> {
        self.0.get(kind)
    }

    /// Every form.
    pub fn iter(&self) -> impl Iterator<Item = &Form> {
        self.0.values()
    }
}
