//! A virtual tablet: the real replica machine, its rows in memory, and a person who never stops writing.

use super::acks::Acks;
use super::dice::Dice;
use super::line::{Line, Reply};
use super::site::{KIND, Person, Site, station};
use anyhow::{Result, ensure};
use axum::http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use sync_protocol::change::{Home, Path, RowPath};
use sync_protocol::clock::{ClockReading, Instant, UnixMillis};
use sync_protocol::id::{AttemptId, Bucket, ChangeId, RecordId};
use sync_protocol::replica::{
    Chance as _, Draft, Edit, Identity, Input, Notice, Output, Phase, Refused, Replica, Row, Step,
    Table,
};
use uuid::Uuid;

const SECRET: &[u8] = b"kept beside the database";

/// The rows that a tablet has committed.
pub type Rows = BTreeMap<(Table, String), Vec<u8>>;

/// One tablet.
#[derive(Clone, Debug)]
pub struct Tablet {
    /// Whose it is.
    pub person: Person,
    /// The machine.
    pub replica: Replica,
    /// Its clocks.
    pub clock: ClockReading,
    /// Its chance.
    pub dice: Dice,
    /// The request that waits to be sent.
    pub sending: Option<(AttemptId, String)>,
    /// What the machine told, oldest first.
    pub notices: Vec<Notice>,
    /// How often each status was answered; 0 counts lost answers.
    pub statuses: BTreeMap<u16, u32>,
    rows: Rows,
    wake: Option<i64>,
}

impl Tablet {
    /// A tablet that was enrolled just now.
    pub fn new(person: Person, seed: u64, now: UnixMillis) -> Self {
        let mut dice = Dice::new(seed);
        let identity = Identity { device: person.device, user: person.user };
        let (replica, step) = Replica::begin(identity, SECRET, &mut dice);
        let clock = ClockReading { now: Instant(now), mono: 0, boot: format!("boot-{seed}") };
        let mut tablet = Self {
            person,
            replica,
            clock,
            dice,
            sending: None,
            notices: Vec::new(),
            statuses: BTreeMap::new(),
            rows: Rows::new(),
            wake: None,
        };
        tablet.execute(step);
        tablet.input(Input::Start);
        tablet
    }

