//! docs/changes.md: its examples are read, and do what the page says.

use serde_json::Value;
use sync_protocol::change::Change;
use sync_protocol::clock::UnixMillis;
use sync_protocol::record::{Around, Meta, Record, RecordBody, Stamped};

const PAGE: &str = include_str!("../../../docs/changes.md");
const USER: &str = "01990000-0000-7000-8000-0000000000f1";

/// The blocks of JSON, with an id where the page has a placeholder.
fn examples() -> Vec<String> {
    let blocks = PAGE.split("```json\n").skip(1);
    let texts = blocks.filter_map(|block| block.split("\n```").next());
    texts.map(|text| text.replace("<user>", USER)).collect()
}

#[test]
fn the_examples_of_the_page_do_what_it_says() {
    let examples = examples();
    assert_eq!(examples.len(), 3);
    let mut told: Value = serde_json::from_str(&examples[0]).unwrap();
    let members = told.as_object_mut().unwrap();
    for around_the_body in ["rec", "type", "rv", "in", "about", "full"] {
        assert!(members.remove(around_the_body).is_some(), "{around_the_body}");
    }
    let body: RecordBody = serde_json::from_value(told).unwrap();
    let [set, removed] = [&examples[1], &examples[2]].map(|text| Change::parse(text).unwrap());
    let mut record = Record::read(set.kind.clone(), None, &body, Meta::default()).unwrap();
    for change in [&set, &removed] {
        let around = Around { keeps_bases: &|_, _| false, applied: &|_| true };
        record.apply(Stamped { change, t_eff: UnixMillis(0) }, around).unwrap();
    }
    let answers: Vec<&Value> =
        record.fields["checks.F12.result"].live.values().map(|sibling| &sibling.value).collect();
    assert_eq!(answers, ["bad"]);
    let photo = &record.lists["photos"]["p1"];
    assert!(photo.presences.is_empty());
    assert_eq!(photo.removals.len(), 1);
}
