//! News: the waiting call, and the socket over a real connection.

use crate::network::Served;
use crate::support::{Tablet, TestResult, World, tenant};
use axum::http::{Method, StatusCode};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use server::admin::{Actor, devices, grants};
use server::extract::TabletCaller;
use server::live::poll;
use std::time::Duration;
use storage::{DeviceState, PointerTouch};
use sync_protocol::form::Role;
use sync_protocol::id::{Bucket, RecordId, Seq};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

const SOON: Duration = Duration::from_secs(10);

fn bucket() -> Bucket {
    "station:south".parse().expect("a bucket")
}

async fn hold(world: &World, tablet: &Tablet) -> TestResult<()> {
    let actor = Actor { tenant: tenant("fire"), user: None };
    let new = grants::NewGrant {
        user: tablet.user,
        bucket: bucket(),
        role: Role::Inspector,
        from_at: None,
        to_at: None,
        hold: true,
    };
    grants::create(&world.state, &actor, new).await?;
    Ok(())
}

async fn caller(world: &World, tablet: &Tablet) -> TestResult<TabletCaller> {
    let token = world.token(tablet).await;
    Ok(server::auth::admit::tablet(&world.state, &token).await?)
}

#[tokio::test]
async fn a_waiting_call_hears_of_a_held_bucket_and_of_no_other() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    hold(&world, &tablet).await?;
    let caller = caller(&world, &tablet).await?;
    let wait = poll::wait(&world.state, &caller, Seq(0), SOON);
    let poke = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.state.pokes.poke(
            &tenant("fire"),
            Seq(7),
            &["station:north".parse().expect("a bucket")],
        );
        world.state.pokes.poke(&tenant("fire"), Seq(9), &[bucket()]);
    };
    assert_eq!(tokio::join!(wait, poke).0?, Some(Seq(9)));
    let quiet = poll::wait(&world.state, &caller, Seq(9), Duration::from_millis(100)).await?;
    assert_eq!(quiet, None, "no news");
    Ok(())
}

#[tokio::test]
async fn a_call_answers_at_once_when_there_is_news_already() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    hold(&world, &tablet).await?;
    let mut tx = world.state.store.write().await?;
    let head = tx.head().advance(&tenant("fire"), 3).await?.seq;
    let rec = RecordId(uuid::Uuid::from_u128(1));
    let touch =
        PointerTouch { bucket: bucket(), rec, seq: Seq(2), since: Some(Seq(2)), live: true };
    tx.pointers().touch(&tenant("fire"), &[touch]).await?;
    tx.commit().await?;
    let token = world.token(&tablet).await;
    let answer = world.get("/v1/live/poll?after=1", &token).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({ "poke": head })));
    for query in ["", "?after=", "?after=x"] {
        let answer = world.get(&format!("/v1/live/poll{query}"), &token).await;
        assert_eq!(answer.problem(), "bad-parameter", "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn a_second_call_takes_the_place_of_the_first_and_a_grant_ends_the_wait() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let caller = caller(&world, &tablet).await?;
    let first = poll::wait(&world.state, &caller, Seq(0), SOON);
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let wait = poll::wait(&world.state, &caller, Seq(0), SOON);
        let grant = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            hold(&world, &tablet).await.expect("granted");
        };
        tokio::join!(wait, grant).0
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first?, None, "replaced");
    assert!(second?.is_some(), "the grants changed");
    Ok(())
}

pub(crate) type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

pub(crate) async fn connect(served: &Served, token: &str) -> TestResult<Socket> {
    let mut request = format!("ws://{}/v1/live", served.addr).into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
    Ok(timeout(SOON, tokio_tungstenite::connect_async(request)).await??.0)
}

