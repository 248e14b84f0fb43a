//! The pull: records, leaves, enterings and pages, all applied in the transaction that also moves the cursor.

use super::holding::{Held, Place};
use super::state::{Attempt, Phase};
use super::{Notice, Replica};
use crate::id::{Bucket, EpochId, RecordId};
use crate::record::{Meta, Record};
use crate::wire::{Enter, Leave, SnapToken, SyncAnswer, WireRecord, bucket_sum};
use std::collections::BTreeSet;

impl Replica {
    /// Applies everything that an answer brings; tells whether something has to be fetched anew.
    pub(super) fn take_pull(&mut self, answer: &SyncAnswer, attempt: &Attempt) -> bool {
        let before = self.anew_count();
        self.leave_buckets(answer, attempt);
        for enter in &answer.enter {
            self.enter(enter);
        }
        for record in &answer.records {
            self.take_record(record, answer.epoch);
        }
        let sent: BTreeSet<(&Bucket, RecordId)> = answer
            .records
            .iter()
            .flat_map(|r| r.buckets.iter().map(|bucket| (bucket, r.rec)))
            .collect();
        for Leave { bucket, rec, at } in &answer.leave {
            if let Some(at) = at {
                self.state.head = self.state.head.max(*at);
            }
            if let Some(rec) = rec
                && !sent.contains(&(bucket, *rec))
            {
                self.leave_bucket(*rec, bucket);
            }
        }
        for page in &answer.snap {
            self.take_page(page);
        }
        if !answer.cursor.is_empty() {
            self.state.cursor = Some(answer.cursor.clone());
        }
        self.compare_sums(answer);
        self.dirty.state = true;
        self.anew_count() > before
    }

    fn anew_count(&self) -> usize {
        self.places.values().filter(|place| place.phase == Phase::Anew).count()
    }

    /// A request without a cursor names nothing, so its answer enters every bucket that is granted.
    fn leave_buckets(&mut self, answer: &SyncAnswer, attempt: &Attempt) {
        let mut left: BTreeSet<&Bucket> = answer
            .leave
            .iter()
            .filter(|leave| leave.rec.is_none())
            .map(|leave| &leave.bucket)
            .collect();
        let entered: BTreeSet<&Bucket> = answer.enter.iter().map(|enter| &enter.bucket).collect();
        let known: Vec<Bucket> = self.places.keys().cloned().collect();
        if attempt.cursor.is_none() {
            left.extend(known.iter().filter(|bucket| !entered.contains(bucket)));
        }
        for bucket in left {
            self.hide_bucket(bucket);
        }
    }

    /// What is held of the bucket stays, marked by the number of the entering in which it was sent.
    fn enter(&mut self, enter: &Enter) {
        let before = self.places.get(&enter.bucket);
        let place = Place {
            phase: Phase::Paging { token: enter.token.clone() },
            entering: before.map_or(0, |place| place.entering) + 1,
            expected: enter.records,
            doubted: before.is_some_and(|place| place.doubted),
        };
        if before.is_some_and(|place| place.phase == Phase::Leaving) {
            let members: Vec<RecordId> = self.members(&enter.bucket).collect();
            self.changed.extend(members);
        }
        self.places.insert(enter.bucket.clone(), place);
        self.dirty.places.insert(enter.bucket.clone());
    }

    fn take_record(&mut self, wire: &WireRecord, epoch: EpochId) {
        let named: Vec<&Bucket> = (wire.buckets.iter())
            .filter(|bucket| {
                self.places.get(bucket).is_some_and(|place| place.phase != Phase::Leaving)
            })
            .collect();
        if named.is_empty() {
            return;
        }
        self.state.head = self.state.head.max(wire.rv);
        if self.receive(wire, epoch) {
            for bucket in named {
                self.join_bucket(wire.rec, bucket);
            }
            self.changed.insert(wire.rec);
        } else {
            for bucket in named {
                self.fetch_anew(bucket);
            }
        }
    }

    /// Takes over a record; not, when it is a delta of what is not held here, or damaged.
    fn receive(&mut self, wire: &WireRecord, epoch: EpochId) -> bool {
        let held = self.held.get(&wire.rec).filter(|held| held.epoch == epoch);
        if held.is_some_and(|held| held.rv > wire.rv) {
            return true;
        }
        let whole = if wire.full {
            wire.body.clone()
        } else {
            let Some(held) = held else { return false };
            let mut record = held.record.clone();
            if record.receive(&wire.body).is_err() {
                return false;
            }
            // What the body writes is what a later opening reads: nothing else stays in memory.
            record.body(None, wire.body.flags.clone())
        };
        let Ok(record) = Record::read(wire.kind.clone(), wire.about, &whole, Meta::default())
        else {
            return false;
        };
        let buckets = self.held.get(&wire.rec).map(|held| held.buckets.clone()).unwrap_or_default();
        let held = Held { rv: wire.rv, epoch, flags: whole.flags, buckets, record };
        self.held.insert(wire.rec, held);
        self.dirty.held.insert(wire.rec);
        true
    }

    fn take_page(&mut self, page: &SnapToken) {
        let Some(place) = self.places.get(&page.bucket) else { return };
        if !matches!(place.phase, Phase::Paging { .. }) {
            return;
        }
        match &page.token {
            Some(token) => self.set_phase(&page.bucket, Phase::Paging { token: token.clone() }),
            None => self.complete(&page.bucket),
        }
    }

    /// The last page has come: what is still marked leaves the bucket.
    fn complete(&mut self, bucket: &Bucket) {
        let Some(entering) = self.places.get(bucket).map(|place| place.entering) else { return };
        let marked: Vec<RecordId> = self
            .members(bucket)
            .filter(|rec| {
                let sent = self.held.get(rec).and_then(|held| held.buckets.get(bucket));
                sent.is_none_or(|sent| *sent < entering)
            })
            .collect();
        for rec in marked {
            self.leave_bucket(rec, bucket);
        }
        self.set_phase(bucket, Phase::Held);
        self.state.sums_due = true;
        self.notice(Notice::Entered(bucket.clone()));
    }

    /// Compares the sums of the held buckets; one that differs is fetched anew, once until the next day.
    fn compare_sums(&mut self, answer: &SyncAnswer) {
        let Some(sums) = answer.sums.as_ref().filter(|_| !answer.more) else { return };
        self.state.sums_due = false;
        self.state.sums_at = Some(answer.now.0);
        for theirs in sums {
            let Some(place) = self.places.get(&theirs.bucket) else { continue };
            if place.phase != Phase::Held {
                continue;
            }
            let doubted = place.doubted;
            let ours = self.members(&theirs.bucket).filter_map(|rec| Some((rec, self.rv(rec)?)));
            let equal = bucket_sum(theirs.bucket.clone(), ours) == *theirs;
            let refetch = !equal && !doubted;
            if refetch != doubted
                && let Some(place) = self.places.get_mut(&theirs.bucket)
            {
                place.doubted = refetch;
                self.dirty.places.insert(theirs.bucket.clone());
            }
            if refetch {
                self.notice(Notice::Differs(theirs.bucket.clone()));
                self.fetch_anew(&theirs.bucket);
            }
        }
    }
}
