//! PostgreSQL killed under load, postmaster and children: nothing that was acknowledged is lost, and service recovers.

use axum::http::Method;
use genba_tests::crash::line::Line;
use genba_tests::crash::node::Node;
use genba_tests::crash::postgres::Postgres;
use genba_tests::crash::site::Site;
use genba_tests::crash::tablet::Tablet;
use genba_tests::crash::work::{Shop, settle};
use genba_tests::crash::{judge, look};
use server::clock::{Clock as _, SystemClock};
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::testing::{Folder, TestResult};
use storage::{Options, Store};

const KILLS: u32 = 4;
const TABLETS: u128 = 8;
const LOAD: Duration = Duration::from_millis(1_500);
/// The goal is five seconds after PostgreSQL takes connections; a loaded machine is given more, the figure is told.
const RECOVERY_MAX: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn postgres_dies_under_load_and_nothing_is_lost() -> TestResult {
    let mut postgres = Postgres::start().await?;
    let options = Options::new(postgres.create_database("outage").await?);
    let store = Store::open(&options).await?;
    let site = Site::make(&store, TABLETS + 1, SystemClock.now()).await?;
    store.close().await;
    let one = Node::open(&options, Arc::new(SystemClock), 1).await?;
    let other = Node::open(&options, Arc::new(SystemClock), 2).await?;
    let line = Line::direct(vec![one.app.clone(), other.app.clone()]);
    let folder = Folder::new("outage")?;
    let shop = Shop::open(site, folder.path())?;
    let mut people = shop.site.people.iter().copied();
    let supervisor = people.next().ok_or("a supervisor")?;
    let workers: Vec<_> = (1..)
        .zip(people)
        .map(|(seed, who)| {
            shop.put_to_work(Tablet::new(who, seed, SystemClock.now()), line.clone())
        })
        .collect();
    let online = shop.put_online(supervisor, 3, line.clone());

    let mut slowest = Duration::ZERO;
    for kill in 0..KILLS {
        tokio::time::sleep(LOAD).await;
        postgres.kill().await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        postgres.revive().await?;
        let promised = shop.acks.all();
        slowest = slowest.max(recovered(&shop, &line).await?);
        let wrongs = judge::wrongs(&look::look(&options.url).await?, &promised);
        assert_eq!(wrongs, Vec::<String>::new(), "after kill {kill}");
    }
    tokio::time::sleep(LOAD).await;
    shop.close();
    let mut tablets = Vec::new();
    for worker in workers {
        tablets.push(worker.await??);
    }
    let commands = online.await??;
    settle(&shop, &mut tablets, &line).await?;
    let found = look::look(&options.url).await?;
    assert_eq!(judge::wrongs(&found, &shop.acks.all()), Vec::<String>::new());
    assert_eq!(judge::wrong_states(&found)?, Vec::<String>::new());
    assert_eq!(judge::divergences(&found, &tablets)?, Vec::<String>::new());
    assert_eq!(found.quarantine, [], "an outage made a change suspicious");
    assert_eq!(tablets.iter().map(Tablet::forks).sum::<usize>(), 0);
    println!(
        "{KILLS} kills of PostgreSQL: {} acknowledged, {commands} commands, recovered within {slowest:?}",
        shop.acks.all().len()
    );
    Ok(())
}

/// How long until a call that reads is answered again, on each server.
async fn recovered(shop: &Shop, line: &Line) -> TestResult<Duration> {
    let who = *shop.site.people.first().ok_or("a person")?;
    let begun = Instant::now();
    let mut in_a_row = 0;
    while in_a_row < 2 {
        assert!(begun.elapsed() < RECOVERY_MAX, "no service after {RECOVERY_MAX:?}");
        let token = shop.site.token(who, SystemClock.now());
        let reply = line.call(Method::GET, "/v1/records?limit=1", &token, None).await;
        in_a_row = if reply.is_some_and(|reply| reply.status == 200) { in_a_row + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(begun.elapsed())
}
