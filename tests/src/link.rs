//! A bad network between a client and a server on loopback: it paces, stalls, cuts, resets and loses answers.

use anyhow::{Result, ensure};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Bytes that are carried at once.
const PIECE: usize = 16 * 1024;
/// How long a connection is carried at most.
const CONNECTION_MAX: Duration = Duration::from_mins(10);

/// What becomes of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conduct {
    /// Carries so many bytes to the server, then breaks off.
    pub cut_after_bytes: Option<u64>,
    /// Breaks off after so long.
    pub cut_after: Option<Duration>,
    /// Breaks off by a reset instead of an end.
    pub reset: bool,
    /// Carries the request whole and breaks off when the answer begins to come.
    pub lose_answer: bool,
    /// Carries so many bytes to the server, then waits so long.
    pub stall: Option<(u64, Duration)>,
    /// Carries no more than this in each direction.
    pub bytes_per_second: Option<u64>,
}

impl Conduct {
    /// Carries everything.
    pub const WHOLE: Self = Self {
        cut_after_bytes: None,
        cut_after: None,
        reset: false,
        lose_answer: false,
        stall: None,
        bytes_per_second: None,
    };
}

/// The network; it ends when it is dropped.
#[derive(Debug)]
pub struct Link {
    /// Where clients connect, as `http://127.0.0.1:<port>`.
    pub url: String,
    target: Arc<Mutex<String>>,
    carried: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Link {
    /// Opens a network to the server at `target` (`http://127.0.0.1:<port>`); `conduct` is asked for each connection.
    pub async fn open(
        target: &str,
        mut conduct: impl FnMut() -> Conduct + Send + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let target = Arc::new(Mutex::new(target.to_owned()));
        let carried = Arc::new(AtomicU64::new(0));
        let (to, count) = (Arc::clone(&target), Arc::clone(&carried));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let address = to.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let (conduct, count) = (conduct(), Arc::clone(&count));
                connections.spawn(async move {
                    // A connection that fails is what this network is for.
                    drop(timeout(CONNECTION_MAX, carry(client, &address, conduct, &count)).await);
                });
            }
        });
        Ok(Self { url, target, carried, task })
    }

    /// Leads new connections to another server.
    pub fn lead_to(&self, target: &str) {
        target.clone_into(&mut self.target.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Bytes that clients have sent through it.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::SeqCst)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, target: &str, conduct: Conduct, count: &AtomicU64) -> Result<()> {
    let address: SocketAddr = target.trim_start_matches("http://").parse()?;
    let server = TcpStream::connect(address).await?;
    if conduct.reset {
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let age = conduct.cut_after.unwrap_or(CONNECTION_MAX);
    let whole = async {
        tokio::try_join!(
            requests(&mut from_client, &mut to_server, conduct, count),
            answers(&mut from_server, &mut to_client, conduct),
        )
    };
    timeout(age, whole).await??;
    Ok(())
}

/// Carries what the client sends; an error breaks off the connection.
async fn requests(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    conduct: Conduct,
    count: &AtomicU64,
) -> Result<()> {
    let mut pace = Pace::new(conduct.bytes_per_second);
    let mut stall = conduct.stall;
    let mut sent = 0;
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(to.shutdown().await?);
        }
        let room = conduct.cut_after_bytes.map_or(u64::MAX, |cut| cut.saturating_sub(sent));
        let carried = usize::try_from(room).unwrap_or(usize::MAX).min(read);
        to.write_all(piece.get(..carried).unwrap_or_default()).await?;
        let carried = u64::try_from(carried)?;
        sent += carried;
        count.fetch_add(carried, Ordering::SeqCst);
        ensure!(carried == u64::try_from(read)?, "cut");
        if let Some((_, pause)) = stall.take_if(|(after, _)| sent >= *after) {
            sleep(pause).await;
        }
        pace.wait(carried).await;
    }
}

/// Carries what the server answers.
async fn answers(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    conduct: Conduct,
) -> Result<()> {
    let mut pace = Pace::new(conduct.bytes_per_second);
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(to.shutdown().await?);
        }
        ensure!(!conduct.lose_answer, "the answer is lost");
        to.write_all(piece.get(..read).unwrap_or_default()).await?;
        pace.wait(u64::try_from(read)?).await;
    }
}

/// Lets no more than so many bytes through in a second.
struct Pace {
    bytes_per_second: Option<u64>,
    next: Instant,
}

impl Pace {
    fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, next: Instant::now() }
    }

    async fn wait(&mut self, bytes: u64) {
        let Some(rate) = self.bytes_per_second else { return };
        let micros = bytes.saturating_mul(1_000_000) / rate.max(1);
        self.next = self.next.max(Instant::now()) + Duration::from_micros(micros);
        sleep_until(self.next).await;
    }
}