    /// A copy of this tablet's database on another device's disk, opened there.
    pub fn copied(&self, seed: u64) -> Result<Self> {
        let rows = self.rows.iter().map(|((table, key), value)| Row {
            table: *table,
            key: key.clone(),
            value: value.clone(),
        });
        let mut dice = Dice::new(seed);
        let (replica, step) = Replica::open(rows.collect::<Vec<_>>(), SECRET, &mut dice)?;
        let mut copy = Self { replica, dice, sending: None, wake: None, ..self.clone() };
        copy.execute(step);
        copy.input(Input::Start);
        Ok(copy)
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
                Output::Vacuum { round, .. } => self.input(Input::Vacuumed { round }),
                Output::Wake { at_mono } => self.wake = Some(at_mono),
                Output::FetchBundle { hash } => self.input(Input::BundleStored { hash: &hash }),
                Output::DropBlob { sha256 } => self.input(Input::BlobDropped { sha256 }),
                Output::Notice(notice) => self.notices.push(notice),
            }
        }
    }

    /// Gives the machine an input.
    pub fn input(&mut self, input: Input<'_>) {
        let step = self.replica.step(input, &self.clock, &mut self.dice);
        self.execute(step);
    }

    /// Lets time pass on both clocks.
    pub fn pass(&mut self, millis: i64) {
        self.clock.mono += millis;
        self.clock.now = Instant(self.clock.now.0.plus(millis));
    }

    /// Authors one change.
    pub fn author(&mut self, rec: RecordId, edits: Vec<Edit>) -> Result<ChangeId, Refused> {
        let kind = KIND.parse().map_err(|_| Refused::Empty)?;
        let draft = Draft { rec, kind, sv: 1, edits };
        let (id, step) = self.replica.author(&draft, &self.clock, &mut self.dice)?;
        self.execute(step);
        Ok(id)
    }

    /// Begins a record in a station.
    pub fn begin(&mut self, bucket: &Bucket, title: &str) -> Result<(RecordId, ChangeId), Refused> {
        let rec = RecordId(Uuid::from_u128(self.dice.bits()));
        let home = Edit::New(Home::In(bucket.clone()));
        let id = self.author(rec, vec![home, set("title", json!(title))])?;
        Ok((rec, id))
    }

    /// Does what a person does next: mostly edits what others edit too.
    pub fn write_something(&mut self, records_max: usize) -> Result<ChangeId, Refused> {
        let records: Vec<RecordId> = self.replica.records().take(records_max).collect();
        let roll = self.dice.below(10);
        let rec = self.dice.pick(&records).copied();
        let Some(rec) = rec.filter(|_| roll > 1 || records.len() >= records_max) else {
            let bucket = station(if roll == 0 { "a" } else { "b" });
            let title = format!("題 {}", self.dice.below(1_000));
            return Ok(self.begin(&bucket, &title)?.1);
        };
        let word = json!(format!("値 {}", self.dice.below(1_000_000)));
        let edits = match roll {
            0..=4 => vec![set("title", word)],
            5..=8 => vec![set("place", word), set("area", json!(self.dice.below(500)))],
            _ => {
                let row = Uuid::from_u128(self.dice.bits()).to_string();
                let at = RowPath { field: "findings".to_owned(), row };
                let cell = Path::Cell(at.clone(), "text".to_owned());
                let pos = Some(format!("a{}", self.dice.below(90) + 10));
                vec![Edit::Add { at, pos, value: None }, Edit::Set(cell, word)]
            }
        };
        self.author(rec, edits)
    }

    /// Takes a request from the machine, as it does when a person asks for a sync.
    pub fn request(&mut self) -> Option<(AttemptId, String)> {
        if self.sending.is_none() {
            if let Some(at) = self.wake.take() {
                self.clock.mono = self.clock.mono.max(at);
            }
            self.input(Input::Network(true));
            self.input(Input::SyncWanted);
        }
        self.sending.take()
    }

    /// Gives the machine the answer to a request, or says that there is none.
    pub fn answer(&mut self, attempt: AttemptId, reply: Option<&Reply>) {
        *self.statuses.entry(reply.map_or(0, |reply| reply.status)).or_default() += 1;
        match reply {
            Some(Reply { status, retry_after_ms, body }) => self.input(Input::Answer {
                attempt,
                status: *status,
                retry_after_ms: *retry_after_ms,
                body,
            }),
            None => self.input(Input::Failed { attempt }),
        }
    }

    /// One request at the server's `now` and its whole answer, which `acks` notes before the machine knows it.
    ///
    /// Tells the status: 0 when no answer came, none when nothing was sent.
    pub async fn exchange(
        &mut self,
        site: &Site,
        line: &Line,
        acks: &Acks,
        now: UnixMillis,
    ) -> Result<Option<u16>> {
        self.clock.mono += 1;
        let Some((attempt, body)) = self.request() else { return Ok(None) };
        let token = site.token(self.person, now);
        let reply = line.call(Method::POST, "/v1/sync", &token, Some(body.clone())).await;
        if let Some(reply) = reply.as_ref().filter(|reply| reply.status == 200) {
            let unanswered = acks.note_answer(&body, &reply.body)?;
            ensure!(unanswered == 0, "{unanswered} changes of a push got no result");
        }
        let status = reply.as_ref().map(|reply| reply.status);
        self.answer(attempt, reply.as_ref());
        Ok(Some(status.unwrap_or(0)))
    }

    /// Whether nothing is left to do: all results are here and all buckets are whole.
    pub fn is_settled(&self) -> bool {
        self.replica.outbox_len() == 0
            && self.replica.buckets().all(|(_, phase)| *phase == Phase::Held)
            && !self.replica.calls_for_sync()
    }

    /// How often this database found itself copied.
    pub fn forks(&self) -> usize {
        self.notices.iter().filter(|notice| matches!(notice, Notice::Forked)).count()
    }

    /// The values that a field shows, by dot.
    pub fn values(&self, rec: RecordId, field: &str) -> Vec<Value> {
        let record = self.replica.displayed(rec);
        let register = record.as_ref().and_then(|record| record.fields.get(field));
        let live = register.into_iter().flat_map(|register| register.live.values());
        live.map(|sibling| sibling.value.clone()).collect()
    }
}

/// An edit of a field.
pub fn set(path: &str, value: Value) -> Edit {
    Edit::Set(Path::Field(path.to_owned()), value)
}
