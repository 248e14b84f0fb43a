//! The stored rows: what a step writes, and how a replica is rebuilt from them.

use super::blobs::Blob;
use super::holding::{Held, Place};
use super::outbox::{Own, OwnMeta};
use super::state::{Attempt, State};
use super::{Index, Replica, Run, Step};
use crate::blob::BlobHash;
use crate::change::Change;
use crate::id::{Bucket, RecordId};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};

/// The tables of a tablet's database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `replica` and `attempt`.
    State,
    /// Frozen texts of own changes, in the order in which they were authored; written once.
    Text,
    /// What became of own changes, by the same order.
    Change,
    /// Received records by id.
    Record,
    /// Buckets.
    Bucket,
    /// Blobs that own changes name, by their SHA-256.
    Blob,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 6] =
        [Self::State, Self::Text, Self::Change, Self::Record, Self::Bucket, Self::Blob];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Text => "text",
            Self::Change => "change",
            Self::Record => "record",
            Self::Bucket => "bucket",
            Self::Blob => "blob",
        }
    }
}

/// One stored row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Its table.
    pub table: Table,
    /// Its key.
    pub key: String,
    /// JSON, or a frozen text.
    pub value: Vec<u8>,
}

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: String,
    /// The new value; `None` deletes the row.
    pub value: Option<Vec<u8>>,
}

/// A stored row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the row {key} of {table:?} is damaged: {why}")]
pub struct DamagedRow {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: String,
    /// What is wrong.
    pub why: String,
}

/// What a step changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Dirty {
    pub(super) state: bool,
    pub(super) attempt: bool,
    pub(super) texts: BTreeSet<u64>,
    pub(super) own: BTreeSet<u64>,
    pub(super) held: BTreeSet<RecordId>,
    pub(super) places: BTreeSet<Bucket>,
    pub(super) blobs: BTreeSet<BlobHash>,
}

const STATE_KEY: &str = "replica";
const ATTEMPT_KEY: &str = "attempt";

/// Zero-padded, so that keys sort as they were authored.
fn order_key(order: u64) -> String {
    format!("{order:020}")
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("these structs have string keys and no failing serialiser")
}

impl Replica {
    pub(super) fn empty(state: State) -> Self {
        Self {
            state,
            attempt: None,
            own: BTreeMap::new(),
            held: BTreeMap::new(),
            places: BTreeMap::new(),
            blobs: BTreeMap::new(),
            index: Index::default(),
            dirty: Dirty::default(),
            outputs: Vec::new(),
            changed: BTreeSet::new(),
            run: Run::default(),
        }
    }

    /// Ends a step: the writes of everything that it changed, and its outputs.
    pub(super) fn flush(&mut self) -> Step {
        let dirty = std::mem::take(&mut self.dirty);
        let mut writes = Vec::new();
        let mut put = |table: Table, key: String, value: Option<Vec<u8>>| {
            writes.push(Write { table, key, value });
        };
        if dirty.state {
            put(Table::State, STATE_KEY.to_owned(), Some(json(&self.state)));
        }
        if dirty.attempt {
            put(Table::State, ATTEMPT_KEY.to_owned(), self.attempt.as_ref().map(json));
        }
        for order in dirty.texts {
            let text = self.own.get(&order).and_then(|own| own.text.as_ref());
            put(Table::Text, order_key(order), text.map(|text| text.clone().into_bytes()));
        }
        for order in dirty.own {
            put(Table::Change, order_key(order), self.own.get(&order).map(|own| json(&own.meta)));
        }
        for rec in dirty.held {
            put(Table::Record, rec.to_string(), self.held.get(&rec).map(|held| json(&held.row())));
        }
        for bucket in dirty.places {
            put(Table::Bucket, bucket.to_string(), self.places.get(&bucket).map(json));
        }
        for sha256 in dirty.blobs {
            put(Table::Blob, sha256.to_string(), self.blobs.get(&sha256).map(json));
        }
        Step { writes, outputs: std::mem::take(&mut self.outputs) }
    }

