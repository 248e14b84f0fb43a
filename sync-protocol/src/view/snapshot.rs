//! What an approver seals: the view as canonical text, and its hash.

use super::View;
use crate::id::{RecordId, RecordType};
use crate::value::{canonical, hash_of, hash_text};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The sealed text of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Canonical JSON (RFC 8785) of `{rec, type, form_version, fields, lists, blobs}`, without labels.
    pub text: String,
    /// `sha256:` and the hash of that text.
    pub view_hash: String,
}

/// Writes the view as it is sealed.
pub fn snapshot(rec: RecordId, kind: &RecordType, form_version: u32, view: &View) -> Snapshot {
    let mut fields: Map<String, Value> = view.derived.clone().into_iter().collect();
    fields.extend(view.fields.iter().map(|(path, field)| (path.clone(), field.shown.clone())));
    let mut blobs = BTreeSet::new();
    let mut lists = Map::new();
    for (path, list) in &view.lists {
        let mut rows = Vec::with_capacity(list.rows.len());
        for row in &list.rows {
            let cells: Map<String, Value> =
                row.cells.iter().map(|(cell, field)| (cell.clone(), field.shown.clone())).collect();
            if let Some(sha256) =
                row.value.as_ref().and_then(|value| value.get("sha256")).and_then(Value::as_str)
            {
                blobs.insert(sha256.to_owned());
            }
            rows.push(json!({ "row": row.id, "v": row.value, "cells": cells }));
        }
        lists.insert(path.clone(), Value::Array(rows));
    }
    let value = json!({
        "rec": rec, "type": kind, "form_version": form_version, "fields": fields, "lists": lists, "blobs": blobs,
    });
    let text = canonical(&value);
    let view_hash = hash_text(&hash_of(text.as_bytes()));
    Snapshot { text, view_hash }
}
