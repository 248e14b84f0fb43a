//! The tablet's side of the protocol: a state machine without I/O, clock or chance.
//!
//! [`Replica::step`] takes an input and the clocks and returns a [`Step`]: the writes of one local transaction, and what
//! to do afterwards. The shell commits the writes before it executes any output; when it cannot commit them, it drops
//! the replica and opens it again from the stored rows. A crash between any two outputs is harmless, because every
//! output is asked for again after [`Replica::open`].

mod answer;
mod attempt;
mod author;
mod blobs;
mod holding;
mod keep;
mod outbox;
mod overlay;
mod pull;
mod reading;
mod rows;
mod schedule;
mod state;

pub use author::{Draft, Edit, Refused};
pub use blobs::{BlobState, OwnBlob};
pub use outbox::Outcome;
pub use reading::OwnChange;
pub use rows::{DamagedRow, Row, Table, Write};
pub use state::{Identity, Phase};

use crate::blob::BlobHash;
use crate::clock::{ClockReading, UnixMillis};
use crate::id::{AttemptId, Bucket, ChangeId, RecordId, ReplicaId};
use crate::value;
use blobs::Blob;
use holding::{Held, Place};
use outbox::Own;
use schedule::Run;
use state::{Attempt, State};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How long received changes are kept while no backup is reported: 30 days, in the server's time.
pub const KEEP_RECEIVED_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// How often the sums of the held buckets are compared: once a day.
pub const SUMS_EVERY_MS: i64 = 24 * 60 * 60 * 1000;
/// How long a tablet with a network stays without asking when nothing calls for it: 15 minutes.
pub const IDLE_SYNC_MS: i64 = 15 * 60 * 1000;
/// The base of the backoff: one second.
pub const BACKOFF_BASE_MS: i64 = 1_000;
/// The longest backoff: five minutes.
pub const BACKOFF_CAP_MS: i64 = 300_000;
/// The longest wait that a server may ask for: one hour.
pub const RETRY_AFTER_MAX_MS: i64 = 60 * 60 * 1000;
/// The most changes of its own that a tablet keeps.
pub const OWN_CHANGES_MAX: usize = 100_000;

/// Where ids and jitter come from.
pub trait Chance {
    /// 128 bits that nobody else draws.
    fn bits(&mut self) -> u128;
}

impl dyn Chance + '_ {
    fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bits().to_be_bytes()).into_uuid()
    }

    fn change_id(&mut self, at: UnixMillis) -> ChangeId {
        let bits = self.bits().to_be_bytes();
        let (random, _) = bits.split_first_chunk::<10>().expect("16 bytes hold 10");
        let millis = u64::try_from(at.0).unwrap_or(0);
        ChangeId(uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid())
    }

    /// A number from 0 to below `bound`.
    fn below(&mut self, bound: i64) -> i64 {
        let bound = u64::try_from(bound).unwrap_or(0).max(1);
        let drawn = self.bits() % u128::from(bound);
        i64::try_from(drawn).unwrap_or(0)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The tablet runs: asks again for what a crash may have cut off.
    Start,
    /// A network came or went.
    Network(bool),
    /// The server has something new.
    Poked,
    /// The user asks for a sync now.
    SyncWanted,
    /// The time of a [`Output::Wake`] has come.
    Tick,
    /// The server answered the attempt.
    Answer {
        /// The attempt of the [`Output::Send`].
        attempt: AttemptId,
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, in milliseconds.
        retry_after_ms: Option<i64>,
        /// The body, inflated.
        body: &'a [u8],
    },
    /// No answer came.
    Failed {
        /// The attempt of the [`Output::Send`].
        attempt: AttemptId,
    },
    /// The deleted rows cannot be read any more.
    Vacuumed {
        /// The round of the [`Output::Vacuum`].
        round: u64,
    },
    /// The list of current forms was fetched and stored by the shell.
    BundleStored {
        /// Its hash.
        hash: &'a str,
    },
    /// All bytes of a blob that the server needs were uploaded.
    BlobUploaded {
        /// Its hash.
        sha256: BlobHash,
    },
    /// The bytes of a blob are not on this tablet.
    BlobLost {
        /// Its hash.
        sha256: BlobHash,
    },
    /// The bytes of an [`Output::DropBlob`] are deleted.
    BlobDropped {
        /// Its hash.
        sha256: BlobHash,
    },
}

/// What the shell does after it has committed the writes of the step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this body to `POST /v1/sync` and give the answer back.
    Send {
        /// Names the answer.
        attempt: AttemptId,
        /// The JSON text.
        body: String,
    },
    /// Make what was deleted unreadable on the disk, then say [`Input::Vacuumed`].
    Vacuum {
        /// Names the answer.
        round: u64,
        /// Whether the server is told: then nothing may be left anywhere in the file.
        reported: bool,
    },
    /// Give [`Input::Tick`] when the monotonic clock shows this.
    Wake {
        /// Milliseconds of the monotonic clock.
        at_mono: i64,
    },
    /// Fetch the list of current forms, store it, and say [`Input::BundleStored`].
    FetchBundle {
        /// Its hash.
        hash: String,
    },
    /// Delete the bytes of a blob that no kept change names any more, then say [`Input::BlobDropped`].
    DropBlob {
        /// Its hash.
        sha256: BlobHash,
    },
    /// Something that a person or a log may want to know.
    Notice(Notice),
}

