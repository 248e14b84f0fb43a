//! A change as it came: its bytes, their hash, and what could be read of it.

use std::sync::Arc;
use storage::Via;
use sync_protocol::change::{Change, Home, Refusal};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Bucket, ChangeId, DeviceId, RecordId, RecordType, UserId};
use sync_protocol::value::{Hash, hash_of};
use uuid::Uuid;

/// Who sent a change, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// How it came.
    pub(crate) via: Via,
    /// Whose credentials it came with.
    pub(crate) by: UserId,
    /// The device, for a tablet's change.
    pub(crate) device: Option<DeviceId>,
    /// Whether the device may only deposit: all it sends goes to quarantine.
    pub(crate) deposit: bool,
    /// How far the server's clock was ahead of the sender's at the receipt, in milliseconds; for a tablet's change.
    pub(crate) clock_offset_ms: Option<i64>,
}

/// A change as it came; clones share what is large.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    /// Its id, or one made of its hash where none can be read.
    pub(crate) id: ChangeId,
    /// The frozen bytes.
    pub(crate) text: Arc<str>,
    /// Their SHA-256.
    pub(crate) hash: Hash,
    /// The change, or why it is none.
    pub(crate) read: Result<Arc<Change>, Refusal>,
    /// What a person in the quarantine sees of it.
    pub(crate) claim: Claim,
}

/// What a change says of its record, as far as it can be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claim {
    /// Whether `id` stands in the text.
    pub(crate) has_id: bool,
    /// The record.
    pub(crate) rec: Option<RecordId>,
    /// Its kind.
    pub(crate) kind: Option<RecordType>,
    /// The bucket that its `new` names.
    pub(crate) bucket: Option<Bucket>,
    /// The subject that its `new` names.
    pub(crate) about: Option<RecordId>,
}

impl Incoming {
    /// Reads a frozen text.
    pub(crate) fn read(text: &str) -> Self {
        let hash = hash_of(text.as_bytes());
        let read = Change::parse(text).map(Arc::new);
        let (id, claim) = match &read {
            Ok(change) => (change.id, claim(change)),
            Err(_) => claim_of_unreadable(text, &hash),
        };
        Self { id, text: text.into(), hash, read, claim }
    }

    /// The id that stands in the text.
    pub(crate) fn readable_id(&self) -> Option<ChangeId> {
        self.claim.has_id.then_some(self.id)
    }

    /// When the change was made, by its author's wall clock, if that can be read.
    pub(crate) fn at(&self) -> Option<UnixMillis> {
        self.read.as_ref().ok().map(|change| change.at)
    }
}

fn claim(change: &Change) -> Claim {
    let mut claim = Claim {
        has_id: true,
        rec: Some(change.rec),
        kind: Some(change.kind.clone()),
        bucket: None,
        about: None,
    };
    match change.home() {
        Some(Home::In(bucket)) => claim.bucket = Some(bucket.clone()),
        Some(Home::About(subject)) => claim.about = Some(*subject),
        None => {}
    }
    claim
}

/// An id of the same bytes for ever: version 8 over the hash.
fn made_id(hash: &Hash) -> ChangeId {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash) {
        *to = *from;
    }
    ChangeId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

fn claim_of_unreadable(text: &str, hash: &Hash) -> (ChangeId, Claim) {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let text_of = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
    let id: Option<ChangeId> =
        text_of("id").and_then(|id| id.parse().ok()).filter(|id: &ChangeId| id.0 != Uuid::nil());
    let claim = Claim {
        has_id: id.is_some(),
        rec: text_of("rec").and_then(|rec| rec.parse().ok()),
        kind: text_of("type").and_then(|kind| kind.parse().ok()),
        ..Claim::default()
    };
    (id.unwrap_or_else(|| made_id(hash)), claim)
}

/// Why an applied change is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// A seal was live that its author had not seen.
    Sealed,
    /// Its author had seen the live seal.
    Amendment,
    /// Its author no longer may.
    LeftScope,
}

impl Late {
    /// The word on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Amendment => "amendment",
            Self::LeftScope => "left_scope",
        }
    }
}
