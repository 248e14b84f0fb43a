//! The state: a union of what was accepted, whatever the order, and the same as the model that prunes nothing.

use crate::history::{
    Made, Taking, change_id, form, honest, keeps_bases, kind, record_id, reorder, shuffled, state,
    user, wild,
};
use crate::reference::{Reference, names};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use sync_protocol::change::{Change, Op, Path};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::Dot;
use sync_protocol::record::{Around, EARLY_GONE_MAX, Record, Slot, Stamped, TooManyEarly};
use sync_protocol::view::View;

proptest! {
    #[test]
    fn order_repetition_and_batches_make_no_difference((changes, keys) in shuffled(wild()), cut in 0..16_usize) {
        let once = Taking::all(&changes);
        let other = reorder(&changes, &keys);
        let mut again = Taking::new();
        let cut = cut.min(other.len());
        for made in other.iter().take(cut).chain(&other).chain(&other) {
            again.take(made);
        }
        prop_assert_eq!(state(&once.record), state(&again.record));
        prop_assert_eq!(View::of(&once.record, form()), View::of(&again.record, form()));
    }

    #[test]
    fn the_stored_form_is_the_two_sets_without_what_is_gone((changes, keys) in shuffled(wild())) {
        let mut taking = Taking::new();
        let mut reference = Reference::default();
        for made in reorder(&changes, &keys) {
            taking.take(&made);
            reference.apply(&made.change, made.t_eff);
            let expected = reference.record(Record::new(kind()), &keeps_bases);
            prop_assert_eq!(state(&taking.record), state(&expected));
            prop_assert_eq!(View::of(&taking.record, form()), View::of(&expected, form()));
        }
    }

    #[test]
    fn a_value_leaves_only_when_an_accepted_change_named_it_at_its_place((changes, keys) in shuffled(wild())) {
        let mut taking = Taking::new();
        let mut reference = Reference::default();
        for made in reorder(&changes, &keys) {
            let before: BTreeSet<(Slot, Dot)> =
                reference.all_live().map(|(slot, dot, _)| (slot.clone(), dot)).collect();
            let named: BTreeSet<(Slot, Dot)> = made.change.ops.iter().flat_map(names).collect();
            taking.take(&made);
            reference.apply(&made.change, made.t_eff);
            let live = live_pairs(&taking.record);
            for pair in before {
                prop_assert_eq!(!live.contains(&pair), named.contains(&pair), "{:?}", pair);
            }
        }
    }

    #[test]
    fn released_from_quarantine_is_as_if_never_there((changes, keys) in shuffled(wild()), late in any::<u16>()) {
        let order = reorder(&changes, &keys);
        let (quarantined, ok): (Vec<_>, Vec<_>) =
            order.iter().enumerate().partition(|(at, _)| late >> (at % 16) & 1 == 1);
        let released = Taking::all(ok.into_iter().chain(quarantined).map(|(_, made)| made));
        let straight = Taking::all(&order);
        prop_assert_eq!(state(&released.record), state(&straight.record));
        prop_assert_eq!(View::of(&released.record, form()), View::of(&straight.record, form()));
    }

    #[test]
    fn an_author_who_has_seen_all_leaves_one_value(changes in honest(), value in any::<u8>()) {
        let reference = Reference::of(changes.iter().map(|made| (&made.change, made.t_eff)));
        let slot = Slot::Field("title".to_owned());
        let x = reference.dots(&slot);
        let mut taking = Taking::all(&changes);
        taking.take(&set("title", json!(value), x));
        let title = View::of(&taking.record, form()).fields.remove("title").expect("it was set");
        prop_assert_eq!(title.versions.len(), 1);
        prop_assert_eq!(title.shown, json!(value));
    }
}

