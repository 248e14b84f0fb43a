//! News from the server: the live socket, and long polling where a network does not let it through.

use crate::chance::OsChance;
use crate::clock::Clock;
use crate::error::TabletError;
use crate::http::Api;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Upgraded;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use sync_protocol::id::Seq;
use sync_protocol::replica::Chance as _;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Bytes of a message or a frame.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// A socket that says nothing for so long is taken as gone; the server pings every 20 seconds.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// The waits between two tries: doubled from the first to the last.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// A background task that says when there is something new. It ends when this is dropped.
#[derive(Debug)]
pub struct News {
    pokes: mpsc::Receiver<Seq>,
    task: AbortHandle,
}

#[derive(Deserialize)]
struct Poke {
    poke: Seq,
}

impl News {
    /// Listens from `after` on.
    pub fn listen(api: Api, clock: Arc<dyn Clock>, after: Seq) -> Self {
        // A poke says that there is something new, so one that waits stands for all that follow.
        let (sender, pokes) = mpsc::channel(1);
        let task = tokio::spawn(run(api, clock, after, sender)).abort_handle();
        Self { pokes, task }
    }

    /// Whether there has been news, without waiting.
    pub fn heard(&mut self) -> bool {
        self.pokes.try_recv().is_ok()
    }

    /// Waits for the next news.
    pub async fn next(&mut self) -> Option<Seq> {
        self.pokes.recv().await
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(api: Api, clock: Arc<dyn Clock>, mut after: Seq, pokes: mpsc::Sender<Seq>) {
    let mut wait = RETRY_MIN;
    while !pokes.is_closed() {
        let heard = match connect(&api, clock.as_ref()).await {
            Ok(socket) => relay(socket, &mut after, &pokes).await,
            Err(_) => poll(&api, clock.as_ref(), &mut after, &pokes).await,
        };
        wait = if heard { RETRY_MIN } else { (wait * 2).min(RETRY_MAX) };
        tokio::time::sleep(wait.mul_f64(jitter())).await;
    }
}

/// Between one half and one, so that tablets do not come back all at once.
fn jitter() -> f64 {
    let drawn = u32::try_from(OsChance.bits() >> 96).unwrap_or(0);
    0.5 + f64::from(drawn) / f64::from(u32::MAX) / 2.0
}

async fn connect(api: &Api, clock: &dyn Clock) -> Result<WebSocketStream<Upgraded>, TabletError> {
    let key = generate_key();
    let response = api.open_socket(&key, clock.read().now.0).await?;
    let accepted =
        response.headers().get("sec-websocket-accept").map(reqwest::header::HeaderValue::as_bytes);
    if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(TabletError::Unreadable("the live socket was not accepted".to_owned()));
    }
    let upgraded = response.upgrade().await.map_err(TabletError::Unreachable)?;
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(MESSAGE_BYTES_MAX);
    config.max_frame_size = Some(MESSAGE_BYTES_MAX);
    Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await)
}

/// Passes pokes on until the socket ends; tells whether it said anything.
async fn relay(
    mut socket: WebSocketStream<Upgraded>,
    after: &mut Seq,
    pokes: &mpsc::Sender<Seq>,
) -> bool {
    let mut heard = false;
    while let Ok(Some(Ok(message))) = tokio::time::timeout(SILENCE_MAX, socket.next()).await {
        heard = true;
        let Message::Text(text) = message else {
            // Reading answers pings; the answer leaves with the next flush.
            if socket.flush().await.is_err() {
                break;
            }
            continue;
        };
        if let Ok(Poke { poke }) = serde_json::from_str::<Poke>(&text) {
            pass_on(poke, after, pokes);
        }
    }
    heard
}

async fn poll(api: &Api, clock: &dyn Clock, after: &mut Seq, pokes: &mpsc::Sender<Seq>) -> bool {
    match api.poll(*after, clock.read().now.0).await {
        Ok(Some(poke)) => pass_on(poke, after, pokes),
        Ok(None) => {}
        Err(_) => return false,
    }
    true
}

fn pass_on(poke: Seq, after: &mut Seq, pokes: &mpsc::Sender<Seq>) {
    *after = poke.max(*after);
    // A full channel holds a poke already.
    _ = pokes.try_send(poke);
}
