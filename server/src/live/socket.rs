//! One live socket: a loop over its two ends, the hub and the clock.

use super::hub::Listening;
use super::{Signal, Standing};
use axum::extract::ws::{CloseFrame, Message};
use futures_util::future::BoxFuture;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use std::time::Duration;
use sync_protocol::id::Seq;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Bytes of a message or a frame.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Bytes that wait to be written.
pub const WRITE_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// Bytes of the buffer that an idle socket keeps.
pub const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Messages that a device may send at once, and then in a second.
const MESSAGES: (u32, u32) = (60, 20);

/// Going away: the server restarts; the reason says when to come back.
pub const CLOSE_RESTART: u16 = 1012;
/// The socket does not take what it is sent.
pub const CLOSE_SLOW: u16 = 1013;
/// The device may no longer listen, or has opened another socket in place of this one.
pub const CLOSE_POLICY: u16 = 1008;

/// The times of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often the peer is asked whether it is there.
    pub ping: Duration,
    /// When a peer that says nothing counts as gone.
    pub dead: Duration,
    /// How often the device is looked up again, whatever happens.
    pub reauthorise: Duration,
    /// How long a message may take to leave.
    pub send: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(20),
            dead: Duration::from_secs(45),
            reauthorise: Duration::from_mins(5),
            send: Duration::from_secs(10),
        }
    }
}

/// Why a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed it or broke.
    Peer,
    /// The peer was silent for too long.
    Dead,
    /// The peer did not take what it was sent.
    Slow,
    /// The peer sent too much.
    Flood,
    /// The device may no longer listen.
    Gone,
    /// The device opened another one.
    Replaced,
    /// The server stops.
    Stop,
}

/// Says how the device stands; `None` when it cannot be told now.
pub type Look = Box<dyn Fn() -> BoxFuture<'static, Option<Standing>> + Send + Sync>;

/// What a socket needs beside its two ends.
pub struct Surroundings {
    /// Its place in the hub.
    pub listening: Listening,
    /// The seq that it is poked with at first.
    pub first: Seq,
    /// How the device stands.
    pub look: Look,
    /// The times.
    pub timing: Timing,
    /// Fires when the server stops.
    pub stop: CancellationToken,
    /// When the device is told to come back after a stop, in seconds.
    pub restart_wait_s: u64,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Surroundings").field("timing", &self.timing).finish_non_exhaustive()
    }
}

/// Serves one socket to its end.
pub async fn serve<S, R, E>(mut send: S, mut receive: R, around: Surroundings) -> End
where
    S: Sink<Message> + Unpin + Send,
    R: Stream<Item = Result<Message, E>> + Unpin + Send,
{
    let Surroundings { mut listening, first, look, timing, stop, restart_wait_s } = around;
    let mut told = Told { poked: Seq(-1), recheck: 0 };
    let mut heard_at = Instant::now();
    let mut budget = Budget::full(heard_at);
    let mut ping = tokio::time::interval_at(heard_at + timing.ping, timing.ping);
    let mut again = tokio::time::interval_at(heard_at + timing.reauthorise, timing.reauthorise);
    let mut due = Some(first);
    let stopped = stop.cancelled();
    tokio::pin!(stopped);
    let end = loop {
        if let Some(seq) = due.take().filter(|seq| *seq > told.poked) {
            told.poked = seq;
            if let Err(end) = say(&mut send, poke(seq), timing).await {
                break end;
            }
        }
        tokio::select! {
            () = &mut stopped => break End::Stop,
            signal = listening.changed() => match told.hear(signal) {
                Heard::Replaced => break End::Replaced,
                Heard::Recheck => match recheck(&look, &listening).await {
                    Err(end) => break end,
                    Ok(changed) => due = Some(told.due(changed, signal.seq)),
                },
                Heard::News => due = Some(signal.seq),
            },
            _ = again.tick() => match recheck(&look, &listening).await {
                Err(end) => break end,
                Ok(changed) => due = Some(told.due(changed, told.poked)),
            },
            _ = ping.tick() => {
                if heard_at.elapsed() >= timing.dead {
                    break End::Dead;
                }
                if let Err(end) = say(&mut send, Message::Ping(Vec::new().into()), timing).await {
                    break end;
                }
            }
            message = receive.next() => match message {
                None | Some(Err(_) | Ok(Message::Close(_))) => break End::Peer,
                Some(Ok(_)) => {
                    heard_at = Instant::now();
                    if !budget.take(heard_at) {
                        break End::Flood;
                    }
                }
            },
        }
    };
    farewell(&mut send, end, timing, restart_wait_s).await;
    end
}

fn poke(seq: Seq) -> Message {
    Message::Text(format!(r#"{{"poke":{seq}}}"#).into())
}

/// What the peer knows already.
#[derive(Clone, Copy, Debug)]
struct Told {
    poked: Seq,
    recheck: u64,
}

enum Heard {
    News,
    Recheck,
    Replaced,
}

impl Told {
    fn hear(&mut self, signal: Signal) -> Heard {
        if signal.replaced {
            return Heard::Replaced;
        }
        if signal.recheck == self.recheck {
            return Heard::News;
        }
        self.recheck = signal.recheck;
        Heard::Recheck
    }

    /// What to poke with; after a change of what is held, also with a seq that was told before.
    fn due(&mut self, changed: bool, seq: Seq) -> Seq {
        let due = seq.max(self.poked);
        if changed {
            self.poked = Seq(-1);
        }
        due
    }
}

/// Looks the device up again; true if it now holds other buckets.
async fn recheck(look: &Look, listening: &Listening) -> Result<bool, End> {
    match look().await {
        Some(Standing::Holds(held)) => Ok(listening.hold(held)),
        Some(Standing::Gone) => Err(End::Gone),
        None => Ok(false),
    }
}

async fn say<S: Sink<Message> + Unpin>(
    send: &mut S,
    message: Message,
    timing: Timing,
) -> Result<(), End> {
    match tokio::time::timeout(timing.send, send.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Peer),
        Err(_) => Err(End::Slow),
    }
}

async fn farewell<S: Sink<Message> + Unpin>(
    send: &mut S,
    end: End,
    timing: Timing,
    restart_wait_s: u64,
) {
    let (code, reason) = match end {
        End::Peer => return,
        End::Stop => (CLOSE_RESTART, format!("retry_after={restart_wait_s}")),
        End::Slow => (CLOSE_SLOW, "slow".to_owned()),
        End::Dead => (CLOSE_POLICY, "silent".to_owned()),
        End::Flood => (CLOSE_POLICY, "too many messages".to_owned()),
        End::Gone => (CLOSE_POLICY, "no longer authorised".to_owned()),
        End::Replaced => (CLOSE_POLICY, "replaced".to_owned()),
    };
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let _too_late = say(send, close, timing).await;
}

/// How many messages a peer may still send.
#[derive(Clone, Copy, Debug)]
struct Budget {
    left: u32,
    at: Instant,
}

impl Budget {
    const fn full(now: Instant) -> Self {
        Self { left: MESSAGES.0, at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let seconds = now.duration_since(self.at).as_secs();
        if seconds > 0 {
            let fresh = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(MESSAGES.1);
            self.left = self.left.saturating_add(fresh).min(MESSAGES.0);
            self.at = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