/// Something that a person or a log may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// These records look different now, or are gone.
    Changed(BTreeSet<RecordId>),
    /// The server stored this change for a human and did not apply it.
    Quarantined(ChangeId),
    /// A change that was in quarantine has another outcome now.
    Settled(ChangeId),
    /// This database was copied or restored: a new replica offers its changes again.
    Forked,
    /// The server was restored: everything that is not in its backup is offered again.
    EpochChanged,
    /// The user may not hold this bucket any more.
    Left(Bucket),
    /// This bucket is complete.
    Entered(Bucket),
    /// The sums of this bucket differ from the server's: it is fetched anew.
    Differs(Bucket),
    /// The server needs this blob: it is to be uploaded.
    BlobNeeded(BlobHash),
    /// The server has this blob.
    BlobHad(BlobHash),
    /// The attempt failed; the status is 0 when no answer came.
    Failed {
        /// The HTTP status.
        status: u16,
        /// The problem's name, or what was wrong with the answer.
        why: String,
    },
    /// One round with the server went through.
    Synced {
        /// Whether more is waiting there.
        more: bool,
    },
}

/// The result of a step: commit the writes as one transaction, then execute the outputs in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The writes of one local transaction.
    pub writes: Vec<Write>,
    /// What to do afterwards.
    pub outputs: Vec<Output>,
}

/// One incarnation of a tablet's database, in memory.
#[derive(Clone, Debug)]
pub struct Replica {
    state: State,
    attempt: Option<Attempt>,
    own: BTreeMap<u64, Own>,
    held: BTreeMap<RecordId, Held>,
    places: BTreeMap<Bucket, Place>,
    blobs: BTreeMap<BlobHash, Blob>,
    index: Index,
    dirty: rows::Dirty,
    outputs: Vec<Output>,
    changed: BTreeSet<RecordId>,
    run: Run,
}

/// What can be computed from the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Index {
    order_of: BTreeMap<ChangeId, u64>,
    order_at: BTreeMap<i64, u64>,
    unanswered: BTreeSet<i64>,
    shown: BTreeMap<RecordId, BTreeSet<u64>>,
    members: BTreeMap<Bucket, BTreeSet<RecordId>>,
    orphans: BTreeSet<RecordId>,
    /// Which changes with a text name which blob.
    naming: BTreeMap<BlobHash, BTreeSet<u64>>,
}

impl Replica {
    /// Begins the database of a newly enrolled tablet.
    ///
    /// `secret` lives outside the database, in a place that backups skip: when it differs at the next opening, the
    /// database is a copy.
    pub fn begin(identity: Identity, secret: &[u8], chance: &mut dyn Chance) -> (Self, Step) {
        let state = State::new(identity, ReplicaId(chance.uuid()), secret_hash(secret));
        let mut replica = Self::empty(state);
        replica.dirty.state = true;
        let step = replica.flush();
        (replica, step)
    }

    /// Rebuilds a replica from its rows; the step is that of a fork when the secret shows that the rows are a copy.
    pub fn open(
        rows: impl IntoIterator<Item = Row>,
        secret: &[u8],
        chance: &mut dyn Chance,
    ) -> Result<(Self, Step), DamagedRow> {
        let mut replica = Self::from_rows(rows)?;
        let hash = secret_hash(secret);
        if replica.state.secret != hash {
            replica.state.secret = hash;
            replica.fork(chance);
        }
        let step = replica.flush();
        Ok((replica, step))
    }

    /// Takes one input.
    pub fn step(
        &mut self,
        input: Input<'_>,
        clock: &ClockReading,
        chance: &mut dyn Chance,
    ) -> Step {
        match input {
            Input::Start => self.start(),
            Input::Network(up) => self.network(up, clock),
            Input::Poked => self.run.wanted = true,
            Input::SyncWanted => self.sync_wanted(clock),
            Input::Tick => {}
            Input::Answer { attempt, status, retry_after_ms, body } => {
                if self.run.in_flight == Some(attempt) {
                    self.run.in_flight = None;
                    self.answered(&answer::Reply { status, retry_after_ms, body }, clock, chance);
                }
            }
            Input::Failed { attempt } => {
                if self.run.in_flight == Some(attempt) {
                    self.run.in_flight = None;
                    self.failed(0, "no answer", None, clock, chance);
                }
            }
            Input::Vacuumed { round } => self.vacuumed(round),
            Input::BundleStored { hash } => {
                hash.clone_into(&mut self.state.bundle_stored);
                self.dirty.state = true;
            }
            Input::BlobUploaded { sha256 } => self.blob_uploaded(sha256),
            Input::BlobLost { sha256 } => self.blob_lost(sha256),
            Input::BlobDropped { sha256 } => self.blob_dropped(sha256),
        }
        self.finish(clock, chance)
    }

    /// What every step ends with: purges that have become possible, the next attempt, the writes.
    fn finish(&mut self, clock: &ClockReading, chance: &mut dyn Chance) -> Step {
        self.settle_purges();
        self.schedule(clock, chance);
        if !self.changed.is_empty() {
            let changed = std::mem::take(&mut self.changed);
            self.outputs.push(Output::Notice(Notice::Changed(changed)));
        }
        self.flush()
    }

    fn start(&mut self) {
        self.run.wanted = true;
        if let Some((round, _)) = self.state.erasing.last() {
            self.outputs.push(Output::Vacuum { round: *round, reported: true });
        }
        self.want_bundle();
        self.drop_unnamed();
    }

    fn want_bundle(&mut self) {
        if !self.state.bundle.is_empty() && self.state.bundle != self.state.bundle_stored {
            self.outputs.push(Output::FetchBundle { hash: self.state.bundle.clone() });
        }
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push(Output::Notice(notice));
    }
}

fn secret_hash(secret: &[u8]) -> String {
    value::hash_text(&value::hash_of(secret))
}
