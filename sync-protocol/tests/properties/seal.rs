//! Seals: what an approver saw stays what it was, whatever arrives afterwards.

use crate::history::{
    Made, change_id, form, keeps_bases, kind, record_id, reorder, shuffled, state, user, wild,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use sync_protocol::change::{Change, Op};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{ChangeId, Dot, Seq};
use sync_protocol::record::{Around, Record, SealClass, Stamped, Verdict};
use sync_protocol::seal::{Applied, class, covers, rebuild, set_beside};
use sync_protocol::view::{View, snapshot};

/// A record on the server: changes and commands in order of receipt.
struct Server {
    record: Record,
    journal: Vec<Applied>,
    sealed: Option<(String, BTreeSet<ChangeId>)>,
}

impl Server {
    fn new() -> Self {
        Self { record: Record::new(kind()), journal: Vec::new(), sealed: None }
    }

    fn next(&self) -> Seq {
        Seq(i64::try_from(self.journal.len()).unwrap_or_default() + 1)
    }

    fn view_hash(&self) -> String {
        snapshot(record_id(), &kind(), 3, &View::of(&self.record, form())).view_hash
    }

    fn receive(&mut self, made: &Made) -> Option<SealClass> {
        let seq = self.next();
        let text: Value = serde_json::from_str(made.change.freeze().text()).expect("a change");
        let ops = text.get("ops").cloned().unwrap_or_default();
        let applied = Applied { change: made.change.clone(), ops, t_eff: made.t_eff, seq };
        let class = class(&self.record, &made.change);
        if let Some(class) = class {
            let touched = set_beside(&mut self.record, &applied, class);
            self.record.mark(touched, seq);
        } else {
            let journal = &self.journal;
            let known = |id: ChangeId| journal.iter().any(|applied| applied.change.id == id);
            let around = Around { keeps_bases: &keeps_bases, applied: &known };
            let stamped = Stamped { change: &made.change, t_eff: made.t_eff };
            let touched = self.record.apply(stamped, around).expect("few early pairs");
            self.record.mark(touched, seq);
        }
        self.journal.push(applied);
        let missing: BTreeSet<ChangeId> =
            self.record.missing_bases().iter().map(|dot| dot.change).collect();
        for applied in self.journal.iter().filter(|applied| missing.contains(&applied.change.id)) {
            self.record.supply_bases(&applied.change);
        }
        class
    }

    fn command(&mut self, op: Op) -> ChangeId {
        let seq = self.next();
        let id = change_id(8, 500 + self.journal.len());
        let change = Change {
            id,
            rec: record_id(),
            kind: kind(),
            sv: 3,
            at: UnixMillis(70),
            mono: None,
            boot: None,
            by: user(9),
            ss: Vec::new(),
            ops: vec![op],
        };
        self.journal.push(Applied { change, ops: json!([]), t_eff: UnixMillis(70), seq });
        self.record = self.rebuilt();
        id
    }

    fn rebuilt(&self) -> Record {
        rebuild(&kind(), &self.journal, &keeps_bases).expect("few early pairs")
    }

    fn live_seals(&self) -> Vec<Dot> {
        self.record.seals.keys().copied().collect()
    }

    fn verdicts(&self, judged: ChangeId) -> Vec<Dot> {
        self.record
            .verdicts
            .get(&judged)
            .into_iter()
            .flat_map(|live| live.keys().copied())
            .collect()
    }

    fn seal(&mut self) {
        let covers = covers(&kind(), &self.journal);
        let applied: BTreeSet<ChangeId> =
            self.journal.iter().map(|applied| applied.change.id).collect();
        assert!(covers.iter().all(|id| applied.contains(id)), "nobody saw it");
        let set = covers.iter().copied().collect();
        let before_seal = self.record.seals.is_empty();
        let seen = self.view_hash();
        let x = self.live_seals();
        self.command(Op::Seal { rv: self.next(), covers, view_hash: String::new(), x });
        if before_seal {
            assert_eq!(self.view_hash(), seen, "what was seen is what was sealed");
        }
        self.sealed = Some((self.view_hash(), set));
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Receive { saw_seal: bool },
    Seal,
    Unseal,
    Accept(u8),
    Aside(u8),
    Both(u8),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => any::<bool>().prop_map(|saw_seal| Event::Receive { saw_seal }),
        2 => Just(Event::Seal),
        1 => Just(Event::Unseal),
        2 => any::<u8>().prop_map(Event::Accept),
        1 => any::<u8>().prop_map(Event::Aside),
        1 => any::<u8>().prop_map(Event::Both),
    ];
    prop::collection::vec(event, 1..24)
}

/// Plays the events; `check` looks at the server after each of them.
fn play(
    changes: &[Made],
    events: &[Event],
    mut check: impl FnMut(&Server) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut server = Server::new();
    let mut waiting = changes.iter();
    for event in events {
        let judged = |at: u8| {
            let all: Vec<ChangeId> = server
                .journal
                .iter()
                .filter(|applied| !applied.change.is_server_only())
                .map(|applied| applied.change.id)
                .collect();
            all.get(usize::from(at) % all.len().max(1)).copied()
        };
        match *event {
            Event::Receive { saw_seal } => {
                let Some(made) = waiting.next() else { continue };
                let mut made = made.clone();
                if saw_seal {
                    made.change.ss = server.record.seal_ids();
                }
                let class = server.receive(&made);
                let expected = match (server.sealed.is_some(), saw_seal) {
                    (false, _) => None,
                    (true, true) => Some(SealClass::Amendment),
                    (true, false) => Some(SealClass::Late),
                };
                prop_assert_eq!(class, expected);
            }
            Event::Seal => server.seal(),
            Event::Unseal => {
                let x = server.live_seals();
                if !x.is_empty() {
                    server.command(Op::Unseal { x, why: "訂正".into() });
                    server.sealed = None;
                }
            }
            Event::Accept(at) => {
                if let Some(change) = judged(at) {
                    let x = server.verdicts(change);
                    server.command(Op::Accept { change, x });
                }
            }
            Event::Aside(at) => {
                if let Some(change) = judged(at) {
                    let x = server.verdicts(change);
                    server.command(Op::Aside { change, x, why: "誤記".into() });
                }
            }
            Event::Both(at) => {
                if let Some(change) = judged(at) {
                    let x = server.verdicts(change);
                    server.command(Op::Accept { change, x: x.clone() });
                    server.command(Op::Aside { change, x, why: "異論".into() });
                    prop_assert_eq!(server.record.verdict(change), Verdict::Open);
                }
            }
        }
        check(&server)?;
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_journal_gives_the_record_that_was_kept((changes, keys) in shuffled(wild()), events in events()) {
        play(&reorder(&changes, &keys), &events, |server| {
            let rebuilt = server.rebuilt();
            prop_assert_eq!(state(&server.record), state(&rebuilt));
            prop_assert_eq!(&server.record.field_seqs, &rebuilt.field_seqs);
            Ok(())
        })?;
    }

    #[test]
    fn nothing_alters_a_sealed_view((changes, keys) in shuffled(wild()), events in events()) {
        play(&reorder(&changes, &keys), &events, |server| {
            if let Some((hash, covered)) = &server.sealed {
                prop_assert_eq!(&server.view_hash(), hash);
                let beside = server.record.beside.iter().map(|beside| beside.id);
                prop_assert!(beside.into_iter().all(|id| !covered.contains(&id)));
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_an_approver_is_shown_is_what_would_be_covered((changes, keys) in shuffled(wild()), events in events()) {
        play(&reorder(&changes, &keys), &events, |server| {
            let covers: BTreeSet<ChangeId> = covers(&kind(), &server.journal).into_iter().collect();
            for applied in server.journal.iter().filter(|applied| !applied.change.is_server_only()) {
                let id = applied.change.id;
                match server.record.verdict(id) {
                    Verdict::Accepted => prop_assert!(covers.contains(&id)),
                    Verdict::Aside => prop_assert!(!covers.contains(&id), "set aside, yet covered"),
                    Verdict::Open => {}
                }
            }
            if server.sealed.is_none() {
                let shown: BTreeSet<ChangeId> =
                    server.record.live_values().map(|dot| dot.change).collect();
                prop_assert!(shown.is_subset(&covers));
            }
            Ok(())
        })?;
    }

    #[test]
    fn deltas_carry_seals_and_verdicts((changes, keys) in shuffled(wild()), events in events(), polls in any::<u32>()) {
        let mut tablet = Record::new(kind());
        let mut floor = Seq(0);
        let mut turn = 0;
        play(&reorder(&changes, &keys), &events, |server| {
            turn += 1;
            if polls >> (turn % 32) & 1 == 1 {
                let delta = server.record.body(Some(floor), Vec::new());
                tablet.receive(&delta).expect("undamaged");
                let whole = server.record.body(None, Vec::new());
                prop_assert_eq!(tablet.body(None, Vec::new()), whole);
                prop_assert_eq!(View::of(&tablet, form()), View::of(&server.record, form()));
                floor = Seq(server.next().0 - 1);
            }
            Ok(())
        })?;
    }
}
