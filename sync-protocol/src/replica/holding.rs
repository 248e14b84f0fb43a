//! Which records a tablet holds, by which buckets, and how it lets go of them.

use super::state::Phase;
use super::{Notice, Replica};
use crate::change::{Change, Home};
use crate::fault::planted;
use crate::id::{Bucket, EpochId, RecordId, RecordType, Seq};
use crate::record::{Damaged, Meta, Record, RecordBody};
use crate::wire::Purged;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A bucket on the tablet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) phase: Phase,
    /// Counts the enterings: a record that was last sent in an earlier one is marked.
    pub(super) entering: u64,
    /// How many records the server announced.
    pub(super) expected: i64,
    /// Whether it is fetched anew because its sums differed.
    pub(super) doubted: bool,
}

/// A received record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) rv: Seq,
    /// The history that `rv` belongs to.
    pub(super) epoch: EpochId,
    pub(super) flags: Vec<String>,
    /// The buckets by which the tablet gets it, each with the entering in which it was last sent.
    pub(super) buckets: BTreeMap<Bucket, u64>,
    pub(super) record: Record,
}

/// A received record as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeldRow {
    #[serde(rename = "type")]
    kind: RecordType,
    about: Option<RecordId>,
    rv: Seq,
    epoch: EpochId,
    buckets: BTreeMap<Bucket, u64>,
    body: RecordBody,
}

impl Held {
    pub(super) fn row(&self) -> HeldRow {
        HeldRow {
            kind: self.record.kind.clone(),
            about: self.record.about,
            rv: self.rv,
            epoch: self.epoch,
            buckets: self.buckets.clone(),
            body: self.record.body(None, self.flags.clone()),
        }
    }

    pub(super) fn read(row: HeldRow) -> Result<Self, Damaged> {
        let record = Record::read(row.kind, row.about, &row.body, Meta::default())?;
        Ok(Self {
            rv: row.rv,
            epoch: row.epoch,
            flags: row.body.flags,
            buckets: row.buckets,
            record,
        })
    }
}

impl Replica {
    /// Puts a record into a bucket, or notes that it was sent again.
    pub(super) fn join_bucket(&mut self, rec: RecordId, bucket: &Bucket) {
        let Some(entering) = self.places.get(bucket).map(|place| place.entering) else { return };
        let Some(held) = self.held.get_mut(&rec) else { return };
        held.buckets.insert(bucket.clone(), entering);
        self.dirty.held.insert(rec);
        self.index.members.entry(bucket.clone()).or_default().insert(rec);
        self.index.orphans.remove(&rec);
    }

    /// Takes a record out of a bucket; without any bucket it is hidden, and erased when nothing of it is pending.
    pub(super) fn leave_bucket(&mut self, rec: RecordId, bucket: &Bucket) {
        let Some(held) = self.held.get_mut(&rec) else { return };
        if held.buckets.remove(bucket).is_none() {
            return;
        }
        if held.buckets.is_empty() {
            self.index.orphans.insert(rec);
        }
        self.dirty.held.insert(rec);
        self.changed.insert(rec);
        if let Some(members) = self.index.members.get_mut(bucket) {
            members.remove(&rec);
            if members.is_empty() {
                self.index.members.remove(bucket);
            }
        }
    }

