//! The body of a call as it comes: bounded in pauses and pace, not in memory.

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use std::time::Duration;
use tokio::time::Instant;

/// How long a body may pause.
pub(super) const STALL_MAX: Duration = Duration::from_secs(30);
/// Over how much waiting the pace is measured.
pub(super) const PACE_WINDOW: Duration = Duration::from_mins(1);
/// How many bytes must come within a window: 1 KiB a second.
pub(super) const WINDOW_BYTES_MIN: usize = 60 * 1024;
/// What is read of a body that is not wanted, so that its sender hears why.
const LINGER_BYTES_MAX: usize = 1024 * 1024;
/// How long that may take.
const LINGER_MAX: Duration = Duration::from_secs(1);

/// Why a body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The connection broke.
    Broke,
    /// Nothing came for [`STALL_MAX`].
    Stalled,
    /// Less than [`WINDOW_BYTES_MIN`] came in [`PACE_WINDOW`].
    Crawled,
}

/// A body as it comes. Only waiting for it counts; what the server takes to store does not.
#[derive(Debug)]
pub(super) struct Inflow {
    body: Body,
    since: Instant,
    window_waited: Duration,
    window_bytes: usize,
}

impl Inflow {
    pub(super) fn new(body: Body) -> Self {
        Self { body, since: Instant::now(), window_waited: Duration::ZERO, window_bytes: 0 }
    }

    /// Says that waiting begins now: what was waited before was not for the body.
    pub(super) fn begin(&mut self) {
        self.since = Instant::now();
    }

    /// Whether nothing comes; waits for the first bytes where the head does not tell.
    pub(super) async fn is_empty(&mut self) -> bool {
        self.begin();
        self.body.is_end_stream() || matches!(self.next().await, Ok(None))
    }

    /// The next bytes; `None` at the end. May be dropped while it waits and called again.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Cut> {
        loop {
            let deadline = self.since + STALL_MAX;
            let frame = tokio::time::timeout_at(deadline, self.body.frame()).await;
            let frame = frame.map_err(|_| Cut::Stalled)?;
            self.window_waited += self.since.elapsed();
            self.begin();
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(Cut::Broke),
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    self.pace(bytes.len())?;
                    if !bytes.is_empty() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    fn pace(&mut self, bytes: usize) -> Result<(), Cut> {
        self.window_bytes += bytes;
        if self.window_waited >= PACE_WINDOW {
            if self.window_bytes < WINDOW_BYTES_MIN {
                return Err(Cut::Crawled);
            }
            self.window_waited = Duration::ZERO;
            self.window_bytes = 0;
        }
        Ok(())
    }

    /// Reads a little of what is not wanted: a connection that is closed with bytes unread loses the answer.
    pub(super) async fn linger(mut self) {
        let drain = async {
            let mut bytes = 0;
            while let Ok(Some(more)) = self.next().await {
                bytes += more.len();
                if bytes > LINGER_BYTES_MAX {
                    return;
                }
            }
        };
        // A sender that goes on sending learns of the refusal when the connection closes.
        let _given_up = tokio::time::timeout(LINGER_MAX, drain).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::convert::Infallible;

    fn dripping(bytes: usize, pause: Duration) -> Inflow {
        Inflow::new(Body::from_stream(stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((Ok::<_, Infallible>(vec![0; bytes]), ()))
        })))
    }

    async fn outcome(mut inflow: Inflow, frames: usize) -> Result<(), Cut> {
        for _ in 0..frames {
            inflow.next().await?;
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_has_two_sides() {
        let short = STALL_MAX.saturating_sub(Duration::from_millis(1));
        assert_eq!(outcome(dripping(WINDOW_BYTES_MIN, short), 10).await, Ok(()));
        let long = STALL_MAX + Duration::from_millis(1);
        assert_eq!(outcome(dripping(WINDOW_BYTES_MIN, long), 1).await, Err(Cut::Stalled));
    }

    #[tokio::test(start_paused = true)]
    async fn the_pace_has_two_sides() {
        let second = Duration::from_secs(1);
        assert_eq!(outcome(dripping(1_024, second), 200).await, Ok(()));
        assert_eq!(outcome(dripping(1_023, second), 200).await, Err(Cut::Crawled));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_takes_for_itself_counts_not() {
        let mut inflow = dripping(1, Duration::from_secs(1));
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_mins(1)).await;
            inflow.begin();
            assert!(inflow.next().await.is_ok());
        }
    }
}
