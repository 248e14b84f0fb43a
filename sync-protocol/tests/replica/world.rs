//! Whole histories: tablets that crash, are cloned and restored, a server that is restored, grants and moves.

use crate::server::{FORBIDDEN, POISON, Server, Stored, named};
use crate::tablet::{Rows, Tablet, bucket, field, row};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::blob::BlobHash;
use sync_protocol::change::Path;
use sync_protocol::id::{Bucket, ChangeId, RecordId, Seq};
use sync_protocol::replica::Edit;
use sync_protocol::wire::Status;

const DEVICES: usize = 2;
const TABLETS_MAX: usize = 4;

#[derive(Clone, Debug)]
enum Event {
    Begin { tablet: usize, place: usize, word: usize },
    Edit { tablet: usize, record: usize, word: usize },
    Row { tablet: usize, record: usize, act: usize },
    Photo { tablet: usize, record: usize, number: u8 },
    Upload { tablet: usize },
    Rounds { tablet: usize, count: usize, lost: bool },
    Sync { tablet: usize },
    Crash { tablet: usize },
    Clone { tablet: usize },
    Save { tablet: usize },
    Restore { tablet: usize },
    Move { record: usize, place: usize },
    Grant { device: usize, places: usize },
    Backup,
    RestoreServer,
    Release,
    Pass { tablet: usize, hours: i64 },
}

fn event() -> impl Strategy<Value = Event> {
    let (t, r) = (0..TABLETS_MAX, 0..6_usize);
    prop_oneof![
        3 => (t.clone(), 0..2_usize, 0..4_usize).prop_map(|(tablet, place, word)| Event::Begin { tablet, place, word }),
        6 => (t.clone(), r.clone(), 0..6_usize).prop_map(|(tablet, record, word)| Event::Edit { tablet, record, word }),
        4 => (t.clone(), r.clone(), 0..4_usize).prop_map(|(tablet, record, act)| Event::Row { tablet, record, act }),
        3 => (t.clone(), r.clone(), 1..5_u8).prop_map(|(tablet, record, number)| Event::Photo { tablet, record, number }),
        3 => t.clone().prop_map(|tablet| Event::Upload { tablet }),
        5 => (t.clone(), 1..4_usize, any::<bool>()).prop_map(|(tablet, count, lost)| Event::Rounds { tablet, count, lost }),
        4 => t.clone().prop_map(|tablet| Event::Sync { tablet }),
        2 => t.clone().prop_map(|tablet| Event::Crash { tablet }),
        1 => t.clone().prop_map(|tablet| Event::Clone { tablet }),
        1 => t.clone().prop_map(|tablet| Event::Save { tablet }),
        1 => t.clone().prop_map(|tablet| Event::Restore { tablet }),
        2 => (r, 0..2_usize).prop_map(|(record, place)| Event::Move { record, place }),
        2 => (0..DEVICES, 0..4_usize).prop_map(|(device, places)| Event::Grant { device, places }),
        1 => Just(Event::Backup),
        1 => Just(Event::RestoreServer),
        1 => Just(Event::Release),
        1 => (t, 0..30_i64).prop_map(|(tablet, hours)| Event::Pass { tablet, hours }),
    ]
}

const WORDS: [&str; 6] = ["a", "b", "c", "d", FORBIDDEN, POISON];

/// A change, the device that authored it, and a blob that it names.
type Named = (ChangeId, usize, BlobHash);

struct World {
    server: Server,
    backup: Option<Server>,
    tablets: Vec<Tablet>,
    saved: BTreeMap<usize, (Rows, BTreeSet<BlobHash>)>,
    authored: BTreeSet<ChangeId>,
    /// Authored on a disk that was replaced by an older copy: only the server has them, if anyone.
    fragile: BTreeSet<ChangeId>,
    /// The blobs that changes name, by change and device; not of those that a human closed.
    media: BTreeSet<Named>,
    /// Of those, the ones whose bytes were on a disk that was replaced by an older copy.
    fragile_media: BTreeSet<Named>,
    seen_rv: Vec<BTreeMap<RecordId, (Option<sync_protocol::id::EpochId>, Seq)>>,
    dice: u128,
}

fn places() -> [Bucket; 2] {
    [bucket("s"), bucket("t")]
}

impl World {
    fn new(page: usize) -> Self {
        let mut server = Server::new(page);
        for device in 0..DEVICES {
            server.granted.insert(device, places().into());
        }
        let mut tablets: Vec<Tablet> = (0..DEVICES).map(Tablet::new).collect();
        for tablet in &mut tablets {
            tablet.sync(&mut server);
        }
        Self {
            server,
            backup: None,
            tablets,
            saved: BTreeMap::new(),
            authored: BTreeSet::new(),
            fragile: BTreeSet::new(),
            media: BTreeSet::new(),
            fragile_media: BTreeSet::new(),
            seen_rv: vec![BTreeMap::new(); TABLETS_MAX],
            dice: 50_000,
        }
    }

