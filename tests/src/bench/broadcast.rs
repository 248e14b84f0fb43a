//! A bare broadcast: the least that a WebSocket server can be, in a process of its own like the server.

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Receiver, Sender};

/// The argument by which this program becomes the broadcaster.
pub const ARGUMENT: &str = "--broadcast";
/// Frames that may wait for a slow socket.
const FRAMES_MAX: usize = 16;
/// The buffers of the server's own sockets.
const READ_BUFFER_BYTES: usize = server::live::socket::READ_BUFFER_BYTES;

/// A broadcaster as a child process: it sends every line that it is told to every socket.
#[derive(Debug)]
pub struct Bare {
    child: Child,
    orders: Option<ChildStdin>,
    /// Its address.
    pub url: String,
}

impl Bare {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut port = String::new();
        let told = child.stdout.take().context("its words")?;
        BufReader::new(told).read_line(&mut port)?;
        ensure!(!port.is_empty(), "the broadcaster did not start");
        let orders = child.stdin.take();
        Ok(Self { child, orders, url: format!("http://127.0.0.1:{}", port.trim()) })
    }

    /// Has it send a frame to every socket.
    pub fn say(&mut self, frame: &str) -> Result<()> {
        let orders = self.orders.as_mut().context("it listens")?;
        writeln!(orders, "{frame}")?;
        Ok(orders.flush()?)
    }

    /// Ends it and waits for its end.
    pub fn stop(mut self) -> Result<()> {
        drop(self.orders.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Is the broadcaster until its orders end.
pub async fn serve() -> Result<()> {
    let (frames, _) = broadcast::channel::<Message>(FRAMES_MAX);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    writeln!(std::io::stdout().lock(), "{}", listener.local_addr()?.port())?;
    let app = Router::new().route("/", get(open)).with_state(frames.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let hearing = tokio::task::spawn_blocking(move || {
        for frame in std::io::stdin().lines().map_while(Result::ok) {
            let _nobody = frames.send(Message::Text(frame.into()));
        }
    });
    hearing.await?;
    serving.abort();
    Ok(())
}

async fn open(
    State(frames): State<Sender<Message>>,
    upgrade: WebSocketUpgrade,
) -> axum::response::Response {
    let frames = frames.subscribe();
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .on_upgrade(move |socket| pass_on(socket, frames))
}

async fn pass_on(mut socket: WebSocket, mut frames: Receiver<Message>) {
    while let Ok(frame) = frames.recv().await {
        if socket.send(frame).await.is_err() {
            return;
        }
    }
}
