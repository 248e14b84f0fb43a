//! A socket at whose other end the test sits.

use super::super::{Kind, Pokes};
use super::*;
use futures_util::{FutureExt as _, sink, stream};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use sync_protocol::id::{Bucket, DeviceId, Tenant, UserId};
use tokio::sync::mpsc;
use uuid::Uuid;

/// The other end of a socket under test.
struct Peer {
    hub: Pokes,
    sent: mpsc::Receiver<Message>,
    say: mpsc::UnboundedSender<Message>,
    stop: CancellationToken,
    gone: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<End>,
}

fn tenant() -> Tenant {
    "fire".parse().expect("a tenant")
}

fn held() -> BTreeSet<Bucket> {
    BTreeSet::from([Bucket::everyone()])
}

fn open(buffer: usize) -> Peer {
    let hub = Pokes::default();
    let id = Uuid::from_u128(1);
    let listening = hub.listen(&tenant(), DeviceId(id), UserId(id), Kind::Socket, held());
    let (send, sent) = mpsc::channel(buffer);
    let send = Box::pin(sink::unfold(send, async |send: mpsc::Sender<Message>, message| {
        send.send(message).await.map(|()| send)
    }));
    let (say, said) = mpsc::unbounded_channel();
    let receive = Box::pin(stream::unfold(said, async |mut said| {
        let message: Message = said.recv().await?;
        Some((Ok::<_, Infallible>(message), said))
    }));
    let stop = CancellationToken::new();
    let gone = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&gone);
    let look: Look = Box::new(move || {
        let gone = asked.load(Ordering::SeqCst);
        let standing = if gone { Standing::Gone } else { Standing::Holds(held()) };
        std::future::ready(Some(standing)).boxed()
    });
    let around = Surroundings {
        listening,
        first: Seq(1),
        look,
        timing: Timing::default(),
        stop: stop.clone(),
        restart_wait_s: 7,
    };
    let task = tokio::spawn(serve(send, receive, around));
    Peer { hub, sent, say, stop, gone, task }
}

async fn text(peer: &mut Peer) -> String {
    loop {
        match peer.sent.recv().await {
            Some(Message::Text(text)) => return text.to_string(),
            Some(Message::Close(Some(frame))) => {
                return format!("close {} {}", frame.code, frame.reason);
            }
            Some(
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Close(None),
            ) => {}
            None => return "end".to_owned(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_is_poked_at_first_and_for_news_and_told_when_to_come_back() {
    let mut peer = open(8);
    assert_eq!(text(&mut peer).await, r#"{"poke":1}"#);
    peer.hub.poke(&tenant(), Seq(5), &held());
    assert_eq!(text(&mut peer).await, r#"{"poke":5}"#);
    peer.stop.cancel();
    assert_eq!(text(&mut peer).await, "close 1012 retry_after=7");
    assert_eq!(peer.task.await.expect("ended"), End::Stop);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_dead_after_45_seconds() {
    let peer = open(8);
    let began = Instant::now();
    assert_eq!(peer.task.await.expect("ended"), End::Dead);
    let lasted = began.elapsed().as_secs();
    assert!((45..=60).contains(&lasted), "{lasted}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_cut_and_one_that_floods_too() {
    let peer = open(1);
    assert_eq!(peer.task.await.expect("ended"), End::Slow);

    let mut peer = open(200);
    for _ in 0..61 {
        peer.say.send(Message::Text("x".into())).expect("open");
    }
    assert_eq!(text(&mut peer).await, r#"{"poke":1}"#);
    assert_eq!(text(&mut peer).await, "close 1008 too many messages");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_device_is_closed_at_its_recheck() {
    let mut peer = open(8);
    assert_eq!(text(&mut peer).await, r#"{"poke":1}"#);
    peer.gone.store(true, Ordering::SeqCst);
    peer.hub.recheck_device(&tenant(), DeviceId(Uuid::from_u128(1)));
    assert_eq!(text(&mut peer).await, "close 1008 no longer authorised");
}
