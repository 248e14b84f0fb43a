//! What must hold at every step: nothing is lost, nothing leaks, no stale copy is heard, no revision goes back.

use super::eye::Eye;
use super::world::World;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::change::{Change, Op, Path};
use sync_protocol::id::{AttemptId, ChangeId, DeviceId, LeaseId, RecordId, ReplicaId, UserId};
use sync_protocol::record::Record;
use sync_protocol::replica::Replica;
use sync_protocol::value::{Hash, hash_of};

/// What a world knows that neither tablets nor the server know.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// Every change that was committed on a tablet and that was not lost with its disk.
    pub(super) authored: BTreeMap<ChangeId, Hash>,
    /// Changes whose last copy on a tablet went with its disk: only the server has them.
    pub(super) fragile: BTreeSet<ChangeId>,
    /// Which record a canary belongs to.
    pub(super) canaries: BTreeMap<String, RecordId>,
    /// Requests that were answered with 200.
    pub(super) answered: BTreeSet<Hash>,
    /// Old requests.
    pub(super) requests: Vec<(DeviceId, String)>,
    /// A change at which the server fails, and how often it will when the change is alone.
    pub(super) poison: Option<(ChangeId, u32)>,
    /// Whether there is a copy of the server's database.
    pub(super) backed_up: bool,
    /// What was sealed.
    pub(super) sealed: BTreeMap<ChangeId, Vec<u8>>,
    /// Whether the late form is published.
    pub(super) late_form: bool,
    /// Whether anybody may more or less than at the beginning.
    pub(super) grants_changed: bool,
    leases: BTreeMap<ReplicaId, Lease>,
}

/// What the server has told of a replica's leases.
#[derive(Clone, Copy, Debug)]
struct Lease {
    current: LeaseId,
    previous: Option<LeaseId>,
    attempt: AttemptId,
}

/// What of a request matters here.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) hash: Hash,
    pub(super) changes: usize,
    replica: ReplicaId,
    attempt: AttemptId,
    lease: Option<LeaseId>,
}

impl Called {
    pub(super) fn read(device: DeviceId, body: &str) -> Result<Self> {
        let request: sync_protocol::wire::SyncRequest<'_> =
            serde_json::from_str(body).context("a request that the protocol can read")?;
        Ok(Self {
            hash: hash_of(format!("{device} {body}").as_bytes()),
            changes: request.push.changes.len(),
            replica: request.replica,
            attempt: request.attempt,
            lease: request.lease,
        })
    }
}

/// The canary that every text about a record carries.
pub(super) fn canary(rec: RecordId) -> String {
    format!("cn{:08x}", rec.0.as_u128() & 0xFFFF_FFFF)
}

/// The canaries in some bytes.
pub(super) fn canaries_in(bytes: &[u8]) -> impl Iterator<Item = &str> {
    let tokens = bytes.windows(10).filter(|window| {
        window.starts_with(b"cn")
            && window.iter().skip(2).all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    });
    tokens.filter_map(|window| std::str::from_utf8(window).ok())
}

impl Oracle {
    /// The server's history was set back: what it said of leases holds no more.
    pub(super) fn forget_leases(&mut self) {
        self.leases.clear();
        self.answered.clear();
    }

    /// Once a new attempt of one copy was accepted, no other copy's new attempt is.
    pub(super) fn note_lease(&mut self, called: &Called, answer: &[u8]) -> Result<()> {
        let answer: serde_json::Value = serde_json::from_slice(answer)?;
        let told = answer.get("lease").and_then(serde_json::Value::as_str).context("a lease")?;
        let told: LeaseId = told.parse()?;
        let next = match self.leases.get(&called.replica) {
            None => Lease { current: told, previous: called.lease, attempt: called.attempt },
            Some(known) if called.lease == Some(known.current) => {
                ensure!(told != known.current, "a new attempt was answered with the old lease");
                Lease { current: told, previous: Some(known.current), attempt: called.attempt }
            }
            Some(known) => {
                let again = called.lease == known.previous && called.attempt == known.attempt;
                ensure!(again, "a stale copy of {} was accepted", called.replica);
                ensure!(told == known.current, "a repeated attempt got another lease");
                *known
            }
        };
        self.leases.insert(called.replica, next);
        Ok(())
    }
}

impl World {
    /// Invariant 6: every authored change is on a tablet or on the server's disk.
    pub(super) fn check_conserved(&self) -> Result<()> {
        let kept = self.on_tablets();
        for (id, hash) in &self.oracle.authored {
            match self.eye.has.get(id) {
                Some(hashes) => {
                    ensure!(hashes.contains(hash), "the server has other bytes of {id}");
                }
                None => ensure!(kept.contains(hash), "LOST: the change {id} is nowhere"),
            }
        }
        Ok(())
    }

