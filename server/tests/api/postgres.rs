//! What PostgreSQL does otherwise than SQLite: writers at once, spent transactions, callers that leave.

use crate::live::{connect, next};
use crate::network::Served;
use crate::support::{Key, TestResult, World, tenant};
use axum::http::StatusCode;
use serde_json::json;
use server::admin::{Actor, devices};
use std::process::Command;
use std::time::Duration;
use storage::{DeviceState, PointerTouch};
use sync_protocol::id::{Bucket, RecordId, Seq};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn one_nonce_and_one_code_are_good_once_however_many_come_at_once() -> TestResult {
    let world = World::on_postgres().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let assertion = json!({ "assertion": tablet.assertion(&world.nonce().await) });
    let exchange = || world.ask("/v1/token", assertion.clone());
    let answers = tokio::join!(exchange(), exchange(), exchange(), exchange());
    let statuses = [answers.0, answers.1, answers.2, answers.3].map(|answer| answer.status);
    let good = statuses.iter().filter(|status| **status == StatusCode::OK).count();
    let refused = statuses.iter().filter(|status| **status == StatusCode::UNAUTHORIZED).count();
    assert_eq!((good, refused), (1, 3), "{statuses:?}");

    let code = world.code("fire", tablet.user).await?;
    let enrol = || {
        let key = Key::ed25519().jwk();
        let body = json!({ "tenant": "fire", "code": code, "public_key": key, "name": "t" });
        world.ask("/v1/enrol", body)
    };
    let answers = tokio::join!(enrol(), enrol(), enrol(), enrol());
    let statuses = [answers.0, answers.1, answers.2, answers.3].map(|answer| answer.status);
    let made = statuses.iter().filter(|status| **status == StatusCode::CREATED).count();
    assert_eq!(made, 1, "{statuses:?}");
    let actor = Actor { tenant: tenant("fire"), user: None };
    let stored = world.state.store.read().await?.devices().list(&actor.tenant, None).await?;
    assert_eq!(stored.len(), 2, "one of the test and one of the code");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_tablets_come_in_and_are_set_aside() -> TestResult {
    let world = World::on_postgres().await?;
    let admin = world.admin().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let token = world.token(&tablet).await;
    assert_eq!(world.get("/v1/live", &token).await.problem(), "upgrade-required");
    let body = json!({ "login": "hara", "name": "原", "password": "correct horse battery" });
    assert_eq!(world.post("/v1/admin/users", &admin, body.clone()).await.status.as_u16(), 201);
    assert_eq!(world.post("/v1/admin/users", &admin, body).await.problem(), "conflict");
    let trail = world.get("/v1/admin/audit?limit=200", &admin).await.json();
    assert!(trail.to_string().contains("user.create"));
    let actor = Actor { tenant: tenant("fire"), user: None };
    devices::set_aside(&world.state, &actor, tablet.device.parse()?, DeviceState::Stolen).await?;
    assert_eq!(world.exchange(&tablet).await.problem(), "device-stolen");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_hears_what_another_server_has_committed() -> TestResult {
    let world = World::on_postgres().await?;
    let tablet = world.tablet("fire", "mori").await?;
    let token = world.token(&tablet).await;
    let served = Served::start(&world).await?;
    server::live::start(&world.state);
    let mut socket = connect(&served, &token).await?;
    assert_eq!(next(&mut socket).await?, r#"{"poke":0}"#);
    // The watchman has seen the head before the other server moves it.
    sleep(Duration::from_secs(5)).await;
    let neighbour = world.neighbour().await?;
    let mut tx = neighbour.store.write().await?;
    let (rec, seq) = (RecordId(uuid::Uuid::from_u128(1)), Seq(1));
    let bucket = Bucket::everyone();
    let touch = PointerTouch { bucket, rec, seq, since: Some(seq), live: true };
    tx.head().advance(&tenant("fire"), 1).await?;
    tx.pointers().touch(&tenant("fire"), &[touch]).await?;
    tx.commit().await?;
    assert_eq!(next(&mut socket).await?, r#"{"poke":1}"#);
    Ok(())
}

/// How many connections sit in a transaction and do nothing for a second.
fn forgotten(world: &World) -> TestResult<i64> {
    const SQL: &str = "select count(*) from pg_stat_activity where datname = current_database() \
        and state like 'idle in transaction%' and clock_timestamp() - state_change > interval '1 s'";
    let output = Command::new("/usr/lib/postgresql/15/bin/psql")
        .args([&world.base.options.url, "-XAtc", SQL])
        .output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_leave_at_any_moment_leave_no_transaction_behind() -> TestResult {
    let world = World::on_postgres().await?;
    let admin = world.admin().await?;
    let served = Served::start(&world).await?;
    let mut calls = Vec::new();
    for n in 0_u64..300 {
        let (addr, admin) = (served.addr, admin.clone());
        calls.push(tokio::spawn(async move {
            sleep(Duration::from_millis(n * 3)).await;
            let body = format!(r#"{{"login":"u{n}","name":"u"}}"#);
            let head = format!(
                "POST /v1/admin/users HTTP/1.1\r\nhost: genba\r\nauthorization: Bearer {admin}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let mut stream = TcpStream::connect(addr).await?;
            stream.write_all(head.as_bytes()).await?;
            sleep(Duration::from_micros(n * 97 % 6_000)).await;
            stream.set_zero_linger()
        }));
    }
    for call in calls {
        call.await??;
    }
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(forgotten(&world)?, 0);
    for _ in 0..40 {
        let answer = world.get("/v1/admin/users", &admin).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    let users = world.get("/v1/admin/users", &admin).await.json();
    let made = users.get("users").and_then(|users| users.as_array()).ok_or("users")?.len() - 1;
    let trail = world.state.store.read().await?.audit().list(&tenant("fire"), None, 1_000).await?;
    let told = trail.iter().filter(|entry| entry.action == "user.create" && entry.actor.is_some());
    assert_eq!(told.count(), made, "each user has an entry and each entry a user");
    assert!(made > 0, "some calls were done");
    Ok(())
}
