//! Brings the service to the network: an accept loop of our own, because the bounds on connections, handshakes, heads
//! and idleness are ours.

mod tls;
mod watch;

pub use tls::{TlsError, acceptor};

use crate::extract::Peer;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use watch::{Verdict, Watch, Watched};

/// The bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once; one more is closed at once.
    pub connections_max: usize,
    /// TLS handshakes at once.
    pub handshakes_max: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How long the head of a request may take from its first byte, and a new connection to send one.
    pub head: Duration,
    /// How long a connection may be idle between requests.
    pub idle: Duration,
    /// As `idle`, while the server stops: an HTTP/2 peer that sleeps does not answer that it has understood.
    pub idle_at_stop: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_max: 12_000,
            handshakes_max: 512,
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            idle_at_stop: Duration::from_secs(2),
        }
    }
}

/// Headers that a request may have.
const HEADERS_MAX: usize = 64;
/// Bytes that hyper buffers of an HTTP/1 connection at most.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the headers of an HTTP/2 request.
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// Streams of an HTTP/2 connection at once.
const STREAMS_MAX: u32 = 64;
/// Resets that a peer may cause before the connection ends.
const RESETS_MAX: usize = 20;
/// How often an HTTP/2 peer is asked whether it is there, and how long it may take to answer.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// How long the loop rests when the system has no more descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Serves `app` until `stop`; every connection is a task in `tasks`, so that the caller can wait for the last one.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    app: Router,
    bounds: Bounds,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let connections = Arc::new(Semaphore::new(bounds.connections_max));
    let handshakes = Arc::new(Semaphore::new(bounds.handshakes_max));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&connections).try_acquire_owned() else {
            metrics::counter!("genba_connections_refused_total").increment(1);
            continue;
        };
        let connection = Connection { app: app.clone(), bounds, peer, stop: stop.clone() };
        let (tls, handshakes) = (tls.clone(), Arc::clone(&handshakes));
        tasks.spawn(async move {
            match tls {
                None => connection.run(stream, place).await,
                Some(tls) => connection.shake_hands(stream, place, &tls, handshakes).await,
            }
        });
    }
}

struct Connection {
    app: Router,
    bounds: Bounds,
    peer: SocketAddr,
    stop: CancellationToken,
}

impl Connection {
    async fn shake_hands(
        self,
        stream: TcpStream,
        place: OwnedSemaphorePermit,
        tls: &TlsAcceptor,
        handshakes: Arc<Semaphore>,
    ) {
        let Ok(turn) = handshakes.try_acquire_owned() else { return };
        let shaken = tokio::time::timeout(self.bounds.handshake, tls.accept(stream)).await;
        drop(turn);
        if let Ok(Ok(stream)) = shaken {
            self.run(stream, place).await;
        }
    }

    /// Serves one connection. `place` goes with the stream: a WebSocket keeps it after HTTP has ended.
    async fn run<S>(mut self, stream: S, place: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let watch = Arc::new(Watch::begin());
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&watch), place));
        let (app, peer) = (self.app.clone(), Peer(self.peer.ip()));
        let calls = Arc::clone(&watch);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let call = calls.call();
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            let answer = app.clone().oneshot(request);
            async move {
                let response = answer.await;
                drop(call);
                Ok::<_, Infallible>(response.unwrap_or_else(|never| match never {}))
            }
        });
        let builder = builder();
        let connection = builder.serve_connection_with_upgrades(io, service);
        tokio::pin!(connection);
        let mut stopping = false;
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.bounds.idle = self.bounds.idle_at_stop;
                    connection.as_mut().graceful_shutdown();
                }
                () = tokio::time::sleep(self.bounds.head.min(self.bounds.idle) / 4) => {
                    if watch.verdict(self.bounds) == Verdict::End {
                        return;
                    }
                }
            }
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The watch bounds heads: hyper's own timer would also end idle connections.
        .header_read_timeout(None)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(RESETS_MAX)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1);
    builder
}
