//! Slots: an op removes only puts at its own path, and a slot is what "its own path" means.

use crate::change::{Op, Path, RowPath};
use crate::id::{ChangeId, Dot};
use std::{fmt, str::FromStr};

/// A place in a record where puts live and from which only ops of the same place remove them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The values of a field.
    Field(String),
    /// The values of a cell.
    Cell(RowPath, String),
    /// The payloads of an element's adds.
    Payload(RowPath),
    /// The positions of an element: those of its adds and of its moves.
    Position(RowPath),
    /// The presences and removals of an element.
    Row(RowPath),
    /// The deletions.
    Deletion,
    /// The seals.
    Seal,
    /// `new` and `place`.
    Home,
    /// The verdicts on one change.
    Verdict(ChangeId),
}

impl Slot {
    pub(super) fn of_value(path: &Path) -> Self {
        match path {
            Path::Field(field) => Self::Field(field.clone()),
            Path::Cell(at, cell) => Self::Cell(at.clone(), cell.clone()),
        }
    }
}

/// The pairs that one op makes gone.
pub(super) fn named_pairs(op: &Op) -> Vec<(Slot, Dot)> {
    let mut pairs = Vec::new();
    let mut all =
        |slot: Slot, dots: &[Dot]| pairs.extend(dots.iter().map(|dot| (slot.clone(), *dot)));
    match op {
        Op::New { .. } | Op::Del { .. } => {}
        Op::Set { path, x, px, .. } => {
            all(Slot::of_value(path), x);
            if let Path::Cell(at, _) = path {
                all(Slot::Row(at.clone()), px);
            }
        }
        Op::Add { at, x, px, .. } => {
            all(Slot::Payload(at.clone()), x);
            all(Slot::Position(at.clone()), x);
            all(Slot::Row(at.clone()), px);
        }
        Op::Pos { at, x, px, .. } => {
            all(Slot::Position(at.clone()), x);
            all(Slot::Row(at.clone()), px);
        }
        Op::Rem { at, x, .. } => all(Slot::Row(at.clone()), x),
        Op::Undel { x } => all(Slot::Deletion, x),
        Op::Seal { x, .. } | Op::Unseal { x, .. } => all(Slot::Seal, x),
        Op::Place { x, .. } => all(Slot::Home, x),
        Op::Accept { change, x } | Op::Aside { change, x, .. } => all(Slot::Verdict(*change), x),
    }
    pairs
}

/// The top-level field that an op touches.
pub(super) fn top_field(op: &Op) -> Option<&str> {
    match op {
        Op::Set { path, .. } => Some(path.field()),
        Op::Add { at, .. } | Op::Rem { at, .. } | Op::Pos { at, .. } => Some(&at.field),
        Op::New { .. }
        | Op::Del { .. }
        | Op::Undel { .. }
        | Op::Place { .. }
        | Op::Seal { .. }
        | Op::Unseal { .. }
        | Op::Accept { .. }
        | Op::Aside { .. } => None,
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => write!(out, "field {field}"),
            Self::Cell(at, cell) => write!(out, "cell {at}/{cell}"),
            Self::Payload(at) => write!(out, "payload {at}"),
            Self::Position(at) => write!(out, "position {at}"),
            Self::Row(at) => write!(out, "row {at}"),
            Self::Deletion => out.write_str("deletion"),
            Self::Seal => out.write_str("seal"),
            Self::Home => out.write_str("home"),
            Self::Verdict(change) => write!(out, "verdict {change}"),
        }
    }
}

/// A text that names no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a slot")]
pub struct NotASlot;

impl FromStr for Slot {
    type Err = NotASlot;
    fn from_str(text: &str) -> Result<Self, NotASlot> {
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let at = || {
            let (field, row) = rest.split_once('/')?;
            Some(RowPath { field: field.to_owned(), row: row.to_owned() })
        };
        let slot = match kind {
            "field" => Some(Self::Field(rest.to_owned())),
            "cell" => match Path::parse(rest) {
                Some(Path::Cell(at, cell)) => Some(Self::Cell(at, cell)),
                Some(Path::Field(_)) | None => None,
            },
            "payload" => at().map(Self::Payload),
            "position" => at().map(Self::Position),
            "row" => at().map(Self::Row),
            "deletion" => Some(Self::Deletion),
            "seal" => Some(Self::Seal),
            "home" => Some(Self::Home),
            "verdict" => rest.parse().ok().map(Self::Verdict),
            _ => None,
        };
        slot.ok_or(NotASlot)
    }
}
