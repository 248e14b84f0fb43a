//! The narrative view, by cases and by its promises.

use proptest::prelude::*;
use sync_protocol::text::{merge, sentences};

const BASE: &str = "一階を見た。二階を見た。三階を見た。";

#[test]
fn a_text_is_cut_after_the_marks_that_end_a_sentence() {
    let text = "良好。なぜ?不明!次\n３．６ 1.5 kWの機器！本当？終わり";
    let cut: Vec<&str> = sentences(text).collect();
    let expected =
        ["良好。", "なぜ?", "不明!", "次\n", "３．", "６ 1.5 kWの機器！", "本当？", "終わり"];
    assert_eq!(cut, expected);
    assert_eq!(cut.concat(), text);
}

#[test]
fn additions_in_different_places_are_shown_together() {
    let first = format!("立会者あり。{BASE}");
    let last = format!("{BASE}写真を撮った。");
    let middle = "一階を見た。二階を見た。階段に物品。三階を見た。";
    assert_eq!(
        merge(Some(BASE), &[&first, &last, middle]).as_deref(),
        Some("立会者あり。一階を見た。二階を見た。階段に物品。三階を見た。写真を撮った。")
    );
}

#[test]
fn a_hunk_may_span_sentences_that_it_keeps() {
    let base = "甲。乙。丙。丁。戊。";
    let two_places = "甲。一。乙。二。丙。丁。戊。";
    let end = "甲。乙。丙。丁。戊。三。";
    assert_eq!(
        merge(Some(base), &[two_places, end]).as_deref(),
        Some("甲。一。乙。二。丙。丁。戊。三。")
    );
}

#[test]
fn versions_that_cannot_be_one_text_are_shown_whole() {
    let cases: [(&str, Option<&str>, &[&str]); 8] = [
        ("no version", Some(BASE), &[]),
        ("no common base", None, &["甲。", "乙。"]),
        ("two additions at one place", Some("甲。"), &["甲。乙。", "甲。丙。"]),
        ("hunks that touch", Some("甲。乙。"), &["甲。一。一。乙。", "甲。一。乙。"]),
        ("one sentence, two corrections", Some("甲。乙。"), &["甲。乙1。", "甲。乙2。"]),
        ("struck out here, kept there", Some("甲。乙。丙。"), &["甲。丙。", "甲。乙。丙。丁。"]),
        (
            "corrected here, kept there",
            Some("甲。乙。丙。"),
            &["甲1。乙。丙。", "甲。乙。丙。丁。"],
        ),
        (
            "one of two equal sentences struck out",
            Some("甲。甲。乙。"),
            &["甲。乙。", "甲。甲。乙。丙。"],
        ),
    ];
    for (case, base, siblings) in cases {
        assert_eq!(merge(base, siblings), None, "{case}");
    }
}

#[test]
fn three_versions_are_one_text_and_four_are_not() {
    let base = "甲。乙。丙。丁。";
    let three = ["一。甲。乙。丙。丁。", "甲。乙。二。丙。丁。", "甲。乙。丙。丁。三。"];
    assert_eq!(merge(Some(base), &three).as_deref(), Some("一。甲。乙。二。丙。丁。三。"));
    let four = [three[0], three[1], three[2], "甲。四。乙。丙。丁。"];
    assert_eq!(merge(Some(base), &four), None);
    let repeated = [three[0], three[0], three[1], three[1], three[2]];
    assert_eq!(merge(Some(base), &repeated).as_deref(), Some("一。甲。乙。二。丙。丁。三。"));
}

#[test]
fn equal_versions_are_one_text_even_without_a_base() {
    assert_eq!(merge(None, &["甲。", "甲。"]).as_deref(), Some("甲。"));
    assert_eq!(merge(None, &[""]).as_deref(), Some(""));
}

#[test]
fn a_version_equal_to_the_base_adds_nothing() {
    assert_eq!(merge(Some("甲。"), &["甲。", "甲。乙。"]).as_deref(), Some("甲。乙。"));
}

fn sentence() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["甲。", "乙。", "丙！", "丁?", "\n", "1.5 m。", "戊\n"])
        .prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    (prop::collection::vec(sentence(), 0..7), prop::sample::select(vec!["", "終"]))
        .prop_map(|(sentences, end)| sentences.concat() + end)
}

/// A base and versions of it: each puts new sentences at some place, and some strike sentences out.
fn history() -> impl Strategy<Value = (String, Vec<String>)> {
    let edit = (0..8usize, 0..2usize, prop::collection::vec(sentence(), 0..3));
    (text(), prop::collection::vec(edit, 1..5)).prop_map(|(base, edits)| {
        let cut: Vec<&str> = sentences(&base).collect();
        let edited = edits.into_iter().map(|(at, strike, put)| {
            let at = at.min(cut.len());
            let after = (at + strike).min(cut.len());
            cut.iter().take(at).copied().collect::<String>()
                + &put.concat()
                + &cut.iter().skip(after).copied().collect::<String>()
        });
        let edited = edited.collect();
        (base, edited)
    })
}

fn times(text: &str, sentence: &str) -> usize {
    sentences(text).filter(|other| *other == sentence).count()
}

proptest! {
    #[test]
    fn a_cut_text_joins_to_itself(text in any::<String>()) {
        prop_assert_eq!(sentences(&text).collect::<Vec<_>>().concat(), text);
    }

    #[test]
    fn every_sentence_of_every_version_is_shown((base, versions) in history()) {
        let siblings: Vec<&str> = versions.iter().map(String::as_str).collect();
        if let Some(merged) = merge(Some(&base), &siblings) {
            for version in &siblings {
                for sentence in sentences(version) {
                    prop_assert!(times(&merged, sentence) >= times(version, sentence), "{merged:?} lacks {sentence:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_shown_that_nobody_wrote((base, versions) in history()) {
        let siblings: Vec<&str> = versions.iter().map(String::as_str).collect();
        if let Some(merged) = merge(Some(&base), &siblings) {
            for sentence in sentences(&merged) {
                let most: usize = siblings.iter().map(|version| times(version, sentence)).sum();
                prop_assert!((1..=most).contains(&times(&merged, sentence)), "{merged:?} has {sentence:?} too often");
            }
        }
    }

    #[test]
    fn the_order_of_arrival_makes_no_difference((base, versions) in history(), turn in 0..5usize) {
        let mut siblings: Vec<&str> = versions.iter().map(String::as_str).collect();
        let straight = merge(Some(&base), &siblings);
        let by = turn % siblings.len();
        siblings.rotate_left(by);
        prop_assert_eq!(&merge(Some(&base), &siblings), &straight);
        siblings.reverse();
        prop_assert_eq!(&merge(Some(&base), &siblings), &straight);
    }

    #[test]
    fn merging_its_own_result_again_changes_nothing((base, versions) in history()) {
        let siblings: Vec<&str> = versions.iter().map(String::as_str).collect();
        if let Some(merged) = merge(Some(&base), &siblings) {
            let again = [merged.as_str(), merged.as_str()];
            for base in [Some(merged.as_str()), Some(base.as_str()), None] {
                let repeated = merge(base, &again);
                prop_assert_eq!(repeated.as_deref(), Some(merged.as_str()));
            }
        }
    }

    #[test]
    fn any_texts_get_an_answer(base in any::<Option<String>>(), versions in prop::collection::vec(any::<String>(), 0..5)) {
        let siblings: Vec<&str> = versions.iter().map(String::as_str).collect();
        let merged = merge(base.as_deref(), &siblings);
        prop_assert!(merged.is_none() || !siblings.is_empty());
    }
}
