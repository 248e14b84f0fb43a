//! One field of a form, or one cell of its rows.

use super::{Builtin, Label, Predicate, Role};
use crate::id::RecordType;

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One line.
    Text,
    /// Several lines.
    Narrative,
    /// An integer, or a decimal as text.
    Number,
    /// A day without a zone, `YYYY-MM-DD`.
    Date,
    /// An instant.
    Datetime,
    /// One code.
    Choice,
    /// A set of codes, the elements of a list.
    MultiChoice,
    /// An item of a checklist: `.result`, `.remark`, `.photos` and `.finding_ref`.
    Check,
    /// Rows with cells.
    Rows,
    /// Photos, the elements of a list.
    Photos,
    /// Signatures, the elements of a list.
    Signature,
    /// `{lat, lon, accuracy_m}` as decimals.
    Location,
    /// One record.
    Ref,
    /// Records, the elements of a list.
    Refs,
    /// A value that is computed and never sent.
    Derived,
    /// The state of the record, a register of `{from, to}`.
    Status,
    /// Yes or no.
    Flag,
    /// The address of a video that lies elsewhere: `https`, on an allowed host; never fetched.
    VideoUrl,
}

impl Kind {
    /// Whether the field is a list of elements and not a register.
    pub const fn is_list(self) -> bool {
        matches!(self, Self::MultiChoice | Self::Rows | Self::Photos | Self::Signature | Self::Refs)
    }
}

/// How two people's concurrent answers stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The later in the order of ties is shown, the others beside it.
    Field,
    /// A disagreement until a person decides.
    Strict,
    /// Every sentence of both stays.
    KeepBoth,
    /// A check: each part on its own.
    Item,
    /// A set of codes: the union.
    Union,
    /// Rows: the union, and their cells each on its own.
    Rows,
    /// The union; nothing leaves without a reason.
    AddOnly,
    /// A legal date: the earliest, and always a person looks at it.
    Legal,
    /// Computed.
    Derived,
    /// The state of the furthest rank.
    Status,
}

/// Whether an answer is needed before the record is submitted.
#[derive(Clone, Debug, PartialEq)]
pub enum Need {
    /// It may stay empty.
    Never,
    /// It may not.
    Always,
    /// It may not while this is true.
    When(Predicate),
}

/// One code that a field offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The code, which is the value.
    pub code: String,
    /// What people read.
    pub label: Label,
    /// Its place in the office's own order; its place in the list where the form does not say.
    pub sort: i64,
    /// Which answer is shown first in a disagreement: the greater.
    pub rank: Option<i64>,
    /// The group that it belongs to: `specified` among the occupancy classes.
    pub group: Option<String>,
    /// Whether it excludes every other code.
    pub exclusive: bool,
}

/// What an item of a checklist has beside its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Its weight in the score; 0 takes no part.
    pub weight: u32,
    /// Whether a `bad` is critical by itself.
    pub critical: bool,
    /// The article that it rests on.
    pub basis: Option<String>,
    /// The list whose row a `bad` must name in `.finding_ref`.
    pub finding: Option<String>,
}

/// One field of a form, or one cell of its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The path of the field; the path inside the row for a cell.
    pub path: String,
    /// The letter of its section; none for a cell.
    pub section: Option<String>,
    /// What it takes.
    pub kind: Kind,
    /// How concurrent answers stand together.
    pub merge: Merge,
    /// Who may write it; `None`: whoever may write what it belongs to; empty: only the server.
    pub write: Option<Vec<Role>>,
    /// What people call it.
    pub label: Label,
    /// What helps to fill it in.
    pub help: Option<Label>,
    /// Whether it must be answered.
    pub required: Need,
    /// When it is asked at all; its answer is kept while it is not.
    pub relevant: Option<Predicate>,
    /// The least number or day.
    pub min: Option<String>,
    /// The greatest number or day; the most characters of a text; the most elements of a list.
    pub max: Option<String>,
    /// How far two numbers may differ without a mark, as decimal text.
    pub tolerance: Option<String>,
    /// The unit of a number.
    pub unit: Option<String>,
    /// The codes, in their order.
    pub choices: Vec<Choice>,
    /// The cells of a row.
    pub cells: Vec<Self>,
    /// What belongs to an item of a checklist.
    pub check: Option<Check>,
    /// The kinds of record that a reference may name; empty for any.
    pub to: Vec<RecordType>,
    /// The hosts on which a video may lie: a name, or `*.` and the suffix of many.
    pub hosts: Vec<String>,
    /// What computes a derived field.
    pub builtin: Option<Builtin>,
}
