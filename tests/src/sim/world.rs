//! The world: its time, its queue of events, and what happens at each of them.

use super::Ended;
use super::dice::Dice;
use super::eye::Eye;
use super::house::{BEGIN, House};
use super::oracle::Oracle;
use super::plan::{Fault, Plan};
use super::tablet::{Tablet, id_of};
use super::trace::Trace;
use anyhow::{Context as _, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use sync_protocol::id::AttemptId;
use sync_protocol::replica::{Input, Output, Step, Table};
use sync_protocol::value::hash_of;

/// When an event comes: by time, then in the order in which it was foreseen.
type When = (i64, u64);

/// Something that will happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// Somebody does something.
    Act,
    /// A tablet looks whether it is time.
    Tick { tablet: usize, run: u32 },
    /// A request reaches the server.
    Request { tablet: usize, run: u32, attempt: AttemptId, body: String },
    /// An answer reaches a tablet.
    Answer { tablet: usize, run: u32, attempt: AttemptId, status: u16, body: Vec<u8> },
    /// A tablet stops waiting for an answer.
    TimedOut { tablet: usize, run: u32, attempt: AttemptId },
    /// What was deleted cannot be read any more.
    Vacuumed { tablet: usize, run: u32, round: u64 },
    /// The forms were fetched.
    Bundle { tablet: usize, run: u32, hash: String },
    /// A tablet is switched on.
    Start { tablet: usize },
    /// The network of a tablet comes back.
    Online { tablet: usize },
}

/// What worlds have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Worlds played.
    pub worlds: u64,
    /// Changes that people made on tablets.
    pub authored: u64,
    /// Requests that the server answered.
    pub requests: u64,
    /// Events.
    pub events: u64,
    /// Changes that the server applied.
    pub applied: u64,
    /// Changes that went to quarantine.
    pub quarantined: u64,
    /// Tablets that found themselves copied or restored.
    pub forks: u64,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.authored += other.authored;
        self.requests += other.requests;
        self.events += other.events;
        self.applied += other.applied;
        self.quarantined += other.quarantined;
        self.forks += other.forks;
    }
}

/// One world.
#[derive(Debug)]
pub struct World {
    pub(super) seed: u64,
    pub(super) dice: Dice,
    pub(super) plan: Plan,
    pub(super) now: i64,
    queue: BinaryHeap<Reverse<(When, Event)>>,
    foreseen: u64,
    pub(super) house: House,
    pub(super) eye: Eye,
    pub(super) tablets: Vec<Tablet>,
    pub(super) oracle: Oracle,
    pub(super) trace: Trace,
    pub(super) tally: Tally,
    acts_left: usize,
}

/// How long a tablet waits for an answer.
const TIMEOUT_MS: i64 = 30_000;
/// How long a tablet lies switched off after a crash, at most.
const OFF_MS: i64 = 120_000;
/// The most events of a world: more are a loop.
const EVENTS_MAX: u64 = 60_000;
/// How long after the last fault every outbox must be empty.
const LIVE_MS: i64 = 30 * 60 * 1_000;
/// How long after that every tablet has asked once more.
const SETTLE_MS: i64 = 60 * 1_000;
/// How long the last contact of every tablet takes; when a grant begins or ends meanwhile, there is another one.
const CONTACT_MS: i64 = 6 * 60 * 1_000;
const CONTACTS_MAX: usize = 10;

impl World {
    /// Begins a world.
    pub async fn begin(seed: u64, dice: Dice, plan: Plan) -> Result<Self> {
        let house = House::build(seed).await?;
        let eye = Eye::open(&house.file()).await?;
        let acts_left = plan.actions;
        let mut world = Self {
            seed,
            dice,
            plan,
            now: BEGIN,
            queue: BinaryHeap::new(),
            foreseen: 0,
            house,
            eye,
            tablets: Vec::new(),
            oracle: Oracle::default(),
            trace: Trace::default(),
            tally: Tally { worlds: 1, ..Tally::default() },
            acts_left,
        };
        world.note(world.plan.words());
        world.people_begin().await?;
        world.foresee(0, Event::Act);
        Ok(world)
    }

    /// Plays it to its end.
    pub async fn play(mut self) -> Ended {
        let outcome = self.play_through().await;
        if let Err(error) = &outcome {
            self.note(format!("FAILED: {error:#}"));
        }
        self.tally.applied = self.eye.applied.len() as u64;
        let hash = self.trace.hash();
        let failure = outcome.err().map(|error| format!("{error:#}"));
        let closed = self.eye.shut().await;
        self.house.close().await;
        let failure = failure.or_else(|| closed.err().map(|error| error.to_string()));
        let lines = self.trace.into_lines();
        Ended { seed: self.seed, hash, tally: self.tally, failure, lines }
    }