    /// Every row of this replica, as the writes so far have made them.
    pub fn rows(&self) -> Vec<Row> {
        let mut all = self.clone();
        all.outputs.clear();
        all.dirty = Dirty {
            state: true,
            attempt: true,
            texts: self.own.keys().copied().collect(),
            own: self.own.keys().copied().collect(),
            held: self.held.keys().copied().collect(),
            places: self.places.keys().cloned().collect(),
            blobs: self.blobs.keys().copied().collect(),
        };
        let writes = all.flush().writes.into_iter();
        writes
            .filter_map(|Write { table, key, value }| value.map(|value| Row { table, key, value }))
            .collect()
    }

    pub(super) fn from_rows(rows: impl IntoIterator<Item = Row>) -> Result<Self, DamagedRow> {
        let mut state = None;
        let mut attempt = None;
        let mut texts = BTreeMap::new();
        let mut metas = BTreeMap::new();
        let mut held = BTreeMap::new();
        let mut places = BTreeMap::new();
        let mut blobs = BTreeMap::new();
        for row in rows {
            match row.table {
                Table::State if row.key == STATE_KEY => state = Some(read::<State>(&row)?),
                Table::State if row.key == ATTEMPT_KEY => attempt = Some(read::<Attempt>(&row)?),
                Table::State => return Err(damaged(&row, "unknown key")),
                Table::Text => {
                    let order = read_order(&row)?;
                    texts.insert(
                        order,
                        String::from_utf8(row.value.clone()).map_err(|e| damaged(&row, e))?,
                    );
                }
                Table::Change => {
                    metas.insert(read_order(&row)?, read::<OwnMeta>(&row)?);
                }
                Table::Record => {
                    let rec: RecordId = row.key.parse().map_err(|e| damaged(&row, e))?;
                    held.insert(rec, Held::read(read(&row)?).map_err(|e| damaged(&row, e))?);
                }
                Table::Bucket => {
                    let bucket: Bucket = row.key.parse().map_err(|e| damaged(&row, e))?;
                    places.insert(bucket, read::<Place>(&row)?);
                }
                Table::Blob => {
                    let sha256: BlobHash = row.key.parse().map_err(|e| damaged(&row, e))?;
                    blobs.insert(sha256, read::<Blob>(&row)?);
                }
            }
        }
        let missing = || DamagedRow {
            table: Table::State,
            key: STATE_KEY.to_owned(),
            why: "it is missing".to_owned(),
        };
        let mut replica = Self::empty(state.ok_or_else(missing)?);
        replica.attempt = attempt;
        replica.held = held;
        replica.places = places;
        replica.blobs = blobs;
        for (order, meta) in metas {
            let text: Option<String> = texts.remove(&order);
            let change = text.as_deref().map(Change::parse).transpose().map_err(|refusal| {
                DamagedRow { table: Table::Text, key: order_key(order), why: refusal.why }
            })?;
            replica.own.insert(order, Own { meta, text, change });
        }
        replica.rebuild_index();
        Ok(replica)
    }

    fn rebuild_index(&mut self) {
        let mut index = Index::default();
        for (order, own) in &self.own {
            index.order_of.insert(own.meta.id, *order);
            if let Some(n) = own.meta.n {
                index.order_at.insert(n, *order);
                if !own.meta.answered {
                    index.unanswered.insert(n);
                }
            }
            if own.meta.shown {
                index.shown.entry(own.meta.rec).or_default().insert(*order);
            }
        }
        for (rec, held) in &self.held {
            for bucket in held.buckets.keys() {
                index.members.entry(bucket.clone()).or_default().insert(*rec);
            }
            if held.buckets.is_empty() {
                index.orphans.insert(*rec);
            }
        }
        self.index = index;
        let orders: Vec<u64> = self.own.keys().copied().collect();
        for order in orders {
            self.name_blobs(order);
        }
    }
}

fn damaged(row: &Row, why: impl std::fmt::Display) -> DamagedRow {
    DamagedRow { table: row.table, key: row.key.clone(), why: why.to_string() }
}

fn read<T: DeserializeOwned>(row: &Row) -> Result<T, DamagedRow> {
    serde_json::from_slice(&row.value).map_err(|e| damaged(row, e))
}

fn read_order(row: &Row) -> Result<u64, DamagedRow> {
    row.key.parse().map_err(|e| damaged(row, e))
}
