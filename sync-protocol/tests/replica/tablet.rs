//! A tablet of the tests: a replica, the rows that it has committed, and its clocks.

use crate::server::Server;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::blob::BlobHash;
use sync_protocol::change::{Home, Path, RowPath};
use sync_protocol::clock::{ClockReading, Instant, UnixMillis};
use sync_protocol::id::{AttemptId, Bucket, ChangeId, DeviceId, RecordId, UserId};
use sync_protocol::replica::{
    BACKOFF_CAP_MS, BlobState, Chance, Draft, Edit, Identity, Input, Notice, Output, Phase,
    Refused, Replica, Row, Step, Table,
};
use uuid::Uuid;

pub(crate) const SECRET: &[u8] = b"kept beside the database";
/// No quiescence takes more rounds than this.
const ROUNDS_MAX: usize = 600;

#[derive(Clone, Debug)]
pub(crate) struct Dice(pub u128);

impl Chance for Dice {
    fn bits(&mut self) -> u128 {
        self.0 = self
            .0
            .wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645)
            .wrapping_add(0x5851_F42D_4C95_7F2D_1405_7B7E_F767_814F);
        let mixed = self.0 ^ (self.0 >> 61);
        mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }
}

pub(crate) type Rows = BTreeMap<(Table, String), Vec<u8>>;

#[derive(Clone, Debug)]
pub(crate) struct Tablet {
    pub(crate) device: usize,
    pub(crate) replica: Replica,
    pub(crate) rows: Rows,
    pub(crate) clock: ClockReading,
    pub(crate) dice: Dice,
    pub(crate) sending: Option<(AttemptId, String)>,
    pub(crate) wake: Option<i64>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) vacuums: Vec<u64>,
    /// The blobs whose bytes are in its folder.
    pub(crate) files: BTreeSet<BlobHash>,
    drops: Vec<BlobHash>,
    /// Whether the power fails before anything is deleted.
    pub(crate) drops_fail: bool,
}

pub(crate) fn bucket(name: &str) -> Bucket {
    format!("station:{name}").parse().expect("a bucket")
}

pub(crate) fn field(path: &str, value: &str) -> Edit {
    Edit::Set(Path::parse(path).expect("a path"), json!(value))
}

pub(crate) fn row(id: &str) -> RowPath {
    RowPath { field: "findings".to_owned(), row: id.to_owned() }
}

/// The SHA-256 of a photo of the tests.
pub(crate) fn photo(number: u8) -> BlobHash {
    BlobHash([number; 32])
}

impl Tablet {
    pub(crate) fn new(device: usize) -> Self {
        let mut dice = Dice(1_000 + device as u128);
        let id = Uuid::from_u128(7_000 + device as u128);
        let identity = Identity { device: DeviceId(id), user: UserId(id) };
        let (replica, step) = Replica::begin(identity, SECRET, &mut dice);
        let clock = ClockReading {
            now: Instant(UnixMillis(1_700_000_000_000)),
            mono: 0,
            boot: "b".to_owned(),
        };
        let mut tablet = Self {
            device,
            replica,
            rows: Rows::new(),
            clock,
            dice,
            sending: None,
            wake: None,
            notices: Vec::new(),
            vacuums: Vec::new(),
            files: BTreeSet::new(),
            drops: Vec::new(),
            drops_fail: false,
        };
        tablet.execute(step);
        tablet.input(Input::Start);
        tablet
    }

    fn execute(&mut self, step: Step) {
        for write in step.writes {
            match write.value {
                Some(value) => self.rows.insert((write.table, write.key), value),
                None => self.rows.remove(&(write.table, write.key)),
            };
        }
        for output in step.outputs {
            match output {
                Output::Send { attempt, body } => self.sending = Some((attempt, body)),
                Output::Vacuum { round, .. } => self.vacuums.push(round),
                Output::Wake { at_mono } => self.wake = Some(at_mono),
                Output::FetchBundle { .. } => {}
                Output::DropBlob { sha256 } => self.drops.push(sha256),
                Output::Notice(notice) => self.notices.push(notice),
            }
        }
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        let step = self.replica.step(input, &self.clock, &mut self.dice);
        self.execute(step);
        for round in std::mem::take(&mut self.vacuums) {
            self.input(Input::Vacuumed { round });
        }
        for sha256 in std::mem::take(&mut self.drops) {
            if self.drops_fail {
                continue;
            }
            assert_eq!(self.replica.blob_state(sha256), None, "dropped while a change names it");
            self.files.remove(&sha256);
            self.input(Input::BlobDropped { sha256 });
        }
    }

    pub(crate) fn author(&mut self, rec: RecordId, edits: Vec<Edit>) -> Result<ChangeId, Refused> {
        let draft = Draft { rec, kind: "fire_inspection".parse().unwrap(), sv: 1, edits };
        let (id, step) = self.replica.author(&draft, &self.clock, &mut self.dice)?;
        self.execute(step);
        Ok(id)
    }

