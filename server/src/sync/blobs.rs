//! How complete a record is: the blobs that it shows, and which of them hold.

use super::desk::read_record;
use crate::problem::ApiError;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use storage::{HeldBlob, RecordBlob, RecordRow, Tx};
use sync_protocol::blob::{BlobHash, BlobRef};
use sync_protocol::form::{Level, Problem};
use sync_protocol::id::{RecordId, Tenant, UserId};
use sync_protocol::record::Record;
use sync_protocol::view::{self, ShownBlob};

/// How a record that shows blobs names them in its stored state.
const MARK: &str = "\"sha256\"";

/// How many of the blobs that a record shows hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    have: usize,
    of: usize,
}

/// The blobs of one record.
#[derive(Debug, Serialize)]
pub(super) struct Media {
    #[serde(flatten)]
    count: Count,
    blobs: Vec<Told>,
}

/// One of them: what is stored where it holds, what its change says where it does not.
#[derive(Debug, Serialize)]
struct Told {
    sha256: BlobHash,
    bytes: u64,
    mime: String,
    state: State,
    facts: Option<Box<RawValue>>,
    render: Option<&'static str>,
    clock_offset_ms: Option<i64>,
    author: Option<UserId>,
    poster_of: Option<BlobHash>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Missing,
    Have,
}

/// The blobs that these references hold.
pub(super) fn held(references: &[RecordBlob]) -> BTreeSet<BlobHash> {
    let held = references.iter().filter(|reference| reference.held.is_some());
    held.map(|reference| reference.sha256).collect()
}

/// Tells the blobs that a record shows, each once; `references` are those of its applied changes.
pub(super) fn media(record: &Record, references: Vec<RecordBlob>) -> Result<Media, ApiError> {
    let mut shown: BTreeMap<BlobHash, (BlobRef, Option<BlobHash>)> = BTreeMap::new();
    for ShownBlob { blob, poster_of, .. } in view::blobs(record) {
        // Shown twice, it is a still when one of its elements says so.
        let said = shown.entry(blob.sha256).or_insert((blob, None));
        said.1 = said.1.or(poster_of);
    }
    let mut references: BTreeMap<BlobHash, RecordBlob> =
        references.into_iter().map(|reference| (reference.sha256, reference)).collect();
    let blobs = shown.into_values().map(|(blob, poster_of)| {
        Ok(Told { poster_of, ..tell(blob, references.remove(&blob.sha256))? })
    });
    let blobs = blobs.collect::<Result<Vec<_>, ApiError>>()?;
    let have = blobs.iter().filter(|told| matches!(told.state, State::Have)).count();
    Ok(Media { count: Count { have, of: blobs.len() }, blobs })
}

fn tell(blob: BlobRef, reference: Option<RecordBlob>) -> Result<Told, ApiError> {
    let (author, clock_offset_ms, held) = match reference {
        Some(RecordBlob { author, clock_offset_ms, held, .. }) => {
            (Some(author), clock_offset_ms, held)
        }
        None => (None, None, None),
    };
    let told = Told {
        sha256: blob.sha256,
        bytes: blob.bytes,
        mime: blob.kind.mime().to_owned(),
        state: State::Missing,
        facts: None,
        render: None,
        clock_offset_ms,
        author,
        poster_of: None,
    };
    let Some(HeldBlob { bytes, mime, facts, render, .. }) = held else { return Ok(told) };
    Ok(Told {
        bytes: u64::try_from(bytes).map_err(ApiError::caused)?,
        mime,
        state: State::Have,
        facts: facts.map(RawValue::from_string).transpose().map_err(ApiError::caused)?,
        render: Some(render.as_str()),
        ..told
    })
}

/// Counts the blobs that records of a list show, and those that hold; the store is asked once, and only for records
/// that show any.
pub(super) async fn counts(
    tx: &mut Tx,
    tenant: &Tenant,
    rows: &[RecordRow],
) -> Result<BTreeMap<RecordId, Count>, ApiError> {
    let mut shown: BTreeMap<RecordId, BTreeSet<BlobHash>> = BTreeMap::new();
    for row in rows.iter().filter(|row| names_blobs(row)) {
        let record = read_record(row)?;
        shown.insert(row.rec, view::blobs(&record).map(|shown| shown.blob.sha256).collect());
    }
    shown.retain(|_, hashes| !hashes.is_empty());
    if shown.is_empty() {
        return Ok(BTreeMap::new());
    }
    let recs: Vec<RecordId> = shown.keys().copied().collect();
    let holding = tx.blob_refs().holding(tenant, &recs).await?;
    let count = |(rec, hashes): (RecordId, BTreeSet<BlobHash>)| {
        let have = hashes.iter().filter(|hash| holding.contains(&(rec, **hash))).count();
        (rec, Count { have, of: hashes.len() })
    };
    Ok(shown.into_iter().map(count).collect())
}

/// Whether a record may show blobs, told without reading its state.
fn names_blobs(row: &RecordRow) -> bool {
    std::str::from_utf8(&row.state).is_ok_and(|state| state.contains(MARK))
}

/// What stands in the way of sealing: for each list that shows blobs which do not hold, a problem.
pub(super) fn missing(record: &Record, held: &BTreeSet<BlobHash>) -> Vec<Problem> {
    let mut lists: BTreeMap<&str, BTreeSet<BlobHash>> = BTreeMap::new();
    for shown in view::blobs(record) {
        lists.entry(shown.list).or_default().insert(shown.blob.sha256);
    }
    let problem = |(list, hashes): (&str, BTreeSet<BlobHash>)| {
        let (of, missing) = (hashes.len(), hashes.difference(held).count());
        (missing > 0).then(|| Problem {
            path: list.to_owned(),
            level: Level::Approve,
            code: "blob_missing".to_owned(),
            ja: format!("写真・動画{of}件のうち{missing}件がまだ届いていません"),
            en: format!("{missing} of {of} photos and videos not received yet"),
        })
    };
    lists.into_iter().filter_map(problem).collect()
}
