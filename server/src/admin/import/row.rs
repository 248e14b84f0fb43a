//! One row of an office's file, and the ids that follow from it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sync_protocol::clock::Instant;
use sync_protocol::id::{Bucket, ChangeId, RecordId, Tenant};
use sync_protocol::value::{canonical, hash_of, hash_text};
use uuid::Uuid;

/// A file of the office.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportFile {
    /// The rows, subjects before what is about them.
    pub records: Vec<Row>,
}

/// What an office says of one record.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The kind of record.
    #[serde(rename = "type")]
    pub kind: String,
    /// The office's key; with the type it names the record.
    pub key: String,
    /// The bucket where a new record lies, or …
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Bucket>,
    /// … the record (`type:key`) that it is about. Neither: the record is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The login of its author.
    pub by: String,
    /// When it was so; now, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Instant>,
    /// Values by path; `ref:type:key` stands for the id of that record.
    #[serde(default)]
    pub fields: Map<String, Value>,
    /// Rows by list: an object of `id`, cells and `v` (what never changes), or the id of an element alone.
    #[serde(default)]
    pub rows: Map<String, Value>,
}

impl Row {
    /// `type:key`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.kind, self.key)
    }

    /// The id of the change that says this of `rec`.
    pub fn change_id(&self, rec: RecordId) -> ChangeId {
        let said = serde_json::to_value(self).unwrap_or_default();
        let hash = hash_text(&hash_of(canonical(&said).as_bytes()));
        ChangeId(Uuid::new_v5(&rec.0, hash.as_bytes()))
    }
}

/// The id of the record that an office calls `type:key`: the same in every import.
pub fn record_id(tenant: &Tenant, name: &str) -> RecordId {
    let tenant = Uuid::new_v5(&Uuid::NAMESPACE_OID, tenant.as_str().as_bytes());
    RecordId(Uuid::new_v5(&tenant, name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_row_is_the_same_change_and_another_row_is_another() {
        let row = |capacity: i64| -> Row {
            let text = format!(
                r#"{{"type":"household","key":"hh-01","in":"caseload:A","by":"st-w3","fields":{{"n":{capacity}}}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let rec = record_id(&"welfare".parse().unwrap(), &row(1).name());
        assert_eq!(row(1).change_id(rec), row(1).change_id(rec));
        assert_ne!(row(1).change_id(rec), row(2).change_id(rec));
    }

    #[test]
    fn two_tenants_never_share_a_record() {
        let [a, b] =
            ["fire", "welfare"].map(|tenant| record_id(&tenant.parse().unwrap(), "staff:1"));
        assert_ne!(a, b);
    }
}