    pub(super) fn members(&self, bucket: &Bucket) -> impl Iterator<Item = RecordId> + '_ {
        self.index.members.get(bucket).into_iter().flatten().copied()
    }

    pub(super) fn set_phase(&mut self, bucket: &Bucket, phase: Phase) {
        if let Some(place) = self.places.get_mut(bucket)
            && place.phase != phase
        {
            place.phase = phase;
            self.dirty.places.insert(bucket.clone());
        }
    }

    /// Asks for a bucket anew; what is held of it stays until the last page has come.
    pub(super) fn fetch_anew(&mut self, bucket: &Bucket) {
        if self.places.get(bucket).is_some_and(|place| place.phase != Phase::Leaving) {
            self.set_phase(bucket, Phase::Anew);
        }
    }

    /// Hides a bucket that is not granted any more.
    pub(super) fn hide_bucket(&mut self, bucket: &Bucket) {
        let Some(place) = self.places.get(bucket) else { return };
        if place.phase == Phase::Leaving {
            return;
        }
        self.set_phase(bucket, Phase::Leaving);
        let members: Vec<RecordId> = self.members(bucket).collect();
        self.changed.extend(members);
        self.notice(Notice::Left(bucket.clone()));
    }

    /// Erases what is hidden and waits for no result and for no blob any more.
    pub(super) fn settle_purges(&mut self) {
        let leaving: Vec<Bucket> = self
            .places
            .iter()
            .filter(|(_, place)| place.phase == Phase::Leaving)
            .map(|(bucket, _)| bucket.clone())
            .collect();
        if leaving.is_empty() && self.index.orphans.is_empty() {
            return;
        }
        let hidden_pending = self.hidden_pending();
        let orphans: Vec<RecordId> = self
            .index
            .orphans
            .iter()
            .filter(|rec| !hidden_pending.contains(rec))
            .copied()
            .collect();
        let purge = !leaving.is_empty() && hidden_pending.is_empty();
        if orphans.is_empty() && !purge {
            return;
        }
        self.state.round += 1;
        self.dirty.state = true;
        let mut erased: BTreeSet<RecordId> = orphans.iter().copied().collect();
        for rec in orphans {
            self.erase(rec);
        }
        if purge {
            for bucket in &leaving {
                self.purge(bucket, &mut erased);
            }
            self.seal_texts(erased, &leaving);
        } else {
            self.seal_texts(erased, &[]);
        }
        self.vacuum(purge);
    }

    /// The hidden records with a change that has no result yet, or with a blob that the server is still to get.
    fn hidden_pending(&self) -> BTreeSet<RecordId> {
        if planted("purge-before-acknowledgement") {
            return BTreeSet::new();
        }
        let orders = self.index.unanswered.iter().filter_map(|n| self.index.order_at.get(n));
        let recs = orders.filter_map(|order| self.own.get(order)).map(|own| own.meta.rec);
        let photos = self.recs_with_unsent_blobs().filter(|_| !planted("purge-before-media"));
        recs.chain(photos).filter(|rec| !self.is_shown(*rec)).collect()
    }

    fn purge(&mut self, bucket: &Bucket, erased: &mut BTreeSet<RecordId>) {
        let members: Vec<RecordId> = self.members(bucket).collect();
        for rec in members {
            self.leave_bucket(rec, bucket);
            if self.index.orphans.contains(&rec) {
                self.erase(rec);
                erased.insert(rec);
            }
        }
        self.places.remove(bucket);
        self.dirty.places.insert(bucket.clone());
        let purged = Purged { bucket: bucket.clone(), at: self.state.head };
        self.state.erasing.push((self.state.round, purged));
    }

    fn erase(&mut self, rec: RecordId) {
        self.held.remove(&rec);
        self.index.orphans.remove(&rec);
        self.dirty.held.insert(rec);
        self.changed.insert(rec);
    }

    /// Of erased records, and of those begun in or about what was erased, only the user's own frozen texts stay,
    /// until they are durable.
    fn seal_texts(&mut self, mut erased: BTreeSet<RecordId>, left: &[Bucket]) {
        let mut sealed = Vec::new();
        for (order, own) in &self.own {
            let begun_there = match own.change.as_ref().and_then(Change::home) {
                Some(Home::In(bucket)) => left.contains(bucket),
                Some(Home::About(subject)) => erased.contains(subject),
                None => false,
            };
            if self.held.contains_key(&own.meta.rec) {
                continue;
            }
            if begun_there {
                erased.insert(own.meta.rec);
            }
            if erased.contains(&own.meta.rec) && !own.meta.sealed {
                sealed.push(*order);
            }
        }
        for order in sealed {
            if let Some(own) = self.own.get_mut(&order) {
                own.meta.sealed = true;
            }
            self.dirty.own.insert(order);
            self.hide(order);
            if planted("purge-before-acknowledgement") {
                self.drop_unsent(order);
            }
        }
    }

    /// What was deleted before this round cannot be read any more.
    pub(super) fn vacuumed(&mut self, round: u64) {
        let (done, open): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.state.erasing).into_iter().partition(|(r, _)| *r <= round);
        self.state.erasing = open;
        if !done.is_empty() {
            self.state.purged.extend(done.into_iter().map(|(_, purged)| purged));
            self.dirty.state = true;
        }
    }
}
