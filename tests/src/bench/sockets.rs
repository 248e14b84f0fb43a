//! Idle live sockets: what each costs, and how fast one poke reaches them all, against a bare broadcast.

use super::author::Author;
use super::broadcast::Bare;
use super::client::{Tablet, http};
use super::process::Server;
use super::pull::at;
use super::push::Engine;
use super::scene::{Scene, now};
use super::table::{Line, Target};
use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use serde_json::value::RawValue;
use std::time::{Duration, Instant};
use storage::testing::Folder;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// What a connected socket needs to come to rest.
const REST: Duration = Duration::from_secs(2);
/// Between two pokes.
const PAUSE: Duration = Duration::from_millis(300);
/// When a frame counts as lost.
const LOST: Duration = Duration::from_secs(10);
/// Bytes of the buffer in which a client reads.
const READ_BUFFER_BYTES: usize = 1_024;

/// Measures.
pub async fn run(quick: bool) -> Result<Vec<Line>> {
    let (count, pokes) = if quick { (200, 5) } else { (2_000, 40) };
    let folder = Folder::new("bench")?;
    let database = Engine::Sqlite.database(&folder, "genba.db").await?;
    let scene =
        Scene::prepare(&database, count + 1, |n| ("station:s".to_owned(), n < count)).await?;
    let server = Server::start(folder.path(), &database, &http()?).await?;
    let (editor, holders) = scene.people.split_last().context("an editor")?;
    let mut tablet = Tablet::new(&scene, editor, &server.url)?;
    tablet.enter().await?;
    let mut author = Author::new(editor.clone(), 9, now());
    let before = server.resident_kib()?;
    let tokens = holders.iter().map(|person| scene.token(person)).collect::<Result<Vec<_>>>()?;
    let mut sockets = Sockets::open(&server.url, "/v1/live", &tokens).await?;
    tokio::time::sleep(REST).await;
    let growth = server.resident_kib()?.saturating_sub(before);
    sockets.forget();
    let mut poked = Vec::new();
    for _ in 0..pokes {
        let (change, _) = author.create(20);
        tablet.call(&[RawValue::from_string(change.freeze().text().to_owned())?]).await?;
        poked.extend(sockets.spread_ms().await?);
        tokio::time::sleep(PAUSE).await;
    }
    drop(sockets);
    server.stop()?;

    let mut bare = Bare::start()?;
    let mut sockets = Sockets::open(&bare.url, "/", &tokens).await?;
    tokio::time::sleep(REST).await;
    let mut broadcast = Vec::new();
    for n in 0..pokes {
        bare.say(&format!(r#"{{"poke":{n}}}"#))?;
        broadcast.extend(sockets.spread_ms().await?);
        tokio::time::sleep(PAUSE).await;
    }
    drop(sockets);
    bare.stop()?;

    poked.sort_by(f64::total_cmp);
    broadcast.sort_by(f64::total_cmp);
    let count = u32::try_from(count)?;
    #[expect(clippy::cast_precision_loss, reason = "a count of KiB")]
    let each = growth as f64 / f64::from(count);
    Ok(vec![
        Line::new(format!("{count} idle live sockets, each"), each, "KiB")
            .target(Target::AtMost(32.0)),
        Line::new(
            format!("a poke to {count} sockets, p99 after the first"),
            at(&poked, 0.99),
            "ms",
        )
        .against(at(&broadcast, 0.99))
        .target(Target::RatioAtMost(2.0)),
        Line::new(format!("a poke to {count} sockets, p50 after the first"), at(&poked, 0.5), "ms")
            .against(at(&broadcast, 0.5)),
    ])
}

/// Open sockets whose frames are timed and thrown away.
struct Sockets {
    frames: mpsc::UnboundedReceiver<Instant>,
    count: usize,
    _readers: JoinSet<()>,
}

impl Sockets {
    async fn open(url: &str, path: &str, tokens: &[String]) -> Result<Self> {
        let (send, frames) = mpsc::unbounded_channel();
        let mut readers = JoinSet::new();
        let address = url.trim_start_matches("http://");
        let config =
            WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES).write_buffer_size(0);
        for token in tokens {
            let mut request = format!("ws://{address}{path}").into_client_request()?;
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
            let stream = TcpStream::connect(address).await?;
            let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
            let send = send.clone();
            readers.spawn(async move {
                let mut socket = socket;
                while let Some(Ok(message)) = socket.next().await {
                    if matches!(message, Message::Text(_)) && send.send(Instant::now()).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { frames, count: tokens.len(), _readers: readers })
    }

    /// Throws away the frames that have come so far: the first poke of each socket.
    fn forget(&mut self) {
        while self.frames.try_recv().is_ok() {}
    }

    /// Waits for one frame of every socket: milliseconds after the first of them.
    async fn spread_ms(&mut self) -> Result<Vec<f64>> {
        let mut heard = Vec::with_capacity(self.count);
        while heard.len() < self.count {
            let frame = tokio::time::timeout(LOST, self.frames.recv()).await;
            heard.push(frame.context("a frame was lost")?.context("every socket ended")?);
        }
        let first = heard.iter().min().copied().context("a frame")?;
        Ok(heard.iter().map(|at| at.duration_since(first).as_secs_f64() * 1e3).collect())
    }
}
