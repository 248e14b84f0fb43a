//! The envelope: raw changes stay as they are, unknown members are refused, sums do not depend on order.

use proptest::prelude::*;
use sync_protocol::id::{Bucket, RecordId, Seq};
use sync_protocol::wire::{BucketSum, Limits, SyncRequest, bucket_sum};
use uuid::Uuid;

fn request(changes: &str) -> String {
    format!(
        r#"{{"v":1,"replica":"01990000-0000-7000-8000-00000000000a","attempt":"01990000-0000-7000-8000-00000000000b","lease":null,"clock":{{"now":"2026-11-22T14:03:11.201Z","mono":7,"boot":"b"}},"epoch":null,"cursor":null,"push":{{"from":1,"changes":[{changes}]}}}}"#
    )
}

#[test]
fn changes_are_cut_out_of_the_envelope_as_they_are() {
    let odd = r#"{ "b" : 1.50, "a":"\u65e5" ,"a":2 }"#;
    let text = request(&format!("{odd} , [] , 7"));
    let read: SyncRequest<'_> = serde_json::from_str(&text).unwrap();
    let raw: Vec<&str> = read.push.changes.iter().map(|raw| raw.get()).collect();
    assert_eq!(raw, [odd, "[]", "7"]);
    let written = serde_json::to_string(&read).unwrap();
    assert!(written.contains(odd), "{written}");
}

#[test]
fn an_envelope_with_an_unknown_member_is_refused() {
    let right = request("");
    serde_json::from_str::<SyncRequest<'_>>(&right).unwrap();
    for (from, to) in [
        (r#""v":1"#, r#""v":1,"w":2"#),
        (r#""from":1"#, r#""from":1,"to":2"#),
        (r#""epoch":null"#, r#""epoch":"x""#),
        (r#""attempt":"01990000-0000-7000-8000-00000000000b","#, ""),
        ("00000000000a", "00000000000A"),
        ("2026-11-22T14:03:11.201Z", "2026-11-22T14:03:11Z"),
    ] {
        let wrong = right.replace(from, to);
        assert!(serde_json::from_str::<SyncRequest<'_>>(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_published_limits_are_those_that_are_kept() {
    let limits = Limits::default();
    assert_eq!((limits.max_body, limits.max_change, limits.max_push), (1_048_576, 262_144, 200));
}

proptest! {
    #[test]
    fn a_sum_does_not_depend_on_order_and_sees_every_difference(
        mut records in prop::collection::btree_map(any::<u128>(), 0..1_000_i64, 1..20),
        turn in any::<prop::sample::Index>(),
    ) {
        let sum = |records: Vec<(&u128, &i64)>| -> BucketSum {
            let pairs = records.into_iter().map(|(id, rv)| (RecordId(Uuid::from_u128(*id)), Seq(*rv)));
            bucket_sum(Bucket::everyone(), pairs)
        };
        let straight = sum(records.iter().collect());
        prop_assert_eq!(&straight, &sum(records.iter().rev().collect()));
        prop_assert_eq!(straight.sum.len(), 16);
        let at = *records.keys().nth(turn.index(records.len())).expect("inside");
        records.entry(at).and_modify(|rv| *rv += 1);
        prop_assert_ne!(&straight, &sum(records.iter().collect()));
        records.remove(&at);
        prop_assert_ne!(&straight, &sum(records.iter().collect()));
    }
}
