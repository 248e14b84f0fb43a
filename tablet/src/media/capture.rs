//! Taking a photo or a video in: the bytes are on disk before a change names them.

use super::folder::MediaFolder;
use super::queue::Queued;
use crate::chance::OsChance;
use crate::error::TabletError;
use crate::tablet::Tablet;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use sync_protocol::blob::{BlobHash, BlobRef, MediaType};
use sync_protocol::change::{Path as FieldPath, RowPath};
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::{Field, Kind};
use sync_protocol::id::{ChangeId, RecordId};
use sync_protocol::record::Record;
use sync_protocol::replica::{Chance as _, Draft, Edit};

/// The longest caption, in characters.
pub(crate) const CAPTION_CHARS_MAX: usize = 500;
/// The longest name of a place, in characters.
const PLACE_CHARS_MAX: usize = 200;
/// How long bytes that no change names are kept: 30 days. A crash may have come between them and their change.
const UNNAMED_KEPT: Duration = Duration::from_hours(30 * 24);
/// The cell that says what a photo belongs to.
const AT: &str = "at";

/// What a person says of a photo or a video.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// When it was taken; the time of the file unless it is said.
    pub taken_at: Option<UnixMillis>,
    /// Where it was taken.
    pub place: Option<String>,
    /// What it shows.
    pub caption: Option<String>,
    /// The row that it belongs to: `findings/<row>`.
    pub at: Option<String>,
    /// The video whose still it is.
    pub poster_of: Option<BlobHash>,
}

/// A photo or a video that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// What it is.
    pub blob: BlobRef,
    /// Its row in the field.
    pub row: String,
    /// The change that names it.
    pub change: ChangeId,
}

impl Tablet {
    /// Adds a photo or a video to a field of a record. Its bytes and the change are on disk when this returns.
    pub async fn capture(
        &mut self,
        rec: RecordId,
        field: &str,
        source: &Path,
        facts: &Facts,
    ) -> Result<Captured, TabletError> {
        let record = self.held(rec)?;
        check_lengths(facts)?;
        let sv = self.takes_media(&record, field, facts)?;
        let taken_at = match facts.taken_at {
            Some(at) => at,
            None => file_time(source)?,
        };
        if facts.poster_of.is_some()
            && MediaFolder::kind_of(source)?.is_some_and(MediaType::is_video)
        {
            return Err(TabletError::NotTaken("the still of a video is a photo".to_owned()));
        }
        let blob = take_in(self.media.clone(), source).await?;
        let row = uuid::Uuid::from_u128(OsChance.bits()).to_string();
        let edits = edits(field, &row, &blob, taken_at, facts);
        let change = self.author(&Draft { rec, kind: record.kind, sv, edits }).await?;
        if self.queue.get(blob.sha256).stopped.is_some() {
            self.queue.put(&mut self.database, blob.sha256, Queued::default()).await?;
        }
        Ok(Captured { blob, row, change })
    }

    /// Checks that the field takes photos and that the row is there; tells the version of the form.
    fn takes_media(&self, record: &Record, path: &str, facts: &Facts) -> Result<u32, TabletError> {
        let form = self.forms().get(&record.kind);
        let form = form.ok_or_else(|| TabletError::NoForm(record.kind.to_string()))?;
        let refused = |what: String| Err(TabletError::NotTaken(what));
        let is_photos = |field: &&Field| field.kind == Kind::Photos;
        let fields: Vec<&str> =
            form.fields.iter().filter(is_photos).map(|field| field.path.as_str()).collect();
        let takes = || match fields.as_slice() {
            [] => format!("a {} takes no photos", record.kind),
            fields => format!("photos belong into {}", fields.join(" or ")),
        };
        let Some(field) = form.field(path) else {
            return refused(format!("a {} has no field {path}: {}", record.kind, takes()));
        };
        if field.kind != Kind::Photos {
            return refused(format!("the field {path} takes no photos: {}", takes()));
        }
        if let Some(at) = &facts.at {
            if !field.cells.iter().any(|cell| cell.path == AT) {
                return refused(format!("the photos of {path} belong to no row: leave --at out"));
            }
            let row = at.split_once('/').and_then(|(list, row)| record.lists.get(list)?.get(row));
            if row.is_none_or(|row| row.presences.is_empty()) {
                return refused(format!(
                    "there is no row {at}: it is findings/<row>, see `genba-tablet show`"
                ));
            }
        }
        Ok(form.version)
    }

    /// Deletes what no change has named for a long time.
    pub(crate) async fn sweep_unnamed(&mut self) -> Result<(), TabletError> {
        let named = |sha256| self.replica().blobs().any(|own| own.blob.sha256 == sha256);
        let now = self.clock().read().now.0;
        let oldest = UNIX_EPOCH
            + Duration::from_millis(u64::try_from(now.0).unwrap_or(0)).saturating_sub(UNNAMED_KEPT);
        let files = self.media.blobs()?;
        let old: Vec<_> = files
            .into_iter()
            .filter(|(sha256, at)| *at < oldest && !named(*sha256))
            .map(|(sha256, _)| sha256)
            .collect();
        for sha256 in old {
            self.media.remove(sha256)?;
            self.queue.remove(&mut self.database, sha256).await?;
        }
        Ok(())
    }
}

async fn take_in(media: MediaFolder, source: &Path) -> Result<BlobRef, TabletError> {
    let source = source.to_owned();
    let taken = tokio::task::spawn_blocking(move || media.take_in(&source)).await;
    taken.expect("copying a file does not panic")
}

fn check_lengths(facts: &Facts) -> Result<(), TabletError> {
    let caption = ("caption", &facts.caption, CAPTION_CHARS_MAX);
    for (what, text, max) in [caption, ("place", &facts.place, PLACE_CHARS_MAX)] {
        let chars = text.as_ref().map_or(0, |text| text.chars().count());
        if chars > max {
            return Err(TabletError::NotTaken(format!(
                "the {what} has {chars} characters: at most {max}"
            )));
        }
    }
    Ok(())
}

fn file_time(source: &Path) -> Result<UnixMillis, TabletError> {
    let at = std::fs::metadata(source).and_then(|file| file.modified());
    let at: SystemTime = at.map_err(TabletError::file(source))?;
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

fn edits(field: &str, row: &str, blob: &BlobRef, taken_at: UnixMillis, facts: &Facts) -> Vec<Edit> {
    let mut payload = Map::from_iter([
        ("sha256".to_owned(), json!(blob.sha256)),
        ("bytes".to_owned(), json!(blob.bytes)),
        ("mime".to_owned(), json!(blob.kind.mime())),
        ("taken_at".to_owned(), json!(taken_at.to_string())),
    ]);
    for (member, text) in [("place", &facts.place), ("caption", &facts.caption)] {
        if let Some(text) = text {
            payload.insert(member.to_owned(), json!(text));
        }
    }
    if let Some(video) = facts.poster_of {
        payload.insert("poster_of".to_owned(), json!(video));
    }
    let at = RowPath { field: field.to_owned(), row: row.to_owned() };
    let value = Some(Value::Object(payload));
    let mut edits = vec![Edit::Add { at: at.clone(), pos: None, value }];
    if let Some(belongs) = &facts.at {
        edits.push(Edit::Set(FieldPath::Cell(at, AT.to_owned()), json!(belongs)));
    }
    edits
}
