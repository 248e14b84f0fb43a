//! Views: what each policy shows, what never depends on a clock, and what only a person may end.

use crate::history::{
    Made, Taking, change_id, form, honest, kind, record_id, reorder, shuffled, user, wild,
};
use crate::reference::{Put, Reference};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::change::{Change, Op, Path};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::ChangeId;
use sync_protocol::record::Slot;
use sync_protocol::view::{Deleted, FieldView, Mark, View, flags};

fn view(changes: &[Made]) -> View {
    View::of(&Taking::all(changes).record, form())
}

/// The places of a view with what is shown there.
fn places(view: &View) -> BTreeMap<String, FieldView> {
    let mut all = view.fields.clone();
    for (list, rows) in &view.lists {
        for row in &rows.rows {
            let cells = row.cells.iter();
            all.extend(
                cells.map(|(cell, field)| (format!("{list}/{}/{cell}", row.id), field.clone())),
            );
        }
    }
    all
}

proptest! {
    #[test]
    fn a_clock_only_chooses_among_concurrent_values(
        changes in honest(),
        shifts in prop::array::uniform3(-200_000_000..200_000_000_i64),
        jumps in prop::collection::vec(-50..50_i64, 16),
    ) {
        let mut shifted = changes.clone();
        for (at, made) in shifted.iter_mut().enumerate() {
            let author = usize::from(made.change.by != user(0)) + usize::from(made.change.by == user(2));
            made.t_eff = made.t_eff.plus(shifts[author]).plus(jumps[at]);
        }
        let (straight, skewed) = (view(&changes), view(&shifted));
        let (straight_places, skewed_places) = (places(&straight), places(&skewed));
        prop_assert_eq!(straight.deleted, skewed.deleted);
        prop_assert!(straight_places.keys().eq(skewed_places.keys()));
        for (path, field) in straight_places {
            let other = &skewed_places[&path];
            let values = |field: &FieldView| -> BTreeSet<String> {
                field.versions.iter().map(|version| version.value.to_string()).collect()
            };
            prop_assert_eq!(values(&field), values(other), "{}", path);
            prop_assert_eq!(field.mark, other.mark, "{}", path);
            if field.versions.len() == 1 {
                prop_assert_eq!(&field.shown, &other.shown, "{}", path);
            }
        }
        let rows = |view: &View| -> BTreeSet<String> {
            view.lists.iter().flat_map(|(list, rows)| rows.rows.iter().map(move |row| format!("{list}/{}", row.id))).collect()
        };
        prop_assert_eq!(rows(&straight), rows(&skewed));
    }

    #[test]
    fn a_deletion_that_missed_an_edit_never_takes_the_record(changes in honest()) {
        let reference = Reference::of(changes.iter().map(|made| (&made.change, made.t_eff)));
        let deletions: Vec<ChangeId> =
            reference.dots(&Slot::Deletion).into_iter().map(|dot| dot.change).collect();
        let known_to_deleters: BTreeSet<ChangeId> = changes
            .iter()
            .filter(|made| deletions.contains(&made.change.id))
            .flat_map(|made| made.knew.iter().copied().chain([made.change.id]))
            .collect();
        let unseen = reference.all_live().any(|(slot, dot, put)| {
            !matches!(slot, Slot::Deletion | Slot::Home)
                && !matches!(put, Put::Removal(_))
                && !known_to_deleters.contains(&dot.change)
        });
        let deleted = view(&changes).deleted;
        if deletions.is_empty() {
            prop_assert_eq!(deleted, Deleted::No);
        } else if unseen {
            prop_assert_eq!(deleted, Deleted::Contested);
        }
    }

    #[test]
    fn rows_are_there_once_in_one_order_while_somebody_wants_them((changes, keys) in shuffled(wild())) {
        let reference = Reference::of(changes.iter().map(|made| (&made.change, made.t_eff)));
        let shown = view(&reorder(&changes, &keys));
        let mut wanted: BTreeMap<(String, String), bool> = BTreeMap::new();
        for (slot, _, put) in reference.all_live() {
            if let (Slot::Row(at), Put::Presence) = (slot, put) {
                let removed = reference.live(slot).any(|(_, put)| matches!(put, Put::Removal(_)));
                wanted.insert((at.field.clone(), at.row.clone()), removed);
            }
        }
        let mut found = BTreeMap::new();
        for (list, rows) in &shown.lists {
            let order: Vec<_> = rows.rows.iter().map(|row| (row.pos.clone(), row.id.clone())).collect();
            prop_assert!(order.is_sorted(), "{:?}", order);
            for row in &rows.rows {
                let before = found.insert((list.clone(), row.id.clone()), row.removed_and_edited);
                prop_assert_eq!(before, None, "a row twice");
            }
        }
        prop_assert_eq!(wanted, found);
    }

    #[test]
    fn an_edit_that_did_not_see_the_removal_keeps_the_row_with_its_cells(changes in honest()) {
        let reference = Reference::of(changes.iter().map(|made| (&made.change, made.t_eff)));
        let shown = places(&view(&changes));
        for made in &changes {
            for (index, op) in made.change.ops.iter().enumerate() {
                let Op::Set { path: Path::Cell(at, cell), .. } = op else { continue };
                let row = Slot::Row(at.clone());
                let presence = sync_protocol::id::Dot { presence: true, ..made.change.dot(index) };
                let kept = reference.live(&row).any(|(dot, _)| dot == presence);
                let value = Slot::Cell(at.clone(), cell.clone());
                if kept && reference.dots(&value).contains(&made.change.dot(index)) {
                    let field = shown.get(&format!("{at}/{cell}")).expect("the cell is shown");
                    let mut dots = field.versions.iter().flat_map(|version| &version.dots);
                    prop_assert!(dots.any(|dot| *dot == made.change.dot(index)));
                }
            }
        }
    }

    #[test]
    fn a_conflict_is_always_flagged(changes in wild()) {
        let record = Taking::all(&changes).record;
        let view = View::of(&record, form());
        let words = flags(&record, form());
        prop_assert_eq!(view.has_conflict(), words.contains(&"conflict".to_owned()));
        prop_assert_eq!(view.has_conflict(), !view.conflicts().is_empty());
        let also = places(&view).values().any(|field| field.mark == Mark::Also);
        prop_assert_eq!(also, words.contains(&"also".to_owned()));
    }
}

