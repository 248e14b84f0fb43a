//! Changes: what a person did to one record, frozen when it was authored.

use crate::clock::UnixMillis;
use crate::id::{self, Bucket, ChangeId, Dot, RecordId, RecordType, Seq, UserId};
use crate::value::{self, Hash};
use serde_json::Value;
use std::fmt;

mod read;
mod write;

/// The largest frozen text of a change: 256 KiB.
pub const CHANGE_BYTES_MAX: usize = 256 * 1024;
/// The most ops in one change.
pub const OPS_MAX: usize = 500;
/// The most dots that one change may name, over all its ops.
pub const DOTS_MAX: usize = 2_000;
/// The longest position of a row, in characters.
pub const POSITION_CHARS_MAX: usize = 256;
/// The longest reason for a removal, in bytes.
pub const WHY_BYTES_MAX: usize = 4_096;

/// Why the server stores a change in quarantine instead of applying it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The author may not do this, or the record is not there for them.
    Forbidden,
    /// The id is known with other content, or the record exists already.
    IdReuse,
    /// No form describes this type.
    UnknownType,
    /// The text is not a change that this server can read.
    BadOp,
    /// The change exceeds a limit.
    TooBig,
    /// The device was revoked.
    Revoked,
}

impl Code {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::IdReuse => "id_reuse",
            Self::UnknownType => "unknown_type",
            Self::BadOp => "bad_op",
            Self::TooBig => "too_big",
            Self::Revoked => "revoked",
        }
    }

    /// Reads the word on the wire.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Forbidden,
            Self::IdReuse,
            Self::UnknownType,
            Self::BadOp,
            Self::TooBig,
            Self::Revoked,
        ]
        .into_iter()
        .find(|code| code.as_str() == word)
    }
}

/// Why a text is not a change: the quarantine code, and a sentence for the person who looks into it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refusal {
    /// `bad_op` or `too_big`.
    pub code: Code,
    /// One clause.
    pub why: String,
}

/// Where a value stands in a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// A field: `checks.F07.result`.
    Field(String),
    /// A cell of a row: `findings/<row>/severity`.
    Cell(RowPath, String),
}

/// One element of a list field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowPath {
    /// The list field.
    pub field: String,
    /// The id of the row or element.
    pub row: String,
}

impl fmt::Display for RowPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.field, self.row)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => out.write_str(field),
            Self::Cell(row, cell) => write!(out, "{row}/{cell}"),
        }
    }
}

impl Path {
    /// Reads `field` or `field/element/cell`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split('/').collect::<Vec<_>>().as_slice() {
            [field] => is_dotted(field).then(|| Self::Field((*field).to_owned())),
            [field, row, cell] => (is_dotted(field) && id::is_segment(row) && is_dotted(cell))
                .then(|| {
                    Self::Cell(
                        RowPath { field: (*field).to_owned(), row: (*row).to_owned() },
                        (*cell).to_owned(),
                    )
                }),
            _ => None,
        }
    }

    /// The field at the top: the list, for a cell.
    pub fn field(&self) -> &str {
        match self {
            Self::Field(field) => field,
            Self::Cell(row, _) => &row.field,
        }
    }

    /// The cell inside a row, if this is one.
    pub fn cell(&self) -> Option<&str> {
        match self {
            Self::Field(_) => None,
            Self::Cell(_, cell) => Some(cell),
        }
    }
}

/// Whether `text` is `seg(.seg)*`.
pub fn is_dotted(text: &str) -> bool {
    text.split('.').all(id::is_segment)
}

/// Where a new record begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// In a bucket of its own.
    In(Bucket),
    /// Wherever its subject lies.
    About(RecordId),
}

/// One op of a change. `x` and `px` name the exact dots that it replaces.
#[expect(missing_docs, reason = "the members are those of the wire, told in docs/changes.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The record begins.
    New { home: Home },
    /// A value of a field or of a cell.
    Set { path: Path, value: Value, x: Vec<Dot>, px: Vec<Dot> },
    /// An element of a list, with its position or its immutable payload.
    Add { at: RowPath, pos: Option<String>, value: Option<Value>, x: Vec<Dot>, px: Vec<Dot> },
    /// The removal of the presences that its author saw.
    Rem { at: RowPath, x: Vec<Dot>, why: Option<String> },
    /// A position of a row.
    Pos { at: RowPath, pos: String, x: Vec<Dot>, px: Vec<Dot> },
    /// The deletion of the record by someone who saw the changes in `seen`.
    Del { seen: Vec<ChangeId>, why: Option<String> },
    /// The deletions in `x` are taken back.
    Undel { x: Vec<Dot> },
    /// Server only: the record lies in these buckets from now on.
    Place { buckets: Vec<Bucket>, x: Vec<Dot> },
    /// Server only: an approver sealed what `covers` made.
    Seal { rv: Seq, covers: Vec<ChangeId>, view_hash: String, x: Vec<Dot> },
    /// Server only: the seals in `x` are opened.
    Unseal { x: Vec<Dot>, why: String },
    /// Server only: a change that came after a seal joins the next one.
    Accept { change: ChangeId, x: Vec<Dot> },
    /// Server only: a change that came after a seal is in no view.
    Aside { change: ChangeId, x: Vec<Dot>, why: String },
}