    pub(crate) fn begin_record(&mut self, bucket: &Bucket, title: &str) -> (RecordId, ChangeId) {
        let rec = RecordId(Uuid::from_u128(self.dice.bits()));
        let home = Edit::New(Home::In(bucket.clone()));
        let id = self.author(rec, vec![home, field("title", title)]).expect("a new record");
        (rec, id)
    }

    /// Takes a photo: its bytes are in the folder before a change names them.
    pub(crate) fn photograph(&mut self, rec: RecordId, number: u8) -> Result<ChangeId, Refused> {
        let sha256 = photo(number);
        self.files.insert(sha256);
        let payload = json!({ "sha256": sha256, "bytes": 1_000, "mime": "image/jpeg" });
        let at = RowPath { field: "photos".to_owned(), row: format!("p{number}") };
        self.author(rec, vec![Edit::Add { at, pos: None, value: Some(payload) }])
    }

    /// Uploads what the server needs.
    pub(crate) fn upload(&mut self, server: &mut Server) {
        let needed: Vec<BlobHash> = (self.replica.blobs())
            .filter(|own| own.state == BlobState::Needed)
            .map(|own| own.blob.sha256)
            .collect();
        for sha256 in needed {
            assert!(self.files.contains(&sha256), "the bytes of {sha256} are gone");
            server.shown.insert((self.device, sha256));
            self.input(Input::BlobUploaded { sha256 });
        }
    }

    pub(crate) fn stored(&self) -> Vec<Row> {
        let row = |((table, key), value): (&(Table, String), &Vec<u8>)| Row {
            table: *table,
            key: key.clone(),
            value: value.clone(),
        };
        self.rows.iter().map(row).collect()
    }

    /// The power fails, and the tablet starts again from its rows.
    pub(crate) fn crash(&mut self) {
        self.reopen(SECRET);
    }

    pub(crate) fn reopen(&mut self, secret: &[u8]) {
        let (replica, step) =
            Replica::open(self.stored(), secret, &mut self.dice).expect("rows of its own");
        self.replica = replica;
        self.sending = None;
        self.wake = None;
        self.drops.clear();
        self.execute(step);
        self.input(Input::Start);
    }

    pub(crate) fn copy(&self, dice: u128) -> Self {
        let mut copy = self.clone();
        copy.dice = Dice(dice);
        copy.crash();
        copy
    }

    pub(crate) fn connect(&mut self) {
        self.input(Input::Network(true));
        self.input(Input::SyncWanted);
    }

    pub(crate) fn disconnect(&mut self) {
        if let Some((attempt, _)) = self.sending.take() {
            self.input(Input::Failed { attempt });
        }
        self.input(Input::Network(false));
    }

    /// One request and its answer; the answer may be lost.
    pub(crate) fn round(&mut self, server: &mut Server, answer_arrives: bool) -> bool {
        let Some((attempt, body)) = self.sending.take() else { return false };
        let (status, answer) = server.sync(self.device, &body, self.clock.now.0);
        if answer_arrives {
            self.input(Input::Answer { attempt, status, retry_after_ms: None, body: &answer });
        } else {
            self.input(Input::Failed { attempt });
        }
        true
    }

    pub(crate) fn pass(&mut self, millis: i64) {
        self.clock.mono += millis;
        self.clock.now = Instant(self.clock.now.0.plus(millis));
    }

    /// Waits and syncs until nothing calls for another round.
    pub(crate) fn sync(&mut self, server: &mut Server) {
        self.connect();
        for _ in 0..ROUNDS_MAX {
            if self.round(server, true) {
                continue;
            }
            let wait = self.wake.map_or(0, |at| at - self.clock.mono);
            if wait > BACKOFF_CAP_MS {
                self.disconnect();
                return;
            }
            self.pass(wait.max(1));
            self.input(Input::Tick);
        }
        panic!("no end of syncing: {:?}", self.notices.iter().rev().take(6).collect::<Vec<_>>());
    }

    pub(crate) fn text(&self, id: ChangeId) -> String {
        let own = self.replica.own_changes().find(|own| own.id == id);
        own.and_then(|own| own.text).expect("a change of its own").to_owned()
    }

    pub(crate) fn title(&self, rec: RecordId) -> Vec<String> {
        let Some(record) = self.replica.displayed(rec) else { return Vec::new() };
        let Some(register) = record.fields.get("title") else { return Vec::new() };
        register
            .live
            .values()
            .map(|sibling| sibling.value.as_str().unwrap_or_default().to_owned())
            .collect()
    }

    pub(crate) fn holds_completely(&self) -> bool {
        self.replica.buckets().all(|(_, phase)| *phase == Phase::Held)
    }
}