    fn act(&mut self, event: &Event) {
        let count = self.tablets.len();
        match *event {
            Event::Begin { tablet, place, word } => {
                let tablet = &mut self.tablets[tablet % count];
                let (_, id) = tablet.begin_record(&places()[place], WORDS[word]);
                self.authored.insert(id);
            }
            Event::Edit { tablet, record, word } => {
                self.author(tablet % count, record, |_| vec![field("title", WORDS[word])]);
            }
            Event::Row { tablet, record, act } => self.author(tablet % count, record, |has_row| {
                let cell = Path::Cell(row("r"), "severity".to_owned());
                match act {
                    0 if has_row => vec![Edit::Rem { at: row("r"), why: None }],
                    1 if has_row => vec![Edit::Pos { at: row("r"), pos: "b".to_owned() }],
                    2 if has_row => vec![
                        Edit::Set(cell, json!("serious")),
                        Edit::Set(Path::Field("n".into()), json!(1)),
                    ],
                    3 => vec![Edit::Del { why: None }],
                    _ => vec![Edit::Add { at: row("r"), pos: Some("a".to_owned()), value: None }],
                }
            }),
            Event::Photo { tablet, record, number } => {
                let tablet = &mut self.tablets[tablet % count];
                let Some(rec) = tablet.replica.records().nth(record) else { return };
                let id = tablet.photograph(rec, number).expect("a photo of what is shown");
                self.authored.insert(id);
                let text = tablet.text(id);
                self.media.extend(named(&text).into_iter().map(|blob| (id, tablet.device, blob)));
            }
            Event::Upload { tablet } => self.tablets[tablet % count].upload(&mut self.server),
            Event::Rounds { tablet, count: rounds, lost } => {
                let tablet = &mut self.tablets[tablet % count];
                tablet.connect();
                for round in 0..rounds {
                    tablet.round(&mut self.server, !lost || round + 1 < rounds);
                }
                tablet.disconnect();
            }
            Event::Sync { tablet } => self.tablets[tablet % count].sync(&mut self.server),
            Event::Crash { tablet } => self.tablets[tablet % count].crash(),
            Event::Clone { tablet } if count < TABLETS_MAX => {
                self.dice += 1;
                let copy = self.tablets[tablet % count].copy(self.dice);
                self.tablets.push(copy);
            }
            Event::Clone { .. } => {}
            Event::Save { tablet } => {
                let saved = &self.tablets[tablet % count];
                self.saved.insert(tablet % count, (saved.rows.clone(), saved.files.clone()));
            }
            Event::Restore { tablet } => self.restore_tablet(tablet % count),
            Event::Move { record, place } => {
                if let Some(rec) = self.server.records.keys().nth(record).copied() {
                    self.server.move_record(rec, &places()[place]);
                }
            }
            Event::Grant { device, places: bits } => {
                let granted = places().into_iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
                self.server.granted.insert(device, granted.map(|(_, bucket)| bucket).collect());
            }
            Event::Backup => {
                self.server.backup_seq = Some(self.server.seq);
                self.backup = Some(self.server.clone());
            }
            Event::RestoreServer => {
                if let Some(backup) = &self.backup {
                    self.server = backup.restored(&self.server);
                    let server = &self.server;
                    let fragile = std::mem::take(&mut self.fragile);
                    for id in fragile.into_iter().filter(|id| !server.kept.contains_key(id)) {
                        self.authored.remove(&id);
                    }
                    self.forget_what_only_the_server_had();
                }
            }
            Event::Release => {
                self.server.release_all(self.tablets[0].clock.now.0);
                let kept = &self.server.kept;
                self.media.retain(|(id, ..)| {
                    kept.get(id).is_none_or(|kept| kept.result.st != Status::Closed)
                });
            }
            Event::Pass { tablet, hours } => self.tablets[tablet % count].pass(hours * 3_600_000),
        }
    }

    fn author(&mut self, tablet: usize, record: usize, edits: impl Fn(bool) -> Vec<Edit>) {
        let tablet = &mut self.tablets[tablet];
        let Some(rec) = tablet.replica.records().nth(record) else { return };
        let shown = tablet.replica.displayed(rec).expect("a record that is listed is displayed");
        let has_row = shown
            .lists
            .get("findings")
            .and_then(|rows| rows.get("r"))
            .is_some_and(|r| !r.presences.is_empty());
        let id = tablet.author(rec, edits(has_row)).expect("an edit of what is shown");
        self.authored.insert(id);
    }