/// Every live put of a record.
fn live_pairs(record: &Record) -> BTreeSet<(Slot, Dot)> {
    let mut pairs = BTreeSet::new();
    for (field, register) in &record.fields {
        pairs.extend(register.live.keys().map(|dot| (Slot::Field(field.clone()), *dot)));
    }
    for (field, rows) in &record.lists {
        for (id, row) in rows {
            let at = sync_protocol::change::RowPath { field: field.clone(), row: id.clone() };
            let of_row = row.presences.iter().chain(row.removals.keys());
            pairs.extend(of_row.map(|dot| (Slot::Row(at.clone()), *dot)));
            pairs.extend(row.payloads.keys().map(|dot| (Slot::Payload(at.clone()), *dot)));
            pairs.extend(row.positions.keys().map(|dot| (Slot::Position(at.clone()), *dot)));
            for (cell, register) in &row.cells {
                let slot = Slot::Cell(at.clone(), cell.clone());
                pairs.extend(register.live.keys().map(|dot| (slot.clone(), *dot)));
            }
        }
    }
    pairs.extend(record.deletions.keys().map(|dot| (Slot::Deletion, *dot)));
    pairs.extend(record.homes.keys().map(|dot| (Slot::Home, *dot)));
    pairs.extend(record.seals.keys().map(|dot| (Slot::Seal, *dot)));
    pairs
}

/// A change by an author of its own that sets one field.
fn set(field: &str, value: serde_json::Value, x: Vec<Dot>) -> Made {
    let op = Op::Set { path: Path::Field(field.to_owned()), value, x, px: Vec::new() };
    made_of(vec![op])
}

fn made_of(ops: Vec<Op>) -> Made {
    let change = Change {
        id: change_id(u16::MAX, 9_999),
        rec: record_id(),
        kind: kind(),
        sv: 3,
        at: UnixMillis(60),
        mono: None,
        boot: None,
        by: user(7),
        ss: Vec::new(),
        ops,
    };
    Made { change, t_eff: UnixMillis(60), knew: BTreeSet::new() }
}

fn early(count: usize, salt: u16) -> Vec<Dot> {
    (0..count).map(|at| Dot::put(change_id(salt, at), 0)).collect()
}

fn apply(record: &mut Record, made: &Made) -> Result<BTreeSet<String>, TooManyEarly> {
    let around = Around { keeps_bases: &keeps_bases, applied: &|_| false };
    record.apply(Stamped { change: &made.change, t_eff: made.t_eff }, around)
}

#[test]
fn a_record_waits_for_a_thousand_puts_and_no_more() {
    let mut record = Record::new(kind());
    apply(&mut record, &set("title", json!("a"), early(EARLY_GONE_MAX, 1)))
        .expect("the bound itself");
    assert_eq!(record.early_gone.len(), EARLY_GONE_MAX);
    let before = record.clone();
    assert_eq!(apply(&mut record, &set("title", json!("b"), early(1, 2))), Err(TooManyEarly));
    assert_eq!(record, before, "a refused change changes nothing");
    apply(&mut record, &set("title", json!("b"), early(5, 1))).expect("pairs that wait already");
}

#[test]
fn a_put_that_arrives_makes_room_for_what_it_names() {
    let mut record = Record::new(kind());
    apply(&mut record, &set("title", json!("a"), early(EARLY_GONE_MAX, 1)))
        .expect("the bound itself");
    let mut waited_for = set("title", json!("b"), early(1, 2));
    waited_for.change.id = change_id(1, 0);
    apply(&mut record, &waited_for).expect("it frees the place that it takes");
    assert_eq!(record.early_gone.len(), EARLY_GONE_MAX);
}

#[test]
fn an_op_removes_nothing_at_another_path() {
    let mut taking = Taking::new();
    let mut first = set("title", json!("a"), Vec::new());
    first.change.id = change_id(1, 1);
    taking.take(&first);
    taking.take(&set("area", json!("1"), vec![Dot::put(change_id(1, 1), 0)]));
    assert_eq!(View::of(&taking.record, form()).fields["title"].shown, json!("a"));
}
