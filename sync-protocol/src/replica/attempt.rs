//! Building a request: within every limit, saved before it is sent, the same until an answer has been applied.

use super::state::{Attempt, Phase};
use super::{Chance, Output, Replica, SUMS_EVERY_MS};
use crate::clock::{ClockReading, Instant};
use crate::id::{AttemptId, Bucket};
use crate::wire::{
    BUCKETS_MAX, OPEN_MAX, PURGED_MAX, PUSH_CHANGES_MAX, Push, SnapToken, SyncRequest, VERSION,
    Want,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What a change costs in a request beside its text: a comma, and its stamp.
const PER_CHANGE_BYTES: usize = 64;
/// The longest name of a run of the monotonic clock, in bytes.
const BOOT_BYTES_MAX: usize = 64;

/// The bytes of records that an answer may hold while buckets are being paged: 1 MiB, some 100 KiB as they travel.
const PAGING_BYTES: usize = 1024 * 1024;

impl Replica {
    /// Sends the pending attempt, or makes one.
    pub(super) fn send(&mut self, clock: &ClockReading, chance: &mut dyn Chance) {
        let attempt = self.attempt.take().unwrap_or_else(|| {
            self.dirty.attempt = true;
            self.new_attempt(AttemptId(chance.uuid()), clock)
        });
        let body = self.body(&attempt, clock);
        self.run.in_flight = Some(attempt.id);
        self.run.wanted = false;
        self.outputs.push(Output::Send { attempt: attempt.id, body });
        self.attempt = Some(attempt);
    }

    fn new_attempt(&self, id: AttemptId, clock: &ClockReading) -> Attempt {
        let (have, snap) = self.named_buckets();
        let mut attempt = Attempt {
            id,
            lease: self.state.lease,
            epoch: self.state.epoch,
            cursor: self.state.cursor.clone(),
            have,
            snap,
            from: self.first_unanswered(),
            count: 0,
            top: self.state.next_n - 1,
            purged: self.state.purged.iter().take(PURGED_MAX).cloned().collect(),
            open: self.open_quarantined().take(OPEN_MAX).collect(),
            blobs: self.blobs_to_ask(),
            sums: self.sums_wanted(clock),
        };
        attempt.count = self.fitting(&attempt);
        attempt
    }

    /// Without a cursor the server takes every bucket as not held, so none is named.
    fn named_buckets(&self) -> (Vec<Bucket>, Vec<SnapToken>) {
        let (mut have, mut snap) = (Vec::new(), Vec::new());
        if self.state.cursor.is_some() {
            for (bucket, place) in self.places.iter().take(BUCKETS_MAX) {
                match &place.phase {
                    Phase::Held => have.push(bucket.clone()),
                    Phase::Paging { token } => {
                        snap.push(SnapToken { bucket: bucket.clone(), token: Some(token.clone()) });
                    }
                    Phase::Anew | Phase::Leaving => {}
                }
            }
        }
        (have, snap)
    }

    /// Whether there is anything to compare with the server's sums.
    pub(super) fn has_sums(&self) -> bool {
        let held = self.places.values().any(|place| place.phase == Phase::Held);
        held && self.state.cursor.is_some()
    }

    /// Once a day by the server's clock as the tablet estimates it, and when a bucket has been entered.
    fn sums_wanted(&self, clock: &ClockReading) -> bool {
        let now = clock.now.0.plus(self.state.offset_ms);
        let old = self.state.sums_at.is_none_or(|at| now.since(at) >= SUMS_EVERY_MS);
        self.has_sums() && (self.state.sums_due || old)
    }

    /// How many changes from `from` on fit into the limits of a request; the first always does.
    fn fitting(&self, attempt: &Attempt) -> usize {
        let widest = ClockReading {
            now: Instant::default(),
            mono: i64::MIN,
            boot: "b".repeat(BOOT_BYTES_MAX),
        };
        let count_max = self.state.push_max.min(self.state.limits.max_push).min(PUSH_CHANGES_MAX);
        let mut room = self.state.limits.max_body.saturating_sub(self.body(attempt, &widest).len());
        let mut count = 0;
        for n in attempt.from..self.state.next_n {
            let Some(text) = self.text_at(n) else { break };
            let cost = text.len() + PER_CHANGE_BYTES;
            if count == count_max || (cost > room && count > 0) {
                break;
            }
            room = room.saturating_sub(cost);
            count += 1;
        }
        count
    }

    fn text_at(&self, n: i64) -> Option<&str> {
        self.index.order_at.get(&n).and_then(|order| self.own.get(order)?.text.as_deref())
    }

    fn body(&self, attempt: &Attempt, clock: &ClockReading) -> String {
        let end = attempt.from.saturating_add(i64::try_from(attempt.count).unwrap_or(i64::MAX));
        let offered =
            (attempt.from..end).filter_map(|n| self.own.get(self.index.order_at.get(&n)?));
        let mut changes: Vec<&RawValue> = Vec::new();
        let mut stamps = BTreeMap::new();
        for own in offered {
            let Some(text) = &own.text else { continue };
            changes.push(
                serde_json::from_str(text)
                    .expect("a frozen text was read as JSON when it was kept"),
            );
            if own.meta.stamped {
                stamps.insert(own.meta.id, own.meta.t_eff);
            }
        }
        let request = SyncRequest {
            v: VERSION,
            replica: self.state.replica,
            attempt: attempt.id,
            lease: attempt.lease,
            clock: clock.clone(),
            epoch: attempt.epoch,
            cursor: attempt.cursor.clone(),
            have: attempt.have.clone(),
            snap: attempt.snap.clone(),
            push: Push { from: attempt.from, changes, stamps },
            purged: attempt.purged.clone(),
            open: attempt.open.clone(),
            blobs: attempt.blobs.clone(),
            want: Want {
                max_bytes: (!attempt.snap.is_empty()).then_some(PAGING_BYTES),
                sums: attempt.sums,
            },
        };
        serde_json::to_string(&request)
            .expect("a request has string keys and no failing serialiser")
    }

    /// The push was too much: the next try of the same attempt carries half of it, at last none but the pull.
    pub(super) fn halve(&mut self) {
        let Some(attempt) = &mut self.attempt else { return };
        self.state.push_max = if attempt.count == 0 { 1 } else { attempt.count / 2 };
        self.dirty.state = true;
        let mut attempt = attempt.clone();
        attempt.blobs.truncate(attempt.blobs.len() / 2);
        let from = self.first_unanswered();
        let empty = Attempt { from, count: 0, ..attempt };
        let count = self.fitting(&empty);
        self.attempt = Some(Attempt { count, ..empty });
        self.dirty.attempt = true;
    }

    /// The pull begins again, with everything kept; the attempt stays the same one.
    pub(super) fn restart_pull(&mut self) {
        self.state.cursor = None;
        self.dirty.state = true;
        if let Some(attempt) = &mut self.attempt {
            attempt.cursor = None;
            attempt.have.clear();
            attempt.snap.clear();
            attempt.sums = false;
            self.dirty.attempt = true;
        }
    }
}
