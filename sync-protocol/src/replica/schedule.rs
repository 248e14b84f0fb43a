//! When the next attempt is made: by level, not by edge; full jitter, a budget for retries, and what the server asks.
//!
//! Syncs that nothing calls for are made at a slot of the device's own in every quarter of an hour of the server's
//! clock, so that the tablets of a city never come together, whatever once let them start together.

use super::state::Phase;
use super::{
    BACKOFF_BASE_MS, BACKOFF_CAP_MS, Chance, IDLE_SYNC_MS, Output, RETRY_AFTER_MAX_MS, Replica,
};
use crate::clock::ClockReading;
use crate::id::{AttemptId, DeviceId};
use crate::value::hash_of;

/// Ten retries, in tenths: a success earns one tenth, a retry costs ten.
const BUDGET_MAX: u32 = 100;
const BUDGET_PER_RETRY: u32 = 10;
/// Beyond this many failures in a row the backoff is at its cap anyway.
const EXPONENT_MAX: u32 = 16;

/// What is not stored: it begins afresh with every opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) network: bool,
    pub(super) in_flight: Option<AttemptId>,
    /// Something calls for a sync although the outbox may be empty.
    pub(super) wanted: bool,
    /// The earliest next attempt as the server asked for it, on the monotonic clock.
    asked_until: i64,
    /// The earliest next attempt by the backoff, on the monotonic clock.
    backoff_until: i64,
    /// The next attempt that nothing calls for, on the monotonic clock.
    idle_until: i64,
    /// Nothing called for the pending attempt.
    routine: bool,
    failures: u32,
    budget: u32,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            network: false,
            in_flight: None,
            wanted: false,
            asked_until: i64::MIN,
            backoff_until: i64::MIN,
            idle_until: i64::MIN,
            routine: false,
            failures: 0,
            budget: BUDGET_MAX,
        }
    }
}

impl Replica {
    pub(super) fn network(&mut self, up: bool, clock: &ClockReading) {
        if up && !self.run.network {
            self.sync_wanted(clock);
        }
        self.run.network = up;
    }

    /// A person waits, or a network came: the backoff ends, what the server asked for stays.
    pub(super) fn sync_wanted(&mut self, clock: &ClockReading) {
        self.run.wanted = true;
        self.run.backoff_until = clock.mono;
    }

    /// Sends when something calls for it and nothing forbids it; otherwise tells when to look again.
    pub(super) fn schedule(&mut self, clock: &ClockReading, chance: &mut dyn Chance) {
        if !self.run.network || self.run.in_flight.is_some() {
            return;
        }
        let earliest = self.run.asked_until.max(self.run.backoff_until);
        let routine = !self.calls_for_sync();
        let at = if routine { earliest.max(self.run.idle_until) } else { earliest };
        if clock.mono >= at {
            self.run.routine = routine;
            self.send(clock, chance);
        } else {
            self.outputs.push(Output::Wake { at_mono: at });
        }
    }

    /// Whether something waits for a round with the server; not, when only the clock may bring the next one.
    pub fn calls_for_sync(&self) -> bool {
        let unfinished = |phase: &Phase| matches!(phase, Phase::Paging { .. } | Phase::Anew);
        self.run.wanted
            || (self.attempt.is_some() && !self.run.routine)
            || !self.index.unanswered.is_empty()
            || !self.state.purged.is_empty()
            || self.places.values().any(|place| unfinished(&place.phase))
            || (self.state.sums_due && self.has_sums())
            || self.blobs_call()
    }

    /// When the slot of this device comes next, on the monotonic clock: at the latest in [`IDLE_SYNC_MS`].
    fn next_slot(&self, clock: &ClockReading) -> i64 {
        let server_now = clock.now.0.plus(self.state.offset_ms);
        let into = server_now.0.saturating_sub(slot(self.state.identity.device));
        clock.mono.saturating_add(IDLE_SYNC_MS - into.rem_euclid(IDLE_SYNC_MS))
    }

    /// An attempt came to nothing: wait at random, longer each time; one that nobody waits for leaves its slot out.
    pub(super) fn back_off(
        &mut self,
        retry_after_ms: Option<i64>,
        clock: &ClockReading,
        chance: &mut dyn Chance,
    ) {
        let bound = BACKOFF_CAP_MS.min(BACKOFF_BASE_MS << self.run.failures.min(EXPONENT_MAX));
        self.run.failures = self.run.failures.saturating_add(1);
        if self.run.routine && self.attempt.is_some() && retry_after_ms.is_none() {
            self.run.idle_until = self.next_slot(clock);
        }
        let jitter = match self.run.budget.checked_sub(BUDGET_PER_RETRY) {
            Some(left) => {
                self.run.budget = left;
                chance.below(bound)
            }
            None => BACKOFF_CAP_MS / 2 + chance.below(BACKOFF_CAP_MS / 2),
        };
        self.run.backoff_until = clock.mono.saturating_add(jitter);
        self.wait_as_asked(retry_after_ms.unwrap_or(0), clock);
    }

    fn wait_as_asked(&mut self, retry_after_ms: i64, clock: &ClockReading) {
        self.run.asked_until =
            clock.mono.saturating_add(retry_after_ms.clamp(0, RETRY_AFTER_MAX_MS));
    }

    /// An answer was applied. Rounds that move nothing wait like failures, so that no fault makes a loop hot.
    pub(super) fn went_through(
        &mut self,
        moved: bool,
        retry_after_ms: i64,
        clock: &ClockReading,
        chance: &mut dyn Chance,
    ) {
        self.run.idle_until = self.next_slot(clock);
        self.run.budget = (self.run.budget + 1).min(BUDGET_MAX);
        if moved {
            self.run.failures = 0;
            self.run.backoff_until = clock.mono;
            self.wait_as_asked(retry_after_ms, clock);
        } else {
            self.back_off(Some(retry_after_ms), clock, chance);
        }
    }
}

/// Where the slot of a device lies in each [`IDLE_SYNC_MS`] of the server's clock.
fn slot(device: DeviceId) -> i64 {
    let hash = hash_of(device.0.as_bytes());
    let (head, _) = hash.split_first_chunk::<8>().expect("a hash has 32 bytes");
    let wide = u64::from_be_bytes(*head) % IDLE_SYNC_MS.unsigned_abs();
    i64::try_from(wide).unwrap_or(0)
}