/// Concurrent values of one field, the later ones made later; and one that all of them replaced.
fn concurrent(field: &str, base: Option<Value>, values: &[Value]) -> FieldView {
    let set = |id, t_eff, value: &Value, x| {
        let op = Op::Set {
            path: Path::Field(field.to_owned()),
            value: value.clone(),
            x,
            px: Vec::new(),
        };
        let change = Change {
            id,
            rec: record_id(),
            kind: kind(),
            sv: 3,
            at: UnixMillis(t_eff),
            mono: None,
            boot: None,
            by: user(1),
            ss: Vec::new(),
            ops: vec![op],
        };
        Made { change, t_eff: UnixMillis(t_eff), knew: BTreeSet::new() }
    };
    let first = base.map(|base| set(change_id(0, 0), 1, &base, Vec::new()));
    let x: Vec<_> = first.iter().map(|made| made.change.dot(0)).collect();
    let mut changes: Vec<Made> = first.into_iter().collect();
    for (value, t_eff) in values.iter().zip(2..) {
        changes.push(set(
            change_id(1, 100_000 - usize::try_from(t_eff).unwrap_or(0)),
            t_eff,
            value,
            x.clone(),
        ));
    }
    view(&changes).fields.remove(field).expect("it was set")
}

#[test]
fn each_policy_shows_concurrent_values_in_its_own_way() {
    let state = |from: &str, to: &str| json!({"from": from, "to": to});
    let cases = [
        ("title", vec![json!("a"), json!("b")], json!("b"), Mark::Also),
        ("title", vec![json!("b"), json!("b")], json!("b"), Mark::Agreed),
        ("unknown.path", vec![json!(1), json!(2)], json!(2), Mark::Also),
        ("checks.F07.result", vec![json!("bad"), json!("good")], json!("bad"), Mark::Conflict),
        (
            "checks.F07.result",
            vec![json!("unchecked"), json!("na"), json!("good")],
            json!("unchecked"),
            Mark::Conflict,
        ),
        ("checks.F07.result", vec![json!("bad"), json!("bad")], json!("bad"), Mark::Agreed),
        ("grade", vec![json!("serious"), json!("minor")], json!("serious"), Mark::Conflict),
        ("grade", vec![json!("minor"), json!("unheard")], json!("minor"), Mark::Conflict),
        (
            "held_on",
            vec![json!("2026-11-30"), json!("2026-12-01")],
            json!("2026-11-30"),
            Mark::Conflict,
        ),
        ("area", vec![json!("10.5"), json!("10")], json!("10"), Mark::Agreed),
        ("area", vec![json!("10.6"), json!("10")], json!("10"), Mark::Also),
        (
            "status",
            vec![state("draft", "done"), state("draft", "held")],
            state("draft", "done"),
            Mark::Also,
        ),
        (
            "status",
            vec![state("draft", "called_off"), state("draft", "held")],
            state("draft", "held"),
            Mark::Conflict,
        ),
        ("opinion", vec![json!("甲。"), json!("乙。")], json!("乙。\n甲。"), Mark::Conflict),
    ];
    for (field, values, shown, mark) in cases {
        let view = concurrent(field, None, &values);
        assert_eq!((view.shown, view.mark), (shown, mark), "{field}: {values:?}");
    }
}

#[test]
fn a_step_from_a_state_that_was_not_goes_to_a_person() {
    let state = |from: &str, to: &str| json!({"from": from, "to": to});
    for (from, mark) in [("held", Mark::Agreed), ("draft", Mark::Conflict)] {
        let view = concurrent("status", Some(state("draft", "held")), &[state(from, "done")]);
        assert_eq!(view.mark, mark, "from {from}");
    }
}

#[test]
fn equal_values_collapse_among_however_many() {
    let values: Vec<Value> = (0..4_000).map(|number| json!(number % 1_000)).collect();
    let view = concurrent("unknown.path", None, &values);
    assert_eq!(view.versions.len(), 1_000);
    assert!(view.versions.iter().all(|version| version.dots.len() == 4));
    assert_eq!(view.shown, json!(999));
}

#[test]
fn a_code_that_stands_alone_conflicts_with_others() {
    for (codes, mark) in [
        (vec!["a", "b"], Mark::Agreed),
        (vec!["none"], Mark::Agreed),
        (vec!["a", "none"], Mark::Conflict),
    ] {
        let ops = codes.iter().map(|code| Op::Add {
            at: sync_protocol::change::RowPath { field: "codes".into(), row: (*code).into() },
            pos: None,
            value: None,
            x: Vec::new(),
            px: Vec::new(),
        });
        let change = Change {
            id: change_id(1, 1),
            rec: record_id(),
            kind: kind(),
            sv: 3,
            at: UnixMillis(1),
            mono: None,
            boot: None,
            by: user(1),
            ss: Vec::new(),
            ops: ops.collect(),
        };
        let view = view(&[Made { change, t_eff: UnixMillis(1), knew: BTreeSet::new() }]);
        assert_eq!(view.lists["codes"].mark, mark, "{codes:?}");
    }
}
