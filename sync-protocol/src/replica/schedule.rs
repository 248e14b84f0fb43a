//! When the next attempt is made: by level, not by edge; full jitter, a budget for retries, and what the server asks.

use super::state::Phase;
use super::{
    BACKOFF_BASE_MS, BACKOFF_CAP_MS, Chance, IDLE_SYNC_MS, Output, RETRY_AFTER_MAX_MS, Replica,
};
use crate::clock::ClockReading;
use crate::id::AttemptId;

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
    synced_at: Option<i64>,
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
            synced_at: None,
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
        let idle_until =
            self.run.synced_at.map_or(clock.mono, |at| at.saturating_add(IDLE_SYNC_MS));
        let earliest = self.run.asked_until.max(self.run.backoff_until);
        let at = if self.calls_for_sync() { earliest } else { earliest.max(idle_until) };
        if clock.mono >= at {
            self.send(clock, chance);
        } else {
            self.outputs.push(Output::Wake { at_mono: at });
        }
    }

    /// Whether something waits for a round with the server; not, when only the clock may bring the next one.
    pub fn calls_for_sync(&self) -> bool {
        let unfinished = |phase: &Phase| matches!(phase, Phase::Paging { .. } | Phase::Anew);
        self.run.wanted
            || self.attempt.is_some()
            || !self.index.unanswered.is_empty()
            || !self.state.purged.is_empty()
            || self.places.values().any(|place| unfinished(&place.phase))
            || (self.state.sums_due && self.has_sums())
            || self.blobs_call()
    }

    /// An attempt came to nothing: wait at random, longer each time.
    pub(super) fn back_off(
        &mut self,
        retry_after_ms: Option<i64>,
        clock: &ClockReading,
        chance: &mut dyn Chance,
    ) {
        let bound = BACKOFF_CAP_MS.min(BACKOFF_BASE_MS << self.run.failures.min(EXPONENT_MAX));
        self.run.failures = self.run.failures.saturating_add(1);
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
        self.run.synced_at = Some(clock.mono);
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
