//! Watches a connection: whether a head drips, whether nothing happens at all.

use super::Bounds;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// Stands for "no head has begun".
const NONE: u64 = u64::MAX;

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Keep,
    /// It ends now.
    End,
}

/// What is known of a connection. Instants are milliseconds since it began.
#[derive(Debug)]
pub(super) struct Watch {
    began: Instant,
    calls: AtomicUsize,
    head_since: AtomicU64,
    active_at: AtomicU64,
}

impl Watch {
    /// A connection that begins now: its first head is due.
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
            calls: AtomicUsize::new(0),
            head_since: AtomicU64::new(0),
            active_at: AtomicU64::new(0),
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(NONE - 1)
    }

    /// A request has come whole; it runs until the value is dropped.
    pub(super) fn call(self: &Arc<Self>) -> Call {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.head_since.store(NONE, Ordering::SeqCst);
        Call(Arc::clone(self))
    }

    fn heard(&self) {
        let now = self.elapsed_ms();
        self.active_at.store(now, Ordering::SeqCst);
        if self.calls.load(Ordering::SeqCst) == 0 {
            let _begun_before =
                self.head_since.compare_exchange(NONE, now, Ordering::SeqCst, Ordering::SeqCst);
        }
    }

    fn said(&self) {
        self.active_at.store(self.elapsed_ms(), Ordering::SeqCst);
    }

    /// Judges the connection as it stands.
    pub(super) fn verdict(&self, bounds: Bounds) -> Verdict {
        if self.calls.load(Ordering::SeqCst) > 0 {
            return Verdict::Keep;
        }
        let now = self.elapsed_ms();
        let head_since = self.head_since.load(Ordering::SeqCst);
        let drips = head_since != NONE && past(now, head_since, bounds.head);
        let idle = past(now, self.active_at.load(Ordering::SeqCst), bounds.idle);
        if drips || idle { Verdict::End } else { Verdict::Keep }
    }
}

fn past(now: u64, since: u64, bound: Duration) -> bool {
    u128::from(now.saturating_sub(since)) >= bound.as_millis()
}

/// A call that runs.
#[derive(Debug)]
pub(super) struct Call(Arc<Watch>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.said();
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A stream that tells its watch what happens, and holds its place among the connections.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
    _place: OwnedSemaphorePermit,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, watch: Arc<Watch>, place: OwnedSemaphorePermit) -> Self {
        Self { stream, watch, _place: place }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.watch.heard();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if polled.is_ready() {
            self.watch.said();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        if polled.is_ready() {
            self.watch.said();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_sends_no_head_ends_and_one_that_idles_after_a_call_lasts() {
        let bounds = Bounds::default();
        let watch = Arc::new(Watch::begin());
        pass(9).await;
        watch.heard();
        assert_eq!(watch.verdict(bounds), Verdict::Keep);
        pass(1).await;
        assert_eq!(watch.verdict(bounds), Verdict::End, "the head still drips");
        let call = watch.call();
        pass(100).await;
        assert_eq!(watch.verdict(bounds), Verdict::Keep, "a call may take its time");
        drop(call);
        pass(74).await;
        assert_eq!(watch.verdict(bounds), Verdict::Keep);
        pass(1).await;
        assert_eq!(watch.verdict(bounds), Verdict::End, "idle for too long");
        watch.heard();
        pass(10).await;
        assert_eq!(watch.verdict(bounds), Verdict::End, "the second head drips");
    }
}
