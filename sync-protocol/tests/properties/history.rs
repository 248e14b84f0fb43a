//! Histories as tablets make them: authors who each know a part, edit what they see, and now and then name dots that
//! they should not.

use crate::reference::{Reference, slot_of};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use sync_protocol::change::{Change, Home, Op, Path, RowPath};
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::{Form, ViewKind};
use sync_protocol::id::{ChangeId, Dot, RecordId, RecordType, UserId};
use sync_protocol::record::{Around, Record, Slot, Stamped};
use sync_protocol::text::sentences;
use uuid::Uuid;

static FORM: LazyLock<Form> =
    LazyLock::new(|| Form::parse(include_str!("form.json")).expect("the form of the tests"));

/// The form under which the histories are made.
pub(crate) fn form() -> &'static Form {
    &FORM
}

pub(crate) fn kind() -> RecordType {
    form().kind.clone()
}

/// Narratives and states keep what they replaced.
pub(crate) fn keeps_bases(field: &str, cell: Option<&str>) -> bool {
    matches!(form().policy(field, cell).view, ViewKind::KeepBoth { .. } | ViewKind::Status { .. })
}

pub(crate) fn record_id() -> RecordId {
    RecordId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001))
}

/// A change id whose order among others is `salt`, then `index`.
pub(crate) fn change_id(salt: u16, index: usize) -> ChangeId {
    let high = (0x0199_u128 << 112) | (u128::from(salt) << 80) | (7 << 76) | (2 << 62);
    ChangeId(Uuid::from_u128(high | index as u128))
}

pub(crate) fn user(number: u8) -> UserId {
    UserId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0001_0000 | u128::from(number)))
}

/// A change with its stamp.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) change: Change,
    pub(crate) t_eff: UnixMillis,
    /// The changes that its author knew.
    pub(crate) knew: BTreeSet<ChangeId>,
}

/// How an op chooses the dots that it names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Naming {
    Shown,
    Some,
    Nothing,
    AlsoForeign,
    AlsoUnseen,
    AlsoOwn,
    AlsoUnknown,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct OpSeed {
    kind: u8,
    place: u8,
    row: u8,
    value: u8,
    naming: Naming,
}

#[derive(Clone, Debug)]
pub(crate) struct Act {
    author: u8,
    learns: u32,
    salt: u16,
    t_eff: i64,
    ops: Vec<OpSeed>,
}

fn op_seed(naming: BoxedStrategy<Naming>) -> impl Strategy<Value = OpSeed> {
    (0..12_u8, any::<u8>(), 0..3_u8, any::<u8>(), naming)
        .prop_map(|(kind, place, row, value, naming)| OpSeed { kind, place, row, value, naming })
}

fn acts(naming: &BoxedStrategy<Naming>) -> impl Strategy<Value = Vec<Act>> + use<> {
    let act = (
        0..3_u8,
        prop_oneof![2 => any::<u32>(), 1 => Just(u32::MAX), 1 => Just(0)],
        any::<u16>(),
        0..50_i64,
        prop::collection::vec(op_seed(naming.clone()), 1..4),
    )
        .prop_map(|(author, learns, salt, t_eff, ops)| Act {
            author,
            learns,
            salt,
            t_eff,
            ops,
        });
    prop::collection::vec(act, 1..14)
}

/// Histories of authors who keep the writer's rule.
pub(crate) fn honest() -> impl Strategy<Value = Vec<Made>> {
    acts(&Just(Naming::Shown).boxed()).prop_map(|acts| play(&acts))
}

/// Histories in which ops also name dots that they should not: of other paths, unseen, unknown, their own.
pub(crate) fn wild() -> impl Strategy<Value = Vec<Made>> {
    let naming = prop_oneof![
        6 => Just(Naming::Shown),
        1 => Just(Naming::Some),
        1 => Just(Naming::Nothing),
        1 => Just(Naming::AlsoForeign),
        1 => Just(Naming::AlsoUnseen),
        1 => Just(Naming::AlsoOwn),
        1 => Just(Naming::AlsoUnknown),
    ];
    acts(&naming.boxed()).prop_map(|acts| play(&acts))
}

/// A history with the keys by which it is put into another order.
pub(crate) fn shuffled(
    histories: impl Strategy<Value = Vec<Made>>,
) -> impl Strategy<Value = (Vec<Made>, Vec<u16>)> {
    (histories, prop::collection::vec(any::<u16>(), 16))
}

/// `changes` in the order of `keys`.
pub(crate) fn reorder(changes: &[Made], keys: &[u16]) -> Vec<Made> {
    let mut keyed: Vec<_> = keys.iter().cycle().zip(changes).collect();
    keyed.sort_by_key(|(key, _)| **key);
    keyed.into_iter().map(|(_, made)| made.clone()).collect()
}

