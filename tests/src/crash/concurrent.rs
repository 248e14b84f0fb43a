//! Many writers and readers at once, on one server or on two over one database.

use super::node::Node;
use super::site::Site;
use super::tablet::Tablet;
use super::work::{Shop, settle};
use super::{judge, line::Line, look};
use anyhow::{Context as _, Result};
use server::clock::{Clock as _, SystemClock};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use storage::{Options, Store};

/// Tablets that write at once.
pub const WRITERS: u128 = 16;
/// How often the database is looked at while they write.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Everything that was wrong.
    pub wrongs: Vec<String>,
    /// Acknowledged changes.
    pub acknowledged: usize,
    /// Answered commands.
    pub commands: u32,
    /// How often tablets were answered what.
    pub statuses: BTreeMap<u16, u32>,
    /// How often the database was looked at in between.
    pub looks: u32,
}

/// Lets sixteen tablets, a newcomer and a supervisor work for `time` on `nodes` servers over one empty database.
///
/// At every look the seqs are a prefix without gaps; at the end everybody has everything.
pub async fn run(options: &Options, nodes: u64, time: Duration, folder: &Path) -> Result<Seen> {
    let store = Store::open(options).await?;
    let site = Site::make(&store, WRITERS + 2, SystemClock.now()).await?;
    let mut servers = Vec::new();
    for seed in 0..nodes {
        servers.push(Node::open(options, Arc::new(SystemClock), 100 + seed).await?);
    }
    let line = Line::direct(servers.iter().map(|node| node.app.clone()).collect());
    let shop = Shop::open(site, folder)?;
    let mut people = shop.site.people.iter().copied();
    let supervisor = people.next().context("a supervisor")?;
    let newcomer = people.next().context("a newcomer")?;
    let mut workers = Vec::new();
    for (seed, person) in (1..).zip(people) {
        let tablet = Tablet::new(person, seed, SystemClock.now());
        workers.push(shop.put_to_work(tablet, line.clone()));
    }
    let online = shop.put_online(supervisor, 7, line.clone());
    let newcomers = shop.put_newcomers(newcomer, 1_000, line.clone());

    let mut seen = Seen::default();
    let mut looker = look::Looker::connect(&options.url).await?;
    let begun = std::time::Instant::now();
    while begun.elapsed() < time && seen.wrongs.is_empty() {
        let promised = shop.acks.all();
        let found = looker.look().await?;
        seen.wrongs = judge::wrongs(&found, &promised);
        seen.looks += 1;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    shop.close();
    looker.close().await?;
    let mut tablets = Vec::new();
    for worker in workers {
        tablets.push(worker.await??);
    }
    seen.commands = online.await??;
    newcomers.await??;
    for status in tablets.iter().flat_map(|tablet| &tablet.statuses) {
        *seen.statuses.entry(*status.0).or_default() += status.1;
    }
    let failures = shop.failures.load(Ordering::SeqCst);
    if failures > 0 || seen.statuses.keys().any(|status| *status != 200) {
        seen.wrongs.push(format!("not all went through: {:?}, {failures}", seen.statuses));
    }
    if seen.wrongs.is_empty() {
        settle(&shop, &mut tablets, &line).await?;
        let found = look::look(&options.url).await?;
        seen.wrongs = judge::wrongs(&found, &shop.acks.all());
        seen.wrongs.extend(judge::wrong_states(&found)?);
        seen.wrongs.extend(judge::divergences(&found, &tablets)?);
    }
    seen.acknowledged = shop.acks.all().len();
    for node in &servers {
        node.state.store.close().await;
    }
    store.close().await;
    Ok(seen)
}
