//! The blobs that a view shows.

use super::greatest;
use crate::blob::BlobRef;
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
}

/// The blobs that the elements of a record show, by list and element; no form is needed to tell them.
pub fn blobs(record: &Record) -> impl Iterator<Item = ShownBlob<'_>> {
    let elements = record
        .lists
        .iter()
        .flat_map(|(list, rows)| rows.iter().map(move |(element, row)| (list, element, row)));
    elements.filter(|(.., row)| !row.presences.is_empty()).filter_map(|(list, element, row)| {
        let blob = BlobRef::read(greatest(&row.payloads, record)?)?;
        Some(ShownBlob { list, element, blob })
    })
}