fn play(acts: &[Act]) -> Vec<Made> {
    let mut made: Vec<Made> = Vec::new();
    let mut known: [BTreeSet<ChangeId>; 3] = Default::default();
    for (index, act) in acts.iter().enumerate() {
        let Some(known) = known.get_mut(usize::from(act.author)) else { continue };
        for (at, other) in made.iter().enumerate() {
            if act.learns >> (at % 32) & 1 == 1 {
                known.insert(other.change.id);
            }
        }
        let id = change_id(act.salt, index);
        let seen = made.iter().filter(|other| known.contains(&other.change.id));
        let mut view = Reference::of(seen.map(|other| (&other.change, other.t_eff)));
        let unseen: Vec<Dot> = made
            .iter()
            .filter(|other| !known.contains(&other.change.id))
            .flat_map(|other| (0..other.change.ops.len()).map(|op| other.change.dot(op)))
            .flat_map(|dot| [dot, Dot::presence(dot.change, dot.op)])
            .collect();
        let mut change = Change {
            id,
            rec: record_id(),
            kind: kind(),
            sv: 3,
            at: UnixMillis(act.t_eff),
            mono: None,
            boot: None,
            by: user(act.author),
            ss: Vec::new(),
            ops: Vec::new(),
        };
        if index == 0 {
            let bucket = "station:fs-south".parse().expect("a bucket");
            change.ops.push(Op::New { home: Home::In(bucket) });
        }
        for seed in &act.ops {
            let op = Author { view: &view, unseen: &unseen, id, ops: change.ops.len() }.op(*seed);
            change.ops.push(op);
            let so_far = Change { ops: change.ops.clone(), ..change.clone() };
            view.apply(&so_far, UnixMillis(act.t_eff));
        }
        let knew = known.clone();
        known.insert(id);
        made.push(Made { change, t_eff: UnixMillis(act.t_eff), knew });
    }
    made
}

struct Author<'a> {
    view: &'a Reference,
    unseen: &'a [Dot],
    id: ChangeId,
    ops: usize,
}

const FIELDS: [&str; 9] = [
    "title",
    "held_on",
    "area",
    "opinion",
    "opinion",
    "checks.F07.result",
    "checks.F07.remark",
    "grade",
    "status",
];

impl Author<'_> {
    fn op(&self, seed: OpSeed) -> Op {
        let row = |field: &str| RowPath { field: field.to_owned(), row: format!("r{}", seed.row) };
        match seed.kind {
            0..=3 => {
                let field = FIELDS.get(usize::from(seed.place) % FIELDS.len()).copied();
                self.set(Path::Field(field.unwrap_or("raw").to_owned()), seed)
            }
            4..=5 => {
                let cell = if seed.place.is_multiple_of(2) { "severity" } else { "text" };
                self.set(Path::Cell(row("findings"), cell.to_owned()), seed)
            }
            6 => {
                let at = row("findings");
                let x = self.names(&Slot::Position(at.clone()), seed.naming, false);
                let px = self.names(&Slot::Row(at.clone()), seed.naming, true);
                Op::Add { at, pos: Some(position(seed.value)), value: None, x, px }
            }
            7 => {
                let code = ["a", "b", "none"].get(usize::from(seed.row)).copied().unwrap_or("a");
                let at = match seed.place % 2 {
                    0 => RowPath { field: "codes".into(), row: code.into() },
                    _ => row("photos"),
                };
                let value = (at.field == "photos")
                    .then(|| json!({"sha256": format!("{:02x}", seed.value % 3)}));
                let x = self.names(&Slot::Payload(at.clone()), seed.naming, false);
                let px = self.names(&Slot::Row(at.clone()), seed.naming, true);
                Op::Add { at, pos: None, value, x, px }
            }
            8 => {
                let at = row(["findings", "photos", "codes"]
                    .get(usize::from(seed.place) % 3)
                    .copied()
                    .unwrap_or("findings"));
                Op::Rem {
                    x: self.names(&Slot::Row(at.clone()), seed.naming, true),
                    at,
                    why: Some("誤り".into()),
                }
            }
            9 => {
                let at = row("findings");
                let x = self.names(&Slot::Position(at.clone()), seed.naming, false);
                let px = self.names(&Slot::Row(at.clone()), seed.naming, true);
                Op::Pos { at, pos: position(seed.value), x, px }
            }
            10 => Op::Del { seen: self.seen(), why: None },
            _ => Op::Undel { x: self.names(&Slot::Deletion, seed.naming, false) },
        }
    }

    fn set(&self, path: Path, seed: OpSeed) -> Op {
        let slot = slot_of(&path);
        let px = match &path {
            Path::Cell(at, _) => self.names(&Slot::Row(at.clone()), seed.naming, true),
            Path::Field(_) => Vec::new(),
        };
        let x = self.names(&slot, seed.naming, false);
        let shown = self.view.live(&slot).find_map(|(_, put)| put.value().cloned());
        let value = value_for(&path, seed.value, shown.as_ref());
        Op::Set { path, value, x, px }
    }

    /// The changes whose values the author sees.
    fn seen(&self) -> Vec<ChangeId> {
        let live = self.view.all_live().map(|(_, dot, _)| dot.change);
        live.chain([self.id]).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn names(&self, slot: &Slot, naming: Naming, of_row: bool) -> Vec<Dot> {
        let mut dots = self.view.dots(slot);
        match naming {
            Naming::Shown => {}
            Naming::Some => drop(dots.pop()),
            Naming::Nothing => dots.clear(),
            Naming::AlsoForeign => dots.extend(self.view.puts.keys().map(|(_, dot)| *dot)),
            Naming::AlsoUnseen => dots.extend(self.unseen),
            Naming::AlsoOwn => dots.extend(
                (0..self.ops + 2)
                    .map(|op| Dot::put(self.id, u16::try_from(op).unwrap_or_default()))
                    .flat_map(|dot| [dot, Dot::presence(dot.change, dot.op)]),
            ),
            Naming::AlsoUnknown => {
                dots.extend((0..2).map(|n| Dot {
                    change: change_id(9, 900),
                    op: n,
                    presence: of_row,
                }));
            }
        }
        dots.retain(|dot| of_row || !dot.presence);
        dots
    }
}

