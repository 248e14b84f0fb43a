//! The text of an answer. Records are passed through as they are stored.

use super::forms::FormBook;
use super::ingest::PushReceipt;
use super::pull::Pulled;
use serde_json::{Value, json};
use sync_protocol::clock::{Instant, UnixMillis};
use sync_protocol::wire::{Blobs, Limits, VERSION};

/// The answer with a pull.
pub(super) fn full(
    receipt: &PushReceipt,
    pulled: Pulled,
    blobs: &Blobs,
    book: &FormBook,
    now: UnixMillis,
) -> String {
    let Pulled { leave, enter, records, snap, cursor, more, sums } = pulled;
    let rest = json!({
        "leave": leave, "enter": enter, "snap": snap, "cursor": cursor, "more": more, "sums": sums,
        "blobs": blobs,
    });
    write(receipt, rest, &records, book, now)
}

/// The answer to a device that may only deposit: it learns what became of its changes and nothing else.
pub(super) fn deposit(
    receipt: &PushReceipt,
    cursor: &str,
    book: &FormBook,
    now: UnixMillis,
) -> String {
    let rest = json!({
        "leave": [], "enter": [], "snap": [], "cursor": cursor, "more": false, "sums": null,
        "blobs": Blobs::default(),
    });
    write(receipt, rest, &[], book, now)
}

fn write(
    receipt: &PushReceipt,
    rest: Value,
    records: &[String],
    book: &FormBook,
    now: UnixMillis,
) -> String {
    let mut answer = json!({
        "v": VERSION,
        "epoch": receipt.epoch,
        "now": Instant(now),
        "lease": receipt.lease,
        "known": receipt.known,
        "durable": receipt.durable,
        "results": receipt.results,
        "bundle": book.bundle,
        "limits": Limits::default(),
        "retry_after": 0,
    });
    if let (Some(members), Value::Object(rest)) = (answer.as_object_mut(), rest) {
        members.extend(rest);
    }
    let head = answer.to_string();
    let bytes: usize = records.iter().map(|text| text.len() + 1).sum();
    let mut text = String::with_capacity(head.len() + bytes + 16);
    text.push_str(head.strip_suffix('}').unwrap_or(&head));
    text.push_str(",\"records\":[");
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(record);
    }
    text.push_str("]}");
    text
}