    /// Ends a world that was not played to its end.
    pub(super) async fn finish(mut self) -> Result<()> {
        self.eye.shut().await?;
        self.house.close().await;
        Ok(())
    }

    async fn play_through(&mut self) -> Result<()> {
        while self.acts_left > 0 {
            anyhow::ensure!(self.step().await?, "nothing happens any more");
        }
        self.heal().await?;
        self.run_until(self.now + LIVE_MS).await?;
        self.check_live()?;
        self.run_until(self.now + SETTLE_MS).await?;
        for _ in 0..CONTACTS_MAX {
            let began = self.now;
            for at in 0..self.tablets.len() {
                self.input(at, Input::Poked)?;
            }
            self.run_until(began + CONTACT_MS).await?;
            if !self.eye.grants_change_within(began, self.now).await? {
                break;
            }
        }
        self.check_settled().await
    }

    pub(super) async fn run_until(&mut self, end: i64) -> Result<()> {
        while self.queue.peek().is_some_and(|Reverse(((at, _), _))| *at <= end) {
            self.step().await?;
        }
        self.set_time(end);
        Ok(())
    }

    fn set_time(&mut self, now: i64) {
        self.now = now.max(self.now);
        self.house.set_clock(self.now);
    }

    pub(super) fn note(&mut self, what: impl AsRef<str>) {
        self.trace.note(self.now - BEGIN, what);
    }

    /// Foresees an event in `delay` milliseconds.
    pub(super) fn foresee(&mut self, delay: i64, event: Event) {
        self.foreseen += 1;
        self.queue.push(Reverse(((self.now + delay.max(0), self.foreseen), event)));
    }

    async fn step(&mut self) -> Result<bool> {
        let Some(Reverse(((at, _), event))) = self.queue.pop() else { return Ok(false) };
        self.set_time(at);
        self.tally.events += 1;
        anyhow::ensure!(self.tally.events < EVENTS_MAX, "the world does not come to rest");
        let touched = self.happen(event).await?;
        if let Some(tablet) = touched {
            self.check_tablet(tablet)?;
        }
        self.check_conserved()?;
        Ok(true)
    }

    /// Lets an event happen; tells the tablet that it concerned.
    async fn happen(&mut self, event: Event) -> Result<Option<usize>> {
        match event {
            Event::Act => {
                if self.acts_left > 0 {
                    self.acts_left -= 1;
                    self.act().await?;
                    let pause = match self.dice.below(20) {
                        0 => self.dice.millis(0, 3_600_000),
                        1..=5 => self.dice.millis(0, 600_000),
                        _ => self.dice.millis(0, 15_000),
                    };
                    self.foresee(pause, Event::Act);
                }
                Ok(None)
            }
            Event::Request { tablet, run, attempt, body } => {
                self.request(tablet, run, attempt, &body).await?;
                Ok(None)
            }
            Event::Answer { tablet, run, attempt, status, body } => {
                if self.waits_for(tablet, run, attempt) {
                    self.note(format!("tablet {tablet} reads {status}, {} bytes", body.len()));
                    let input =
                        Input::Answer { attempt, status, retry_after_ms: None, body: &body };
                    self.input(tablet, input)?;
                }
                Ok(Some(tablet))
            }
            Event::TimedOut { tablet, run, attempt } => {
                if self.waits_for(tablet, run, attempt) {
                    self.note(format!("tablet {tablet} waits no longer"));
                    self.input(tablet, Input::Failed { attempt })?;
                }
                Ok(Some(tablet))
            }
            Event::Tick { tablet, run } => self.input_in_run(tablet, run, Input::Tick),
            Event::Vacuumed { tablet, run, round } => {
                self.input_in_run(tablet, run, Input::Vacuumed { round })
            }
            Event::Bundle { tablet, run, hash } => {
                self.input_in_run(tablet, run, Input::BundleStored { hash: &hash })
            }
            Event::Start { tablet } => {
                self.start(tablet)?;
                Ok(Some(tablet))
            }
            Event::Online { tablet } => {
                self.set_online(tablet, true)?;
                Ok(Some(tablet))
            }
        }
    }

    fn waits_for(&self, tablet: usize, run: u32, attempt: AttemptId) -> bool {
        self.tablets
            .get(tablet)
            .is_some_and(|tablet| tablet.run == run && tablet.in_flight == Some(attempt))
    }

    fn input_in_run(&mut self, tablet: usize, run: u32, input: Input<'_>) -> Result<Option<usize>> {
        if self.tablets.get(tablet).is_some_and(|t| t.run == run && t.replica.is_some()) {
            self.input(tablet, input)?;
        }
        Ok(Some(tablet))
    }

