//! The blobs that a view shows.

use super::greatest;
use crate::blob::{BlobHash, BlobRef};
use crate::record::Record;

/// A blob that an element of a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownBlob<'a> {
    /// The path of the list.
    pub list: &'a str,
    /// The element.
    pub element: &'a str,
    /// What its payload says of the blob.
    pub blob: BlobRef,
    /// The video whose still it is, as its payload says.
    pub poster_of: Option<BlobHash>,
}

/// The blobs that the elements of a record show, by list and element; no form is needed to tell them.
pub fn blobs(record: &Record) -> impl Iterator<Item = ShownBlob<'_>> {
    let elements = record
        .lists
        .iter()
        .flat_map(|(list, rows)| rows.iter().map(move |(element, row)| (list, element, row)));
    elements.filter(|(.., row)| !row.presences.is_empty()).filter_map(|(list, element, row)| {
        let payload = greatest(&row.payloads, record)?;
        let (blob, poster_of) = (BlobRef::read(payload)?, BlobRef::poster_of(payload));
        Some(ShownBlob { list, element, blob, poster_of })
    })
}
