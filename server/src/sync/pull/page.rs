//! What fits into one answer.

use super::round::Round;
use crate::problem::ApiError;
use std::collections::BTreeSet;
use storage::RecordCopy;
use sync_protocol::id::{RecordId, Seq};
use sync_protocol::wire::{Leave, SnapToken};

/// Records that are read at once before it is known how large they are.
const ROWS_AT_FIRST: usize = 64;
/// The fewest and the most records that are read at once.
const ROWS: (usize, usize) = (8, 256);

/// The texts of records on the wire, with commas between.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordTexts(Vec<u8>);

impl RecordTexts {
    /// The bytes: what stands between the brackets of a JSON array.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What fitted into one answer.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) records: RecordTexts,
    pub(super) sent: BTreeSet<RecordId>,
    pub(super) leave: Vec<Leave>,
    pub(super) snap: Vec<SnapToken>,
    pub(super) at: Seq,
    pub(super) complete: bool,
    bytes_max: usize,
    /// Bytes of the largest record so far.
    largest: usize,
}

impl Page {
    pub(super) fn new(at: Seq, bytes_max: usize) -> Self {
        Self {
            records: RecordTexts::default(),
            sent: BTreeSet::new(),
            leave: Vec::new(),
            snap: Vec::new(),
            at,
            complete: false,
            bytes_max,
            largest: 0,
        }
    }

    /// Takes those of these records that were not sent yet, if they fit all together; the first always do.
    pub(super) fn takes<'a>(
        &mut self,
        round: &Round<'_>,
        copies: impl IntoIterator<Item = &'a RecordCopy>,
    ) -> Result<bool, ApiError> {
        let text = &mut self.records.0;
        let begun = text.len();
        let mut taken = Vec::new();
        for copy in copies.into_iter().filter(|copy| !self.sent.contains(&copy.rec)) {
            if !text.is_empty() {
                text.push(b',');
            }
            let from = text.len();
            round.write(copy, text)?;
            self.largest = self.largest.max(text.len() - from);
            taken.push(copy.rec);
        }
        if begun > 0 && !taken.is_empty() && text.len() > self.bytes_max {
            text.truncate(begun);
            return Ok(false);
        }
        self.sent.extend(taken);
        Ok(true)
    }

    /// How many records to read next: as many as certainly fit if they are not larger than those before.
    pub(super) fn rows_next(&self) -> usize {
        let left = self.bytes_max.saturating_sub(self.records.0.len());
        let rows = left.checked_div(self.largest).map_or(ROWS_AT_FIRST, |rows| rows + 1);
        rows.clamp(ROWS.0, ROWS.1)
    }
}