/// The next text, or the code and reason of the close.
pub(crate) async fn next(socket: &mut Socket) -> TestResult<String> {
    loop {
        match timeout(SOON, socket.next()).await? {
            Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
            Some(Ok(Message::Close(frame))) => {
                let frame = frame.ok_or("a close without a code")?;
                return Ok(format!("close {} {}", u16::from(frame.code), frame.reason));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Ok(format!("broken: {error}")),
            None => return Ok("end".to_owned()),
        }
    }
}

#[tokio::test]
async fn a_socket_hears_of_news_and_is_closed_when_its_device_is_revoked() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    hold(&world, &tablet).await?;
    let token = world.token(&tablet).await;
    let served = Served::start(&world).await?;
    let mut socket = connect(&served, &token).await?;
    assert_eq!(next(&mut socket).await?, r#"{"poke":0}"#);
    world.state.pokes.poke(&tenant("fire"), Seq(4), &[bucket()]);
    assert_eq!(next(&mut socket).await?, r#"{"poke":4}"#);
    let actor = Actor { tenant: tenant("fire"), user: None };
    devices::set_aside(&world.state, &actor, tablet.device.parse()?, DeviceState::Revoked).await?;
    assert_eq!(next(&mut socket).await?, "close 1008 no longer authorised");
    Ok(())
}

#[tokio::test]
async fn a_revocation_by_another_process_is_in_force_after_one_round() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let token = world.token(&tablet).await;
    let served = Served::start(&world).await?;
    server::live::start(&world.state);
    let mut socket = connect(&served, &token).await?;
    assert_eq!(next(&mut socket).await?, r#"{"poke":0}"#);
    let mut tx = world.state.store.write().await?;
    let now = world.state.clock.now();
    let device = tablet.device.parse()?;
    tx.devices().set_state(&tenant("fire"), device, DeviceState::Revoked, now).await?;
    tx.commit().await?;
    let began = std::time::Instant::now();
    assert_eq!(next(&mut socket).await?, "close 1008 no longer authorised");
    // One round of four seconds, and some room for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_grant_that_begins_pokes_its_holder_at_its_instant() -> TestResult {
    const WAIT_MS: i64 = 600;
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let token = world.token(&tablet).await;
    let served = Served::start(&world).await?;
    let mut socket = connect(&served, &token).await?;
    assert_eq!(next(&mut socket).await?, r#"{"poke":0}"#);
    let actor = Actor { tenant: tenant("fire"), user: None };
    let new = grants::NewGrant {
        user: tablet.user,
        bucket: bucket(),
        role: Role::Inspector,
        from_at: Some(world.state.clock.now().plus(WAIT_MS)),
        to_at: None,
        hold: true,
    };
    grants::create(&world.state, &actor, new).await?;
    server::live::start(&world.state);
    tokio::time::sleep(Duration::from_millis(WAIT_MS.unsigned_abs() / 2)).await;
    world.clock.advance(WAIT_MS);
    let began = std::time::Instant::now();
    assert_eq!(next(&mut socket).await?, r#"{"poke":0}"#, "what is held has changed");
    assert!(began.elapsed() < Duration::from_millis(3_500), "{:?}", began.elapsed());
    world.state.pokes.poke(&tenant("fire"), Seq(3), &[bucket()]);
    assert_eq!(next(&mut socket).await?, r#"{"poke":3}"#);
    Ok(())
}

#[tokio::test]
async fn sockets_are_closed_with_1012_when_the_server_stops() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let token = world.token(&tablet).await;
    let served = Served::start(&world).await?;
    let mut socket = connect(&served, &token).await?;
    assert_eq!(next(&mut socket).await?, r#"{"poke":0}"#);
    world.state.stop.cancel();
    let close = next(&mut socket).await?;
    assert!(close.starts_with("close 1012 retry_after="), "{close}");
    world.state.tasks.close();
    timeout(SOON, world.state.tasks.wait()).await?;
    Ok(())
}

#[tokio::test]
async fn a_socket_takes_64_kib_and_not_more() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let token = world.token(&tablet).await;
    let served = Served::start(&world).await?;
    let mut socket = connect(&served, &token).await?;
    assert_eq!(next(&mut socket).await?, r#"{"poke":0}"#);
    socket.send(Message::Text("a".repeat(64 * 1024).into())).await?;
    world.state.pokes.poke(&tenant("fire"), Seq(5), &[Bucket::everyone()]);
    assert_eq!(next(&mut socket).await?, r#"{"poke":5}"#);
    socket.send(Message::Text("a".repeat(64 * 1024 + 1).into())).await?;
    let end = next(&mut socket).await?;
    assert!(!end.contains("poke"), "{end}");
    Ok(())
}

#[tokio::test]
async fn a_plain_call_to_the_socket_is_told_to_upgrade() -> TestResult {
    let world = World::new().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let token = world.token(&tablet).await;
    let answer = world.call(Method::GET, "/v1/live", Some(&token), None).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (426, "upgrade-required"));
    Ok(())
}
