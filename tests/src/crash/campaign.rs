//! Kill, start again, look: the real server under load, again and again.

use super::child::{Launch, Process, Started};
use super::dice::Dice;
use super::line::Line;
use super::points;
use super::site::Site;
use super::tablet::Tablet;
use super::work::{Shop, settle};
use super::{judge, look};
use anyhow::{Context as _, Result};
use server::clock::{Clock as _, SystemClock};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use storage::{Options, Store};

/// Tablets that write at once.
pub const TABLETS: u64 = 8;
/// How long a named point is waited for before the server is killed where it stands.
const POINT_MAX: Duration = Duration::from_secs(3);
/// At which passing of its point a server dies at the latest.
const PASSINGS_MAX: u64 = 4;
/// The load before a server is killed at random, in milliseconds: at least, and by how much more at most.
const RANDOM_MS: (u64, u64) = (20, 250);

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The database, which exists and is empty.
    pub database_url: String,
    /// How many kills.
    pub kills: u32,
    /// Decides where and when.
    pub seed: u64,
    /// The fault that is planted in the servers; empty for none.
    pub fault: String,
    /// Dies only here, when said.
    pub only_at: Option<String>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Where servers died, and how often; `at random` for signals.
    pub deaths: BTreeMap<String, u32>,
    /// Acknowledged changes.
    pub acknowledged: usize,
    /// Commands that were answered.
    pub commands: u32,
    /// The longest time until a server was ready again.
    pub slowest_start: Duration,
    /// How often tablets were answered what; 0 for no answer.
    pub statuses: BTreeMap<u16, u32>,
    /// How often a tablet was taken for a copy.
    pub forks: usize,
    /// Everything that was wrong.
    pub wrongs: Vec<String>,
}

/// Where the next server dies.
#[derive(Clone, Debug)]
enum Death {
    Random,
    Start(String),
    Work(String),
    Stop(String),
}

/// Runs a campaign with its files in `folder`.
pub async fn run(plan: &Plan, folder: &Path) -> Result<Report> {
    let store = Store::open(&Options::new(&plan.database_url)).await?;
    let site = Site::make(&store, u128::from(TABLETS) + 2, SystemClock.now()).await?;
    store.close().await;
    let shop = Shop::open(site, folder)?;
    let line = Line::http()?;
    let Line::Http(client, _) = &line else { anyhow::bail!("a line to another process") };
    let mut launch = Launch::new(folder, &plan.database_url)?;
    launch.fault.clone_from(&plan.fault);

    let mut dice = Dice::new(plan.seed);
    let mut report = Report::default();
    let mut process = launch.start_whole(client).await?;
    line.lead_to(&process.url);
    let mut workers = Vec::new();
    let mut people = shop.site.people.iter().copied();
    let supervisor = people.next().context("a supervisor")?;
    let newcomer = people.next().context("a newcomer")?;
    for (n, person) in (1..).zip(people) {
        let tablet = Tablet::new(person, plan.seed.wrapping_mul(1_000) + n, SystemClock.now());
        workers.push(shop.put_to_work(tablet, line.clone()));
    }
    let online = shop.put_online(supervisor, plan.seed ^ 0xC0, line.clone());
    let newcomers = shop.put_newcomers(newcomer, plan.seed ^ 0xE0_0000, line.clone());

    for kill in 0..plan.kills {
        let death = plan.death(&mut dice, kill);
        let name = die(&death, process, &launch, client, &line, &mut dice).await?;
        *report.deaths.entry(name).or_default() += 1;
        process = launch.start_whole(client).await?;
        report.slowest_start = report.slowest_start.max(process.ready_after);
        line.lead_to(&process.url);
        let promised = shop.acks.all();
        let found = look::look(&plan.database_url).await?;
        let wrongs = judge::wrongs(&found, &promised);
        report.wrongs.extend(wrongs.into_iter().map(|wrong| format!("after kill {kill}: {wrong}")));
        if !report.wrongs.is_empty() {
            break;
        }
    }

    shop.close();
    let mut tablets = Vec::new();
    for worker in workers {
        tablets.push(worker.await??);
    }
    report.commands = online.await??;
    newcomers.await??;
    settle(&shop, &mut tablets, &line).await?;
    let found = look::look(&plan.database_url).await?;
    report.wrongs.extend(judge::wrongs(&found, &shop.acks.all()));
    report.wrongs.extend(judge::wrong_states(&found)?);
    report.wrongs.extend(judge::divergences(&found, &tablets)?);
    report.acknowledged = shop.acks.all().len();
    for tablet in &tablets {
        report.forks += tablet.forks();
        for (status, count) in &tablet.statuses {
            *report.statuses.entry(*status).or_default() += count;
        }
    }
    drop(process);
    Ok(report)
}

impl Plan {
    /// Every third server is killed at random; the others die at the named points in turn.
    fn death(&self, dice: &mut Dice, kill: u32) -> Death {
        if let Some(name) = &self.only_at {
            return Death::Work(name.clone());
        }
        if kill % 3 == 2 {
            return Death::Random;
        }
        let all = points::WORK.len() + points::STOP.len() + points::START.len();
        let turn = usize::try_from(kill - kill / 3 + u32::try_from(self.seed % 97).unwrap_or(0));
        let at = turn.unwrap_or(0) % all;
        let named = points::WORK.iter().map(|name| Death::Work(passing(name, dice)));
        let named: Vec<Death> = named
            .chain(points::STOP.iter().map(|name| Death::Stop((*name).to_owned())))
            .chain(points::START.iter().map(|name| Death::Start((*name).to_owned())))
            .collect();
        named.into_iter().nth(at).unwrap_or(Death::Random)
    }
}

fn passing(name: &str, dice: &mut Dice) -> String {
    format!("{name}:{}", 1 + dice.below(PASSINGS_MAX))
}

/// Ends the running server in a way and tells which; where a point is asked for, a server with that point comes first.
async fn die(
    death: &Death,
    process: Process,
    launch: &Launch,
    client: &reqwest::Client,
    line: &Line,
    dice: &mut Dice,
) -> Result<String> {
    let load = Duration::from_millis(RANDOM_MS.0 + dice.below(RANDOM_MS.1));
    tokio::time::sleep(load).await;
    process.kill()?;
    let (Death::Start(point) | Death::Work(point) | Death::Stop(point)) = death else {
        return Ok("at random".to_owned());
    };
    let name = point.split(':').next().unwrap_or(point).to_owned();
    let Started::Ready(mut doomed) = launch.start(client, Some(point)).await? else {
        return Ok(name);
    };
    line.lead_to(&doomed.url);
    if matches!(death, Death::Stop(_)) {
        tokio::time::sleep(load).await;
        doomed.ask_to_stop()?;
    }
    if doomed.ends_within(POINT_MAX).await? {
        return Ok(name);
    }
    doomed.kill()?;
    Ok(format!("{name} (not reached)"))
}
