//! The city's files as they are written, and as they are on the day.

use super::demo_clock::DemoClock;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use sync_protocol::clock::UnixMillis;

/// The bureaus of the city, by the names of their files.
pub const BUREAUS: [&str; 3] = ["fire", "sanitation", "welfare"];

/// One bureau: who works there and what they keep.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bureau {
    /// The tenant.
    pub tenant: TenantEntry,
    /// Its people; positions that decide are people here, with a login of their own.
    pub people: Vec<Person>,
    /// Who holds which bucket, in which role, from when to when.
    pub grants: Vec<GrantEntry>,
    /// Masters first, then what was inspected and visited.
    pub records: Vec<RecordEntry>,
}

/// A tenant.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TenantEntry {
    /// Its id.
    pub id: String,
    /// Its name in Japanese.
    pub ja: String,
    /// Its name in English.
    pub en: String,
    /// The zone in which its days begin.
    pub time_zone: String,
}

/// A person.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The name to sign in with.
    pub login: String,
    /// The person's name.
    pub name: String,
    /// Its reading.
    pub kana: String,
    /// The password; of the demo only.
    pub password: String,
    /// What the person is.
    pub position: String,
    /// Whether the person manages users and tablets (and sees no content).
    #[serde(default)]
    pub admin: bool,
}

/// A grant.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GrantEntry {
    /// The login of its holder.
    pub user: String,
    /// The bucket.
    pub bucket: String,
    /// The role.
    pub role: String,
    /// Whether the holder's tablets carry the bucket; otherwise it is read online only.
    pub hold: bool,
    /// From this instant.
    pub from: String,
    /// Until before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// A record and what became of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RecordEntry {
    /// The kind of record.
    #[serde(rename = "type")]
    pub kind: String,
    /// The office's key; with the type it names the record.
    pub key: String,
    /// The bucket where it lies, or …
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// … the record (`type:key`) that it is about and lies with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The login of its author.
    pub by: String,
    /// When.
    pub at: String,
    /// What is special here, for the reader of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Registers by path.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
    /// Rows by list: an object with `id` and cells (and `v`, what never changes), or an element's id alone.
    #[serde(default)]
    pub rows: BTreeMap<String, Vec<Value>>,
    /// What happened next, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// One thing that happened to a record: an edit, or one command.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who.
    pub by: String,
    /// When.
    pub at: String,
    /// Why, for the reader of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Registers by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Value>,
    /// Rows by list; a known id edits the cells that are named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<String, Vec<Value>>,
    /// An approver seals what stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seal: bool,
    /// An approver accepts what stands beside the seal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept: bool,
    /// An approver opens the seal, for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseal: Option<String>,
}

impl RecordEntry {
    /// `type:key`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.kind, self.key)
    }
}

/// The folder of the fixtures.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// Reads one bureau as it is written.
pub fn read(bureau: &str) -> Result<Bureau> {
    let path = fixtures().join("city").join(format!("{bureau}.json"));
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// Reads one bureau as it is on the day of `now`: every date in its place.
pub fn on_the_day(bureau: &str, now: UnixMillis) -> Result<Bureau> {
    let written = read(bureau)?;
    let clock = DemoClock::new(now, &written.tenant.time_zone)?;
    Ok(serde_json::from_value(clock.place(&serde_json::to_value(written)?)?)?)
}