impl Op {
    /// Whether only the server makes such an op.
    pub const fn is_server_only(&self) -> bool {
        matches!(
            self,
            Self::Place { .. }
                | Self::Seal { .. }
                | Self::Unseal { .. }
                | Self::Accept { .. }
                | Self::Aside { .. }
        )
    }

    /// The dots that this op names.
    pub fn named(&self) -> impl Iterator<Item = &Dot> {
        let (x, px): (&[Dot], &[Dot]) = match self {
            Self::New { .. } | Self::Del { .. } => (&[], &[]),
            Self::Set { x, px, .. } | Self::Add { x, px, .. } | Self::Pos { x, px, .. } => (x, px),
            Self::Rem { x, .. }
            | Self::Undel { x }
            | Self::Place { x, .. }
            | Self::Seal { x, .. }
            | Self::Unseal { x, .. }
            | Self::Accept { x, .. }
            | Self::Aside { x, .. } => (x, &[]),
        };
        x.iter().chain(px)
    }

    /// The list element that this op adds or touches, and so gives a presence to.
    pub fn touched_row(&self) -> Option<&RowPath> {
        match self {
            Self::Add { at, .. }
            | Self::Pos { at, .. }
            | Self::Set { path: Path::Cell(at, _), .. } => Some(at),
            Self::New { .. }
            | Self::Set { .. }
            | Self::Rem { .. }
            | Self::Del { .. }
            | Self::Undel { .. }
            | Self::Place { .. }
            | Self::Seal { .. }
            | Self::Unseal { .. }
            | Self::Accept { .. }
            | Self::Aside { .. } => None,
        }
    }
}

/// A change as it was authored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Made by the author, UUIDv7.
    pub id: ChangeId,
    /// The record.
    pub rec: RecordId,
    /// The kind of the record.
    pub kind: RecordType,
    /// The version of the form that it was filled with.
    pub sv: u32,
    /// The author's wall clock.
    pub at: UnixMillis,
    /// The author's monotonic clock, in milliseconds.
    pub mono: Option<i64>,
    /// The run of that clock.
    pub boot: Option<String>,
    /// The author.
    pub by: UserId,
    /// The live seals of the record that the author had seen.
    pub ss: Vec<ChangeId>,
    /// What was done.
    pub ops: Vec<Op>,
}

impl Change {
    /// Reads a frozen text. Members that are not known here stay in the text and are passed over.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        read::change(text)
    }

    /// Where the record begins, if this is its first change.
    pub fn home(&self) -> Option<&Home> {
        match self.ops.first() {
            Some(Op::New { home }) => Some(home),
            _ => None,
        }
    }

    /// Whether every op is one that only the server makes: such a change has no seal class.
    pub fn is_server_only(&self) -> bool {
        self.ops.iter().all(Op::is_server_only)
    }

    /// The dot of the put of the op at `index`.
    pub fn dot(&self, index: usize) -> Dot {
        Dot::put(self.id, op_index(index))
    }
}

/// The index of an op as dots write it; [`OPS_MAX`] keeps it in range.
pub(crate) fn op_index(index: usize) -> u16 {
    u16::try_from(index).expect("a change has at most 500 ops")
}

/// The frozen text of a change and its hash: the same bytes for ever.
#[derive(Clone, PartialEq, Eq)]
pub struct Frozen {
    text: String,
    hash: Hash,
}

impl Frozen {
    /// Takes a text as it is.
    pub fn new(text: String) -> Self {
        let hash = value::hash_of(text.as_bytes());
        Self { text, hash }
    }

    /// The bytes that travel.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The SHA-256 of these bytes.
    pub const fn hash(&self) -> &Hash {
        &self.hash
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Frozen({}, {} bytes)", value::hash_text(&self.hash), self.text.len())
    }
}