fn position(value: u8) -> String {
    format!("a{}", value % 4)
}

fn value_for(path: &Path, value: u8, shown: Option<&Value>) -> Value {
    let of = |words: &[&str]| json!(words.get(usize::from(value) % words.len()));
    match (path.field(), path.cell()) {
        (_, Some("severity")) | ("grade", None) => of(&["serious", "minor", "unheard"]),
        ("checks.F07.result", None) => of(&["bad", "good", "na", "unchecked"]),
        ("held_on", None) => of(&["2026-12-01", "2026-11-30", "2027-01-15"]),
        ("area", None) => of(&["10", "10.4", "11", "-3.25"]),
        ("status", None) => {
            let from = shown.and_then(|value| value.get("to")).cloned().unwrap_or(json!("draft"));
            json!({"from": from, "to": of(&["held", "called_off", "done"])})
        }
        ("opinion" | "checks.F07.remark", None) | (_, Some("text")) => {
            Value::String(rewrite(shown.and_then(Value::as_str).unwrap_or_default(), value))
        }
        _ => json!(format!("題{}", value % 5)),
    }
}

/// What an author makes of a narrative: a sentence more, less, or another.
fn rewrite(text: &str, value: u8) -> String {
    let mut parts: Vec<String> = sentences(text).map(str::to_owned).collect();
    let at = usize::from(value / 4) % (parts.len() + 1);
    let new = format!("文{}。", value % 16);
    match value % 4 {
        0 if at < parts.len() => drop(parts.remove(at)),
        1 if at < parts.len() => {
            if let Some(part) = parts.get_mut(at) {
                *part = new;
            }
        }
        2 => parts.push(new),
        _ => parts.insert(at, new),
    }
    parts.concat()
}

/// A record that takes changes as a server does: each once, with what the journal supplies.
#[derive(Clone, Debug)]
pub(crate) struct Taking {
    pub(crate) record: Record,
    pub(crate) journal: Vec<Made>,
    taken: BTreeSet<ChangeId>,
}

impl Taking {
    pub(crate) fn new() -> Self {
        Self { record: Record::new(kind()), journal: Vec::new(), taken: BTreeSet::new() }
    }

    /// Takes a change once; tells the fields that it touched.
    pub(crate) fn take(&mut self, made: &Made) -> BTreeSet<String> {
        if !self.taken.insert(made.change.id) {
            return BTreeSet::new();
        }
        let journal = &self.journal;
        let applied = |id: ChangeId| journal.iter().any(|made| made.change.id == id);
        let around = Around { keeps_bases: &keeps_bases, applied: &applied };
        let stamped = Stamped { change: &made.change, t_eff: made.t_eff };
        let touched = self.record.apply(stamped, around).expect("few early pairs");
        self.journal.push(made.clone());
        let missing: BTreeSet<ChangeId> =
            self.record.missing_bases().iter().map(|dot| dot.change).collect();
        for made in self.journal.iter().filter(|made| missing.contains(&made.change.id)) {
            self.record.supply_bases(&made.change);
        }
        touched
    }

    pub(crate) fn all<'a>(changes: impl IntoIterator<Item = &'a Made>) -> Self {
        let mut taking = Self::new();
        changes.into_iter().for_each(|made| drop(taking.take(made)));
        taking
    }
}

/// Everything of a record that must not depend on the order of its changes.
pub(crate) fn state(record: &Record) -> Value {
    let mut meta = record.meta();
    meta.seqs.clear();
    json!({
        "about": record.about,
        "body": record.body(None, Vec::new()),
        "meta": meta,
    })
}
