//! How much of each kind of work runs at once, so that one kind cannot sink the others.

use crate::problem::ApiError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls that prove identity, at once.
pub const AUTH_AT_ONCE: usize = 64;
/// Syncs at once.
pub const SYNC_AT_ONCE: usize = 256;
/// Calls that send photos or video, at once; each may take two steps of memory, and more from what all share.
pub const MEDIA_AT_ONCE: usize = 256;
/// Photos and video that are being read, at once, each to its last byte.
pub const FETCH_AT_ONCE: usize = 128;
/// Everything else at once.
pub const REST_AT_ONCE: usize = 256;
/// How long a call waits for its turn before it is told to come later.
pub const WAIT_MAX: Duration = Duration::from_secs(1);
/// The least and the most that a refused call is told to wait, in milliseconds.
const RETRY_MS: (u64, u64) = (1_000, 3_000);

/// The kind of work that a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// None to speak of, or waiting: never refused.
    Free,
    /// Proving identity.
    Auth,
    /// Syncing.
    Sync,
    /// Sending photos or video.
    Media,
    /// Reading photos or video.
    Fetch,
    /// Everything else.
    Rest,
}

/// The semaphores.
#[derive(Debug)]
pub struct Bulkheads {
    auth: Arc<Semaphore>,
    sync: Arc<Semaphore>,
    media: Arc<Semaphore>,
    fetch: Arc<Semaphore>,
    rest: Arc<Semaphore>,
}

impl Default for Bulkheads {
    fn default() -> Self {
        Self {
            auth: Arc::new(Semaphore::new(AUTH_AT_ONCE)),
            sync: Arc::new(Semaphore::new(SYNC_AT_ONCE)),
            media: Arc::new(Semaphore::new(MEDIA_AT_ONCE)),
            fetch: Arc::new(Semaphore::new(FETCH_AT_ONCE)),
            rest: Arc::new(Semaphore::new(REST_AT_ONCE)),
        }
    }
}

impl Bulkheads {
    /// The semaphore of a gate.
    pub const fn of(&self, gate: Gate) -> Option<&Arc<Semaphore>> {
        match gate {
            Gate::Free => None,
            Gate::Auth => Some(&self.auth),
            Gate::Sync => Some(&self.sync),
            Gate::Media => Some(&self.media),
            Gate::Fetch => Some(&self.fetch),
            Gate::Rest => Some(&self.rest),
        }
    }

    /// Waits for a turn, at most [`WAIT_MAX`]; `chance` spreads the return of those who are refused.
    pub async fn enter(
        &self,
        gate: Gate,
        chance: impl FnOnce(u64) -> u64,
    ) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
        let Some(semaphore) = self.of(gate) else { return Ok(None) };
        match tokio::time::timeout(WAIT_MAX, Arc::clone(semaphore).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) => Err(ApiError::NotReady),
            Err(_) => {
                let retry_after_ms = RETRY_MS.0 + chance(RETRY_MS.1 - RETRY_MS.0);
                Err(ApiError::Overloaded { retry_after_ms })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_too_long_is_told_to_come_later() {
        let bulkheads = Bulkheads::default();
        let mut held = Vec::new();
        for _ in 0..SYNC_AT_ONCE {
            held.push(bulkheads.enter(Gate::Sync, |_| 0).await.expect("a turn"));
        }
        let refused = bulkheads.enter(Gate::Sync, |_| 500).await.expect_err("no turn left");
        assert!(matches!(refused, ApiError::Overloaded { retry_after_ms: 1_500 }));
        assert!(bulkheads.enter(Gate::Rest, |_| 0).await.is_ok(), "other work goes on");
        held.pop();
        assert!(bulkheads.enter(Gate::Sync, |_| 0).await.is_ok());
    }
}
