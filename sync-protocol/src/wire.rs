//! The call `POST /v1/sync`: what a tablet sends and what it is answered.

use crate::blob::BlobHash;
use crate::change::Code;
use crate::clock::{ClockReading, Instant, UnixMillis};
use crate::id::{
    AttemptId, Bucket, ChangeId, EpochId, LeaseId, QuarantineId, RecordId, RecordType, ReplicaId,
    Seq,
};
use crate::record::RecordBody;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// The version of the envelope.
pub const VERSION: u32 = 1;
/// The largest body on the wire, compressed or not: 1 MiB.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The largest body after inflating: 8 MiB.
pub const INFLATED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How many times larger than its wire form a body may inflate.
pub const INFLATE_RATIO_MAX: usize = 100;
/// The most changes in one push.
pub const PUSH_CHANGES_MAX: usize = 200;
/// The bytes of records that an answer holds unless the tablet asks for another size.
pub const ANSWER_BYTES_DEFAULT: usize = 256 * 1024;
/// The most bytes of records that a tablet may ask for.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most buckets that a request may name, held and paged together.
pub const BUCKETS_MAX: usize = 256;
/// The most quarantined changes that a request may ask about.
pub const OPEN_MAX: usize = 1_000;
/// The most blobs that a request may ask about.
pub const BLOBS_MAX: usize = 500;
/// The most purges that a request may report.
pub const PURGED_MAX: usize = 1_000;

/// What a tablet sends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncRequest<'a> {
    /// [`VERSION`].
    pub v: u32,
    /// This incarnation of the tablet's database.
    pub replica: ReplicaId,
    /// Kept through the retries of one attempt.
    pub attempt: AttemptId,
    /// The lease of the last answer; null at first contact with a new replica.
    pub lease: Option<LeaseId>,
    /// The tablet's clocks at this request.
    pub clock: ClockReading,
    /// The server's history that the tablet knows; null before the first answer.
    pub epoch: Option<EpochId>,
    /// Where the pull goes on; null to begin.
    pub cursor: Option<String>,
    /// Buckets that the tablet holds completely.
    #[serde(default)]
    pub have: Vec<Bucket>,
    /// Buckets that are being paged.
    #[serde(default)]
    pub snap: Vec<SnapToken>,
    /// The changes.
    #[serde(borrow)]
    pub push: Push<'a>,
    /// Buckets whose records were erased.
    #[serde(default)]
    pub purged: Vec<Purged>,
    /// Changes that the tablet shows as quarantined.
    #[serde(default)]
    pub open: Vec<ChangeId>,
    /// Blobs that the tablet keeps and has not been told to be stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<BlobHash>,
    /// What the answer should hold.
    #[serde(default)]
    pub want: Want,
}

/// A bucket that is being paged, and where its next page begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapToken {
    /// The bucket.
    pub bucket: Bucket,
    /// The server's token; null in an answer when the last page has come.
    pub token: Option<String>,
}

/// The changes of a request: frozen texts, verbatim.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push<'a> {
    /// The n of the first of them; also when there are none.
    pub from: i64,
    /// The texts.
    #[serde(borrow, default)]
    pub changes: Vec<&'a RawValue>,
    /// Effective times that the server gave earlier, for changes that are offered again.
    #[serde(default, deserialize_with = "each_once", skip_serializing_if = "BTreeMap::is_empty")]
    pub stamps: BTreeMap<ChangeId, UnixMillis>,
}

/// Reads stamps; a change that is named twice has none that could be trusted.
fn each_once<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<ChangeId, UnixMillis>, D::Error> {
    struct Stamps;
    impl<'de> Visitor<'de> for Stamps {
        type Value = BTreeMap<ChangeId, UnixMillis>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("effective times by change")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut stamps = BTreeMap::new();
            while let Some((change, stamp)) = members.next_entry()? {
                if stamps.insert(change, stamp).is_some() {
                    return Err(A::Error::custom("a change is named twice"));
                }
            }
            Ok(stamps)
        }
    }
    from.deserialize_map(Stamps)
}

/// A bucket whose records were erased from the tablet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purged {
    /// The bucket.
    pub bucket: Bucket,
    /// The head that the tablet knew when it erased.
    pub at: Seq,
}

/// What the answer should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Want {
    /// Bytes of uncompressed JSON of records; [`ANSWER_BYTES_DEFAULT`] when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
    /// Whether to send the sums of the held buckets.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sums: bool,
}