    fn restore_tablet(&mut self, at: usize) {
        let Some((rows, files)) = self.saved.get(&at).cloned() else { return };
        self.tablets[at].rows = rows;
        self.tablets[at].files = files;
        self.dice += 1;
        self.tablets[at] = self.tablets[at].copy(self.dice);
        self.seen_rv[at].clear();
        let kept = self.on_tablets();
        let lost: Vec<ChangeId> = self.authored.difference(&kept).copied().collect();
        for id in lost {
            if self.server.kept.contains_key(&id) {
                self.fragile.insert(id);
            } else {
                self.authored.remove(&id);
            }
        }
        let lost: Vec<Named> =
            self.media.iter().filter(|named| !self.is_on_a_tablet(named)).copied().collect();
        for named in lost {
            if self.is_uploaded(&named) {
                self.fragile_media.insert(named);
            } else {
                self.media.remove(&named);
            }
        }
    }

    fn forget_what_only_the_server_had(&mut self) {
        for named in std::mem::take(&mut self.fragile_media) {
            if !self.is_uploaded(&named) && !self.is_on_a_tablet(&named) {
                self.media.remove(&named);
            }
        }
        self.media.retain(|(id, ..)| self.authored.contains(id));
    }

    fn is_uploaded(&self, (_, device, blob): &Named) -> bool {
        self.server.shown.contains(&(*device, *blob))
    }

    /// Whether a tablet has the bytes and a reason to upload them.
    fn is_on_a_tablet(&self, (_, device, blob): &Named) -> bool {
        self.tablets.iter().any(|tablet| {
            let keeps = tablet.replica.blob_state(*blob).is_some();
            tablet.device == *device && keeps && tablet.files.contains(blob)
        })
    }

    fn on_tablets(&self) -> BTreeSet<ChangeId> {
        self.tablets
            .iter()
            .flat_map(|tablet| {
                tablet.replica.own_changes().filter(|own| own.text.is_some()).map(|own| own.id)
            })
            .collect()
    }

    /// What must hold at every moment.
    fn check(&mut self) {
        let kept = self.on_tablets();
        for id in &self.authored {
            let safe = kept.contains(id) || self.server.kept.contains_key(id);
            assert!(safe, "the change {id} is nowhere");
        }
        for named in &self.media {
            let safe = self.is_uploaded(named) || self.is_on_a_tablet(named);
            assert!(safe, "the bytes of {named:?} are nowhere");
        }
        for (at, tablet) in self.tablets.iter().enumerate() {
            let epoch = tablet.replica.epoch();
            for rec in tablet.replica.records() {
                let Some(rv) = tablet.replica.rv(rec) else { continue };
                if let Some((before, seen)) = self.seen_rv[at].insert(rec, (epoch, rv)) {
                    assert!(before != epoch || rv >= seen, "rv fell from {seen} to {rv}");
                }
            }
            let mut rows = tablet.replica.rows();
            rows.sort();
            let mut stored = tablet.stored();
            stored.sort();
            assert_eq!(rows, stored, "a write was forgotten");
        }
    }

    fn settle(&mut self) {
        for _ in 0..3 {
            for tablet in &mut self.tablets {
                tablet.sync(&mut self.server);
                tablet.upload(&mut self.server);
                tablet.sync(&mut self.server);
            }
        }
    }

    fn check_settled(&self) {
        for id in &self.authored {
            assert!(self.server.kept.contains_key(id), "the change {id} never reached the server");
        }
        for named in &self.media {
            assert!(self.is_uploaded(named), "the bytes of {named:?} never reached the server");
        }
        for tablet in &self.tablets {
            assert_eq!(tablet.replica.outbox_len(), 0);
            assert_eq!(tablet.replica.unsent_blobs(), 0);
            assert!(
                tablet.holds_completely(),
                "{:?}",
                tablet.replica.buckets().collect::<Vec<_>>()
            );
            let scope = self.server.scope(tablet.device);
            let shown: BTreeSet<RecordId> = tablet.replica.records().collect();
            assert_eq!(shown, scope.keys().copied().collect(), "device {}", tablet.device);
            for (rec, Stored { record, rv, .. }) in scope {
                let ours = tablet.replica.displayed(rec).expect("listed above");
                assert_eq!(tablet.replica.rv(rec), Some(Seq(*rv)));
                assert_eq!(ours.body(None, Vec::new()), record.body(None, Vec::new()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_is_lost_and_everyone_agrees(
        page in 1..5_usize,
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(page);
        for event in &events {
            world.act(event);
            world.check();
        }
        world.settle();
        world.check();
        world.check_settled();
    }
}
