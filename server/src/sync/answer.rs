//! The text of an answer. Records are passed through as they are stored.

use super::forms::FormBook;
use super::ingest::PushReceipt;
use super::pull::Pulled;
use crate::problem::ApiError;
use serde::Serialize;
use sync_protocol::clock::{Instant, UnixMillis};
use sync_protocol::id::{EpochId, LeaseId};
use sync_protocol::wire::{
    Blobs, BucketSum, ChangeResult, Enter, Known, Leave, Limits, SnapToken, VERSION,
};

/// [`SyncAnswer`](sync_protocol::wire::SyncAnswer) without its records.
#[derive(Serialize)]
struct Head<'a> {
    v: u32,
    epoch: EpochId,
    now: Instant,
    lease: LeaseId,
    known: Known,
    durable: Option<i64>,
    results: &'a [ChangeResult],
    leave: &'a [Leave],
    enter: &'a [Enter],
    snap: &'a [SnapToken],
    cursor: &'a str,
    more: bool,
    sums: Option<&'a [BucketSum]>,
    bundle: &'a str,
    blobs: &'a Blobs,
    limits: Limits,
    retry_after: i64,
}

/// Writes an answer. A device that may only deposit has pulled nothing: it learns what became of its changes.
pub(super) fn write(
    receipt: &PushReceipt,
    pulled: &Pulled,
    book: &FormBook,
    now: UnixMillis,
) -> Result<Vec<u8>, ApiError> {
    const RECORDS: &[u8] = b",\"records\":[";
    let head = Head {
        v: VERSION,
        epoch: receipt.epoch,
        now: Instant(now),
        lease: receipt.lease,
        known: receipt.known,
        durable: receipt.durable,
        results: &receipt.results,
        leave: &pulled.leave,
        enter: &pulled.enter,
        snap: &pulled.snap,
        cursor: &pulled.cursor,
        more: pulled.more,
        sums: pulled.sums.as_deref(),
        bundle: &book.bundle,
        blobs: &pulled.blobs,
        limits: Limits::default(),
        retry_after: 0,
    };
    let mut text = serde_json::to_vec(&head).map_err(ApiError::caused)?;
    // The records come last, in the object that has just been closed.
    text.pop();
    let records = pulled.records.as_bytes();
    text.reserve_exact(RECORDS.len() + records.len() + 2);
    for part in [RECORDS, records, b"]}"] {
        text.extend_from_slice(part);
    }
    Ok(text)
}