/// What a tablet is answered.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct SyncAnswer {
    /// [`VERSION`].
    pub v: u32,
    /// The server's history.
    pub epoch: EpochId,
    /// The server's clock.
    pub now: Instant,
    /// What the next new attempt must show; null for a device that may only deposit.
    pub lease: LeaseId,
    /// The largest n of this replica with 1…n all received, and its change.
    pub known: Known,
    /// The largest n with 1…n inside the last reported backup.
    pub durable: Option<i64>,
    /// The outcome of every change of the push, and of those asked about in `open` that are no longer open.
    pub results: Vec<ChangeResult>,
    /// Buckets, or records of a bucket, that the tablet may no longer hold.
    pub leave: Vec<Leave>,
    /// Buckets that the tablet is to hold from now on.
    pub enter: Vec<Enter>,
    /// Records, whole or by changed fields.
    pub records: Vec<WireRecord>,
    /// Where the paging of buckets stands; a null token ends it.
    pub snap: Vec<SnapToken>,
    /// Where the next pull goes on.
    pub cursor: String,
    /// Whether another page is ready.
    pub more: bool,
    /// Sums of the held buckets, when asked for.
    pub sums: Option<Vec<BucketSum>>,
    /// The hash of the list of current forms.
    pub bundle: String,
    /// Which blobs the server needs and has.
    pub blobs: Blobs,
    /// The limits that the tablet keeps.
    pub limits: Limits,
    /// Milliseconds to wait before the next call.
    pub retry_after: i64,
}

/// The largest n that is received without a gap below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// 0 when nothing is.
    pub n: i64,
    /// The change at that n; null at 0, and for a text without a readable id.
    pub id: Option<ChangeId>,
}

/// What became of one change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeResult {
    /// Its number in the push; absent for one of `open`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<i64>,
    /// Its id; null where the text has no readable one.
    pub id: Option<ChangeId>,
    /// The outcome.
    pub st: Status,
    /// For `dup`: the present outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Status>,
    /// Its seq: of the release, when it was released from quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// Its effective time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t_eff: Option<UnixMillis>,
    /// Why it is `late`: `sealed`, `amendment` or `left_scope`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its place in quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<QuarantineId>,
    /// Why it is in quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Applied.
    Ok,
    /// Known already; `was` tells its present outcome.
    Dup,
    /// Applied, and shown to a human because it came late.
    Late,
    /// Stored and shown to a human, not applied.
    Quarantined,
    /// Was in quarantine; a human closed it without applying it.
    Closed,
}

impl ChangeResult {
    /// The outcome that holds now: for a `dup`, the one that it tells in `was`.
    pub fn present(&self) -> Status {
        match self.st {
            Status::Dup => self.was.unwrap_or(Status::Ok),
            Status::Ok | Status::Late | Status::Quarantined | Status::Closed => self.st,
        }
    }
}

/// A bucket, or one record of it, that the tablet may no longer hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leave {
    /// The bucket.
    pub bucket: Bucket,
    /// One record; the whole bucket when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rec: Option<RecordId>,
    /// The seq at which the record left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Seq>,
}

/// A bucket that the tablet is to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enter {
    /// The bucket.
    pub bucket: Bucket,
    /// Names the paging.
    pub token: String,
    /// How many records will come.
    pub records: i64,
}

/// A record, whole or by its changed fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireRecord {
    /// The record.
    pub rec: RecordId,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: RecordType,
    /// The seq of its last change.
    pub rv: Seq,
    /// The buckets by which this tablet gets it.
    #[serde(rename = "in")]
    pub buckets: Vec<Bucket>,
    /// Its subject.
    pub about: Option<RecordId>,
    /// Whether the body is the whole record.
    pub full: bool,
    /// The body.
    #[serde(flatten)]
    pub body: RecordBody,
}

/// The sum over a bucket: n records and Σ mod 2^64 of the first 8 bytes of SHA-256 of `<rec>:<rv>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketSum {
    /// The bucket.
    pub bucket: Bucket,
    /// How many records.
    pub n: i64,
    /// The sum, as 16 hexadecimal digits.
    pub sum: String,
}

/// Sums (record, revision) pairs as [`BucketSum`] tells.
pub fn bucket_sum(bucket: Bucket, records: impl IntoIterator<Item = (RecordId, Seq)>) -> BucketSum {
    let (mut n, mut sum) = (0, 0_u64);
    for (rec, rv) in records {
        let hash = crate::value::hash_of(format!("{rec}:{rv}").as_bytes());
        let (head, _) = hash.split_first_chunk::<8>().expect("a hash has 32 bytes");
        n += 1;
        sum = sum.wrapping_add(u64::from_be_bytes(*head));
    }
    BucketSum { bucket, n, sum: format!("{sum:016x}") }
}

/// Of the blobs that the request asks about, which the server needs and which it has.
///
/// A blob that no received change of the asker names is in neither.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blobs {
    /// Named by a received change, and to be uploaded by the asker.
    pub need: Vec<BlobHash>,
    /// Uploaded by the asker, verified and durable.
    pub have: Vec<BlobHash>,
}

/// The limits that a tablet keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of a body on the wire.
    pub max_body: usize,
    /// Bytes of one change.
    pub max_change: usize,
    /// Changes in one push.
    pub max_push: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: BODY_BYTES_MAX,
            max_change: crate::change::CHANGE_BYTES_MAX,
            max_push: PUSH_CHANGES_MAX,
        }
    }
}