    /// The changes whose texts are on a tablet, by their hashes.
    pub(super) fn on_tablets(&self) -> BTreeSet<Hash> {
        self.tablets.iter().flat_map(|tablet| tablet.texts.values().copied()).collect()
    }

    /// Invariant 24: an answer holds no byte of a record that the device may not see now.
    pub(super) async fn check_scope(&mut self, device: DeviceId, answer: &[u8]) -> Result<()> {
        let mut told: BTreeSet<RecordId> = canaries_in(answer)
            .filter_map(|token| self.oracle.canaries.get(token).copied())
            .collect();
        if let Ok(answer) = serde_json::from_slice::<serde_json::Value>(answer) {
            let records = answer.get("records").and_then(serde_json::Value::as_array);
            let ids =
                records.into_iter().flatten().filter_map(|record| record.get("rec")?.as_str());
            for id in ids {
                told.insert(id.parse()?);
            }
        }
        if told.is_empty() {
            return Ok(());
        }
        let allowed = self.scope_of(device).await?;
        for rec in told {
            ensure!(allowed.contains_key(&rec), "LEAK: {device} was told of {rec}");
        }
        Ok(())
    }

    /// The records that a device may hold now, with their revisions.
    pub(super) async fn scope_of(
        &mut self,
        device: DeviceId,
    ) -> Result<BTreeMap<RecordId, sync_protocol::id::Seq>> {
        let Some(user) = self.user_of(device) else { return Ok(BTreeMap::new()) };
        let held = self.eye.held(user, self.now).await?;
        let pointers = self.eye.pointers().await?;
        let mut scope = BTreeMap::new();
        for bucket in held {
            scope
                .extend(pointers.get(&bucket).into_iter().flatten().map(|(rec, seq)| (*rec, *seq)));
        }
        Ok(scope)
    }

    /// The user whose records a device may hold; none for a revoked one.
    fn user_of(&self, device: DeviceId) -> Option<UserId> {
        let (at, user) = (self.house.people.iter().enumerate())
            .find(|(at, _)| super::house::device(*at) == device)?;
        let revoked = self.tablets.iter().any(|tablet| tablet.person == at && tablet.revoked);
        (!revoked).then_some(*user)
    }

    /// What must hold on a tablet after each of its steps.
    pub(super) fn check_tablet(&mut self, at: usize) -> Result<()> {
        let tablet = self.tablets.get_mut(at).context("a tablet")?;
        let Some(replica) = &tablet.replica else { return Ok(()) };
        // A server that was set back without a word can come back to an epoch that tablets have left: what they saw in
        // it before they left counts no more.
        let epoch = replica.epoch();
        if tablet.seen.0 != epoch {
            tablet.seen = (epoch, BTreeMap::new());
        }
        let revisions: Vec<_> =
            replica.records().filter_map(|rec| Some((rec, replica.rv(rec)?))).collect();
        for (rec, rv) in revisions {
            if let Some(seen) = tablet.seen.1.insert(rec, rv) {
                ensure!(rv >= seen, "tablet {at}: the revision of {rec} fell from {seen} to {rv}");
            }
        }
        reads_its_writes(replica, &self.eye).with_context(|| format!("tablet {at}"))
    }
}

/// Invariant 8: what a person wrote and the server has not received is what this tablet shows.
fn reads_its_writes(replica: &Replica, eye: &Eye) -> Result<()> {
    let own: Vec<&Change> = replica.own_changes().filter_map(|own| own.change).collect();
    let mut shown: BTreeMap<RecordId, Option<Record>> = BTreeMap::new();
    for pending in replica.own_changes() {
        let never_received =
            pending.waits && pending.outcome.is_none() && !eye.has.contains_key(&pending.id);
        let Some(change) = pending.change.filter(|_| never_received && !pending.sealed) else {
            continue;
        };
        let record = shown.entry(change.rec).or_insert_with(|| replica.displayed(change.rec));
        let Some(record) = record else {
            bail!("{} hides the record of {}", change.rec, change.id)
        };
        for (index, op) in change.ops.iter().enumerate() {
            let Op::Set { path: Path::Field(field), .. } = op else { continue };
            let dot = change.dot(index);
            let replaced =
                own.iter().any(|other| other.ops.iter().any(|op| op.named().any(|x| *x == dot)));
            let live =
                record.fields.get(field).is_some_and(|register| register.live.contains_key(&dot));
            ensure!(live || replaced, "{field} of {} does not show {}", change.rec, change.id);
        }
    }
    Ok(())
}
