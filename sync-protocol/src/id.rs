//! Identities: every id is its own type, so that one cannot be taken for another.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Why a text is not the identity that it was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {0}")]
pub struct NotAnId(pub &'static str);

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident: $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), out)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }
        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse_lower_uuid(text).map(Self).ok_or(NotAnId($what))
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

uuid_ids! {
    /// One change, made by its author: UUIDv7.
    ChangeId: "a change id (lower-case UUID)";
    /// One record.
    RecordId: "a record id (lower-case UUID)";
    /// One incarnation of a tablet's database.
    ReplicaId: "a replica id (lower-case UUID)";
    /// One enrolment of a tablet, bound to one user.
    DeviceId: "a device id (lower-case UUID)";
    /// One person who signs in or enrols a tablet.
    UserId: "a user id (lower-case UUID)";
    /// One attempt of a tablet to sync, kept through its retries.
    AttemptId: "an attempt id (lower-case UUID)";
    /// One lease of a replica: what its next new attempt must show.
    LeaseId: "a lease id (lower-case UUID)";
    /// One unbroken history of the server; a restore begins another.
    EpochId: "an epoch id (lower-case UUID)";
    /// One change in quarantine.
    QuarantineId: "a quarantine id (lower-case UUID)";
    /// One upload of a photo or video.
    UploadId: "an upload id (lower-case UUID)";
}

/// Reads a UUID in its one accepted spelling: lower case with hyphens.
fn parse_lower_uuid(text: &str) -> Option<Uuid> {
    let plain =
        text.len() == 36 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    plain.then(|| Uuid::try_parse(text).ok()).flatten()
}

/// The place of a change in its tenant's journal: 1, 2, 3 … without gaps, in the order of commits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub i64);

impl Seq {
    /// The seq that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// The longest segment of a path, a bucket's id or a code, in characters.
pub const SEGMENT_CHARS_MAX: usize = 64;

/// Whether `text` is one segment: 1 to 64 of `A-Z a-z 0-9 _ -`.
pub fn is_segment(text: &str) -> bool {
    (1..=SEGMENT_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $valid:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.to_owned())) } else { Err(NotAnId($what)) }
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

text_ids! {
    /// A bureau: `fire`, `sanitation`, `welfare`. Tenants share nothing.
    Tenant: "a tenant (one segment)", is_segment;
    /// Where records lie: `kind:id`, or `everyone`.
    Bucket: "a bucket (kind:id, or everyone)", |text| text == EVERYONE
        || text.split_once(':').is_some_and(|(kind, id)| is_segment(kind) && is_segment(id));
    /// The kind of a record, which names its form: `fire_inspection`.
    RecordType: "a record type (one segment)", is_segment;
}

/// The bucket that every active user of a tenant holds, read only.
pub const EVERYONE: &str = "everyone";

impl Bucket {
    /// The bucket that every active user of the tenant holds.
    pub fn everyone() -> Self {
        Self(EVERYONE.to_owned())
    }

    /// What stands before the colon; `everyone` for that bucket itself.
    pub fn kind(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(kind, _)| kind)
    }
}

/// Names one put: the op at index `op` of a change, or the presence that this op gave to its row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// The change.
    pub change: ChangeId,
    /// The index of the op in the change, from 0.
    pub op: u16,
    /// Whether this is the presence given by the op, and not its put.
    pub presence: bool,
}

impl Dot {
    /// The put of the op at `op`.
    pub const fn put(change: ChangeId, op: u16) -> Self {
        Self { change, op, presence: false }
    }

    /// The presence that the op at `op` gives to the row that it adds or touches.
    pub const fn presence(change: ChangeId, op: u16) -> Self {
        Self { change, op, presence: true }
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}{}", self.change, self.op, if self.presence { "p" } else { "" })
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for Dot {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        const WHAT: NotAnId = NotAnId("a dot (<change id>.<i>, with p for a presence)");
        let (change, op) = text.split_once('.').ok_or(WHAT)?;
        let (op, presence) = op.strip_suffix('p').map_or((op, false), |op| (op, true));
        let canonical =
            op == "0" || (!op.starts_with('0') && op.bytes().all(|b| b.is_ascii_digit()));
        let op = op.parse().ok().filter(|_| canonical).ok_or(WHAT)?;
        Ok(Self { change: change.parse().map_err(|_| WHAT)?, op, presence })
    }
}

impl Serialize for Dot {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dot {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_one_spelling() {
        let text = "01990000-0000-7000-8000-0000000000ab";
        assert_eq!(text.parse::<ChangeId>().unwrap().to_string(), text);
        for wrong in
            ["01990000-0000-7000-8000-0000000000AB", "0199000000007000800000000000000ab", ""]
        {
            assert!(wrong.parse::<ChangeId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_dot_round_trips_and_refuses_other_spellings() {
        let id = "01990000-0000-7000-8000-0000000000ab";
        for tail in [".0", ".12p", ".499"] {
            let text = format!("{id}{tail}");
            assert_eq!(text.parse::<Dot>().unwrap().to_string(), text);
        }
        for tail in ["", ".", ".01", ".p", ".-1", ".65536", ".1q"] {
            assert!(format!("{id}{tail}").parse::<Dot>().is_err(), "{tail}");
        }
    }

    #[test]
    fn a_bucket_has_a_kind_and_an_id() {
        assert_eq!("station:fs-south".parse::<Bucket>().unwrap().kind(), "station");
        assert_eq!("everyone".parse::<Bucket>().unwrap(), Bucket::everyone());
        for wrong in ["", "station", "station:", ":x", "a:b:c", "a:日"] {
            assert!(wrong.parse::<Bucket>().is_err(), "{wrong}");
        }
    }
}
