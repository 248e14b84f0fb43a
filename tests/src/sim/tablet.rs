//! A tablet of a world: the real replica, the rows that it has committed, and its clocks.

use super::dice::Dice;
use super::house;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use sync_protocol::clock::{ClockReading, Instant, UnixMillis};
use sync_protocol::id::{AttemptId, ChangeId, EpochId, RecordId, Seq, UserId};
use sync_protocol::replica::{Identity, Replica, Row, Step, Table, Write};
use sync_protocol::value::{Hash, hash_of};

/// The rows of a tablet's database.
pub(super) type Rows = BTreeMap<(Table, String), Vec<u8>>;

/// What lies beside the database and is not copied with it by backups.
const SECRET: &[u8] = b"kept beside the database";

/// One tablet; a clone of it is another one of the same enrolment.
#[derive(Clone, Debug)]
pub(super) struct Tablet {
    /// The place of its person.
    pub(super) person: usize,
    /// Its user.
    pub(super) user: UserId,
    /// `None` while it is switched off.
    pub(super) replica: Option<Replica>,
    /// What is on its disk.
    pub(super) rows: Rows,
    /// The hashes of the frozen texts among them.
    pub(super) texts: BTreeMap<String, Hash>,
    /// An older copy of its disk.
    pub(super) saved: Option<Rows>,
    /// Grows with every start, so that what was meant for an earlier run is not heard.
    pub(super) run: u32,
    /// Its wall clock minus the true time.
    pub(super) offset: i64,
    /// When it was booted, in true time.
    pub(super) booted_at: i64,
    /// Names the boot.
    pub(super) boot: u32,
    /// Whether it has a network.
    pub(super) online: bool,
    /// Whether its device was revoked.
    pub(super) revoked: bool,
    /// The attempt whose answer it waits for.
    pub(super) in_flight: Option<AttemptId>,
    /// The epoch that it knows, and the revision of each record that it has shown in it.
    pub(super) seen: (Option<EpochId>, BTreeMap<RecordId, Seq>),
}

impl Tablet {
    /// A newly enrolled tablet.
    pub(super) fn begin(person: usize, user: UserId, now: i64, dice: &mut Dice) -> Self {
        let identity = Identity { device: house::device(person), user };
        let (replica, step) = Replica::begin(identity, SECRET, dice);
        let mut tablet = Self {
            person,
            user,
            replica: Some(replica),
            rows: Rows::new(),
            texts: BTreeMap::new(),
            saved: None,
            run: 0,
            offset: 0,
            booted_at: now,
            boot: 0,
            online: true,
            revoked: false,
            in_flight: None,
            seen: (None, BTreeMap::new()),
        };
        tablet.commit(&step.writes);
        tablet
    }

    /// Starts from the disk; the step is the replica's first.
    pub(super) fn start(&mut self, dice: &mut Dice) -> Result<Step> {
        self.run += 1;
        self.in_flight = None;
        let (replica, step) =
            Replica::open(self.stored(), SECRET, dice).context("rows of its own")?;
        self.replica = Some(replica);
        Ok(step)
    }

    /// Switches it off: what is not on the disk is gone.
    pub(super) fn stop(&mut self) {
        self.run += 1;
        self.replica = None;
        self.in_flight = None;
    }

    /// Its clocks.
    pub(super) fn clock(&self, now: i64) -> ClockReading {
        ClockReading {
            now: Instant(UnixMillis(now + self.offset)),
            mono: now - self.booted_at,
            boot: format!("b{}-{}", self.person, self.boot),
        }
    }

    /// Commits one local transaction.
    pub(super) fn commit(&mut self, writes: &[Write]) {
        for write in writes {
            if write.table == Table::Text {
                match &write.value {
                    Some(text) => drop(self.texts.insert(write.key.clone(), hash_of(text))),
                    None => drop(self.texts.remove(&write.key)),
                }
            }
            let key = (write.table, write.key.clone());
            match &write.value {
                Some(value) => drop(self.rows.insert(key, value.clone())),
                None => drop(self.rows.remove(&key)),
            }
        }
    }

    /// Puts an older copy of the disk in the place of the present one.
    pub(super) fn go_back_to(&mut self, rows: Rows) {
        self.texts = rows
            .iter()
            .filter(|((table, _), _)| *table == Table::Text)
            .map(|((_, key), text)| (key.clone(), hash_of(text)))
            .collect();
        self.rows = rows;
        self.seen = (None, BTreeMap::new());
    }

    /// The rows of its disk.
    pub(super) fn stored(&self) -> Vec<Row> {
        let row = |((table, key), value): (&(Table, String), &Vec<u8>)| Row {
            table: *table,
            key: key.clone(),
            value: value.clone(),
        };
        self.rows.iter().map(row).collect()
    }

    /// How many changes wait for their result; 0 while it is switched off.
    pub(super) fn outbox(&self) -> usize {
        self.replica.as_ref().map_or(0, Replica::outbox_len)
    }
}

/// The id that stands in a frozen text.
pub(super) fn id_of(text: &[u8]) -> Option<ChangeId> {
    let value: serde_json::Value = serde_json::from_slice(text).ok()?;
    value.get("id")?.as_str()?.parse().ok()
}
