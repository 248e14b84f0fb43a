//! The travelling form: what a tablet receives is what the server has, whole or in parts.

use crate::history::{Made, Taking, form, keeps_bases, kind, reorder, shuffled, state, wild};
use proptest::prelude::*;
use sync_protocol::id::Seq;
use sync_protocol::record::{Around, Meta, Record, RecordBody, Stamped};
use sync_protocol::view::View;

/// The body after a journey through JSON.
fn over_the_wire(body: &RecordBody) -> RecordBody {
    let text = serde_json::to_string(body).expect("a body is JSON");
    serde_json::from_str(&text).expect("and is read again")
}

fn stored(record: &Record) -> Record {
    let meta = serde_json::to_string(&record.meta()).expect("a meta is JSON");
    let meta: Meta = serde_json::from_str(&meta).expect("and is read again");
    let body = over_the_wire(&record.body(None, Vec::new()));
    Record::read(record.kind.clone(), record.about, &body, meta).expect("undamaged")
}

proptest! {
    #[test]
    fn storing_and_reading_changes_nothing((changes, keys) in shuffled(wild())) {
        let mut kept = Taking::new();
        let mut stored_each_time = Taking::new();
        for made in reorder(&changes, &keys) {
            kept.take(&made);
            stored_each_time.record = stored(&stored_each_time.record);
            stored_each_time.take(&made);
            prop_assert_eq!(state(&kept.record), state(&stored_each_time.record));
        }
    }

    #[test]
    fn deltas_against_any_floor_give_the_whole_record((changes, keys) in shuffled(wild()), polls in any::<u16>()) {
        let mut server = Taking::new();
        let mut tablet = Record::new(kind());
        let mut floor = Seq(0);
        for (made, seq) in reorder(&changes, &keys).iter().zip(1..) {
            let touched = server.take(made);
            server.record.mark(touched, Seq(seq));
            if polls >> (seq % 16) & 1 == 1 {
                let delta = server.record.body(Some(floor), Vec::new());
                tablet.receive(&over_the_wire(&delta)).expect("undamaged");
                let whole = over_the_wire(&server.record.body(None, Vec::new()));
                prop_assert_eq!(tablet.body(None, Vec::new()), whole);
                prop_assert_eq!(View::of(&tablet, form()), View::of(&server.record, form()));
                floor = Seq(seq);
            }
        }
    }

    #[test]
    fn a_tablet_shows_its_pending_changes_as_the_server_will((changes, keys) in shuffled(wild()), cut in 0..16_usize) {
        let order = reorder(&changes, &keys);
        let cut = cut.min(order.len());
        let server = Taking::all(order.iter().take(cut));
        let mut tablet = Record::new(kind());
        tablet.receive(&over_the_wire(&server.record.body(None, Vec::new()))).expect("undamaged");
        tablet.about = server.record.about;
        let pending: Vec<&Made> = order.iter().skip(cut).collect();
        let waits_for_pending = !server.record.early_gone.is_empty();
        for made in &pending {
            let arrived = |id| !pending.iter().any(|made| made.change.id == id);
            let around = Around { keeps_bases: &keeps_bases, applied: &arrived };
            tablet.apply(Stamped { change: &made.change, t_eff: made.t_eff }, around).expect("few");
        }
        let later = Taking::all(&order);
        if !waits_for_pending {
            let (mine, theirs) = (View::of(&tablet, form()), View::of(&later.record, form()));
            let shown = |view: &View| -> Vec<_> {
                view.fields.iter().map(|(path, field)| (path.clone(), field.versions.clone())).collect()
            };
            prop_assert_eq!(shown(&mine), shown(&theirs));
            prop_assert_eq!(mine.deleted, theirs.deleted);
        }
    }
}

#[test]
fn a_body_that_contradicts_itself_is_named() {
    let base = r#"{"changes":[],"fields":{},"lists":{},"bases":{},"del":[],"seal":null,"late":[],"flags":[]}"#;
    let cases = [
        (r#""fields":{"title":[[0,0,"a"]]}"#, r#""fields":{}"#),
        (
            r#""lists":{"findings":{"r1":{"p":[[3,0]],"r":[],"v":[],"pos":[],"cells":{}}}}"#,
            r#""lists":{}"#,
        ),
        (r#""del":[[7,0,{"seen":[]}]]"#, r#""del":[]"#),
    ];
    for (wrong, right) in cases {
        let body: RecordBody =
            serde_json::from_str(&base.replace(right, wrong)).expect("it is JSON");
        let refused = Record::read(kind(), None, &body, Meta::default()).unwrap_err().to_string();
        assert!(refused.contains("change index"), "{wrong}: {refused}");
    }
    let meta = Meta {
        early: vec![("nowhere".into(), "01990000-0000-7000-8000-000000000001.0".parse().unwrap())],
        ..Meta::default()
    };
    let body: RecordBody = serde_json::from_str(base).expect("it is JSON");
    let refused = Record::read(kind(), None, &body, meta).unwrap_err().to_string();
    assert_eq!(refused, "the stored record is damaged: slot nowhere");
}