    /// Gives an input to a tablet that is on.
    pub(super) fn input(&mut self, at: usize, input: Input<'_>) -> Result<()> {
        let tablet = self.tablets.get_mut(at).context("a tablet")?;
        let clock = tablet.clock(self.now);
        let Some(replica) = &mut tablet.replica else { return Ok(()) };
        if matches!(input, Input::Answer { .. } | Input::Failed { .. }) {
            tablet.in_flight = None;
        }
        let step = replica.step(input, &clock, &mut self.dice);
        self.execute(at, step)
    }

    /// Commits a step and does what it asks for; the tablet may crash before, between and after.
    pub(super) fn execute(&mut self, at: usize, step: Step) -> Result<()> {
        let crash = self.plan.rate(Fault::CrashTablet) / 8;
        if self.dice.hits(crash) {
            return self.crash(at, "before it commits");
        }
        self.commit(at, &step)?;
        for output in step.outputs {
            if self.dice.hits(crash) {
                return self.crash(at, "between two outputs");
            }
            self.output(at, output)?;
        }
        Ok(())
    }

    /// Writes to the tablet's disk, and notes what was authored.
    pub(super) fn commit(&mut self, at: usize, step: &Step) -> Result<()> {
        for write in step.writes.iter().filter(|write| write.table == Table::Text) {
            if let Some(text) = &write.value {
                let id = id_of(text).context("a frozen text with an id")?;
                if self.oracle.authored.insert(id, hash_of(text)).is_none() {
                    self.tally.authored += 1;
                }
            }
        }
        let tablet = self.tablets.get_mut(at).context("a tablet")?;
        tablet.commit(&step.writes);
        Ok(())
    }

    fn output(&mut self, at: usize, output: Output) -> Result<()> {
        let tablet = self.tablets.get_mut(at).context("a tablet")?;
        let run = tablet.run;
        match output {
            Output::Send { attempt, body } => {
                tablet.in_flight = Some(attempt);
                self.foresee(TIMEOUT_MS, Event::TimedOut { tablet: at, run, attempt });
                self.send(at, run, attempt, body)?;
            }
            Output::Wake { at_mono } => {
                let delay = at_mono - (self.now - tablet.booted_at);
                self.foresee(delay, Event::Tick { tablet: at, run });
            }
            Output::Vacuum { round, .. } => {
                let delay = self.dice.millis(1, 2_000);
                self.foresee(delay, Event::Vacuumed { tablet: at, run, round });
            }
            Output::FetchBundle { hash } => {
                let delay = self.dice.millis(1, 2_000);
                self.foresee(delay, Event::Bundle { tablet: at, run, hash });
            }
            // Nobody in this world takes photos.
            Output::DropBlob { .. } => {}
            Output::Notice(notice) => {
                use sync_protocol::replica::Notice;
                match notice {
                    Notice::Changed(_) | Notice::Synced { .. } => {}
                    Notice::Forked => {
                        self.tally.forks += 1;
                        self.note(format!("tablet {at}: forked"));
                    }
                    other @ (Notice::Quarantined(_)
                    | Notice::Settled(_)
                    | Notice::EpochChanged
                    | Notice::Left(_)
                    | Notice::Entered(_)
                    | Notice::Differs(_)
                    | Notice::BlobNeeded(_)
                    | Notice::BlobHad(_)
                    | Notice::Failed { .. }) => self.note(format!("tablet {at}: {other:?}")),
                }
            }
        }
        Ok(())
    }

    /// The power of a tablet fails.
    pub(super) fn crash(&mut self, at: usize, when: &str) -> Result<()> {
        self.note(format!("tablet {at} crashes {when}"));
        self.tablets.get_mut(at).context("a tablet")?.stop();
        let off = self.dice.millis(10, OFF_MS);
        self.foresee(off, Event::Start { tablet: at });
        Ok(())
    }

    /// Switches a tablet on, if it is off.
    pub(super) fn start(&mut self, at: usize) -> Result<()> {
        let tablet = self.tablets.get_mut(at).context("a tablet")?;
        if tablet.replica.is_some() {
            return Ok(());
        }
        let step = tablet.start(&mut self.dice)?;
        let online = tablet.online;
        self.execute(at, step)?;
        self.input(at, Input::Start)?;
        self.input(at, Input::Network(online))
    }

    /// The network of a tablet comes or goes.
    pub(super) fn set_online(&mut self, at: usize, online: bool) -> Result<()> {
        let tablet = self.tablets.get_mut(at).context("a tablet")?;
        tablet.online = online;
        if !online && let Some(attempt) = tablet.in_flight {
            self.input(at, Input::Failed { attempt })?;
        }
        self.input(at, Input::Network(online))
    }

    /// Nothing goes wrong any more: every tablet is on and has a network.
    async fn heal(&mut self) -> Result<()> {
        self.note("everything heals");
        self.plan.heal();
        self.oracle.poison = None;
        self.publish_late_form().await?;
        for at in 0..self.tablets.len() {
            self.start(at)?;
            self.set_online(at, true)?;
        }
        Ok(())
    }
}
