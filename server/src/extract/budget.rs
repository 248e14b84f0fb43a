//! Reads a body before its call gets a turn: who sends slowly keeps nobody waiting, and all bodies together are bounded.

use super::body::{BodyRule, too_large};
use crate::problem::ApiError;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Bytes of all bodies that are being read or worked on: 256 MiB.
pub const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How long a body may pause.
const STALL_MAX: Duration = Duration::from_secs(30);
/// How long a body may take that comes faster than [`BYTES_PER_SECOND_MIN`].
const GRACE: Duration = Duration::from_mins(1);
/// The slowest pace of a body after its grace: 1 KiB a second.
const BYTES_PER_SECOND_MIN: usize = 1024;
/// What a call whose body finds no room is told to wait, in milliseconds.
const FULL_RETRY_MS: u64 = 2_000;
const KIB: usize = 1024;

/// The room that all bodies share.
#[derive(Debug)]
pub struct Bodies(Arc<Semaphore>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BODIES_BYTES_MAX / KIB)))
    }
}

/// A body that was read, with the room that it takes until its call ends.
#[derive(Debug)]
pub struct Held {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The room; dropped, it is given back.
    pub room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Reads a body within the bounds of its route.
    pub async fn read(
        &self,
        headers: &HeaderMap,
        mut body: Body,
        rule: BodyRule,
    ) -> Result<Held, ApiError> {
        const WHAT: &str = "the body";
        let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let told = told.and_then(|text| text.parse::<usize>().ok()).unwrap_or_default();
        if told > rule.wire_bytes_max() {
            return Err(too_large(rule, WHAT));
        }
        let began = Instant::now();
        let mut held = Held { bytes: Vec::new(), room: None };
        loop {
            let frame = tokio::time::timeout(STALL_MAX, body.frame()).await;
            match frame.map_err(|_| ApiError::bad_body("the body stalled"))? {
                None => return Ok(held),
                Some(Err(_)) => return Err(ApiError::bad_body("the body broke off")),
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    if held.bytes.len() + bytes.len() > rule.wire_bytes_max() {
                        return Err(too_large(rule, WHAT));
                    }
                    self.take(&mut held, bytes.len())?;
                    held.bytes.extend_from_slice(&bytes);
                    if crawls(held.bytes.len(), began.elapsed()) {
                        return Err(ApiError::bad_body("the body came too slowly"));
                    }
                }
            }
        }
    }

    /// Takes room for `more` bytes, in whole KiB.
    fn take(&self, held: &mut Held, more: usize) -> Result<(), ApiError> {
        let full = ApiError::Overloaded { retry_after_ms: FULL_RETRY_MS };
        let has = held.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let needed = (held.bytes.len() + more).div_ceil(KIB).saturating_sub(has);
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.0).try_acquire_many_owned(needed) else { return Err(full) };
        match &mut held.room {
            Some(before) => before.merge(room),
            none => *none = Some(room),
        }
        Ok(())
    }
}

/// Whether a body is slower than it may be.
fn crawls(bytes: usize, elapsed: Duration) -> bool {
    let seconds = usize::try_from(elapsed.as_secs()).unwrap_or(usize::MAX);
    elapsed > GRACE && bytes < seconds.saturating_mul(BYTES_PER_SECOND_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_be_slow_and_not_crawl() {
        assert!(!crawls(1, GRACE));
        assert!(!crawls(100 * KIB, Duration::from_secs(100)));
        assert!(crawls(100 * KIB - 1, Duration::from_secs(100)));
    }

    #[tokio::test]
    async fn bodies_share_one_room_and_give_it_back() {
        let bodies = Bodies(Arc::new(Semaphore::new(2)));
        let read = async |bytes: usize| {
            bodies.read(&HeaderMap::new(), Body::from(vec![b' '; bytes]), BodyRule::Small).await
        };
        let first = read(2 * KIB).await.expect("room for both KiB");
        let refused = read(1).await.expect_err("no room");
        assert!(matches!(refused, ApiError::Overloaded { .. }));
        drop(first);
        assert_eq!(read(KIB + 1).await.expect("room again").bytes.len(), KIB + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_named() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, BadEnd>>());
        let read = Bodies::default().read(&HeaderMap::new(), never, BodyRule::Small).await;
        assert_eq!(read.expect_err("stalled").to_string(), "bad body: the body stalled");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("never")]
    struct BadEnd;
}
