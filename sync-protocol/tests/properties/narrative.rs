//! Narratives over whole histories: no sentence is lost before a person has saved the text.

use crate::history::{
    Made, Taking, change_id, form, honest, kind, record_id, reorder, shuffled, user,
};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use sync_protocol::change::{Change, Op, Path};
use sync_protocol::clock::UnixMillis;
use sync_protocol::text::sentences;
use sync_protocol::view::{FieldView, Mark, View};

const NARRATIVES: [&str; 2] = ["opinion", "checks.F07.remark"];

fn narratives(changes: &[Made]) -> Vec<(&'static str, FieldView)> {
    let mut view = View::of(&Taking::all(changes).record, form());
    NARRATIVES.iter().filter_map(|field| Some((*field, view.fields.remove(*field)?))).collect()
}

proptest! {
    #[test]
    fn every_sentence_of_every_version_is_shown((changes, keys) in shuffled(honest())) {
        for (field, view) in narratives(&reorder(&changes, &keys)) {
            let shown = view.shown.as_str().expect("a text");
            for version in &view.versions {
                let text = version.value.as_str().expect("a text");
                for sentence in sentences(text) {
                    prop_assert!(shown.contains(sentence), "{field}: {sentence} is not in {shown}");
                }
            }
        }
    }

    #[test]
    fn what_is_shown_does_not_depend_on_arrival_or_clocks((changes, keys) in shuffled(honest())) {
        let mut other = reorder(&changes, &keys);
        for (made, key) in other.iter_mut().zip(&keys) {
            made.t_eff = UnixMillis(i64::from(*key));
        }
        for ((_, one), (_, two)) in narratives(&changes).into_iter().zip(narratives(&other)) {
            prop_assert_eq!(one.shown, two.shown);
        }
    }

    #[test]
    fn saving_what_is_shown_ends_the_conflict_and_changes_nothing(changes in honest()) {
        for (field, view) in narratives(&changes) {
            let x = view.versions.iter().flat_map(|version| version.dots.clone()).collect();
            let op = Op::Set { path: Path::Field(field.to_owned()), value: view.shown.clone(), x, px: Vec::new() };
            let change = Change {
                id: change_id(u16::MAX, 9_999),
                rec: record_id(),
                kind: kind(),
                sv: 3,
                at: UnixMillis(99),
                mono: None,
                boot: None,
                by: user(9),
                ss: Vec::new(),
                ops: vec![op],
            };
            let saved = Made { change, t_eff: UnixMillis(99), knew: BTreeSet::new() };
            let all: Vec<Made> = changes.iter().cloned().chain([saved]).collect();
            let (_, after) = narratives(&all).into_iter().find(|(at, _)| *at == field).expect("saved");
            prop_assert_eq!(&after.shown, &view.shown);
            prop_assert_eq!(after.mark, Mark::Agreed);
            prop_assert_eq!(after.versions.len(), 1);
        }
    }
}

/// Two authors who both replaced `base`.
fn two(base: &str, one: &str, other: &str) -> FieldView {
    let set = |at: usize, text: &str, x| Made {
        change: Change {
            id: change_id(1, at),
            rec: record_id(),
            kind: kind(),
            sv: 3,
            at: UnixMillis(1),
            mono: None,
            boot: None,
            by: user(1),
            ss: Vec::new(),
            ops: vec![Op::Set {
                path: Path::Field("opinion".into()),
                value: json!(text),
                x,
                px: Vec::new(),
            }],
        },
        t_eff: UnixMillis(1),
        knew: BTreeSet::new(),
    };
    let first = set(0, base, Vec::new());
    let x = vec![first.change.dot(0)];
    let (one, other) = (set(1, one, x.clone()), set(2, other, x));
    let forwards = narratives(&[first.clone(), one.clone(), other.clone()]);
    let backwards = narratives(&[other, one, first]);
    assert_eq!(forwards, backwards);
    forwards.into_iter().next().expect("an opinion").1
}

#[test]
fn additions_in_different_places_are_one_text_until_a_person_saves_it() {
    let view = two("甲。乙。", "序。甲。乙。", "甲。乙。結。");
    assert_eq!(view.shown, json!("序。甲。乙。結。"));
    assert_eq!((view.mark, view.attributed), (Mark::Conflict, false));
}

#[test]
fn corrections_of_one_sentence_are_shown_whole_with_their_authors() {
    let view = two("甲。乙。", "甲。乙1。", "甲。乙2。");
    assert_eq!(view.shown, json!("甲。乙1。\n甲。乙2。"));
    assert_eq!((view.mark, view.attributed), (Mark::Conflict, true));
}
