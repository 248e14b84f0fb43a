//! Push over HTTP, against the same rows written by the same statements without a server.

use super::author::{Author, Written};
use super::client::{Tablet, http};
use super::process::Server;
use super::replay;
use super::scene::{Person, Scene, now};
use super::table::{Line, Target};
use anyhow::Result;
use futures_util::future::try_join_all;
use serde_json::value::RawValue;
use std::time::Instant;
use storage::testing::{Cluster, Folder, Fsync};
use storage::{Options, Store};
use sync_protocol::id::Seq;

/// Tablets that push at once.
const TABLETS: u64 = 16;
/// Changes in a request.
const CHANGES: usize = 20;
/// Rounds that are not measured: they fill the database and the caches.
const WARM_UP_ROUNDS: usize = 4;
/// Bytes of the remark of a new record.
const REMARK_BYTES: usize = 200;

/// On which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// SQLite with `synchronous=FULL`.
    Sqlite,
    /// PostgreSQL with `synchronous_commit=on`.
    Postgres,
}

impl Engine {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite FULL",
            Self::Postgres => "PostgreSQL on",
        }
    }

    /// What the issue asks of it, in changes a second.
    const fn least(self) -> f64 {
        match self {
            Self::Sqlite => 8_000.0,
            Self::Postgres => 4_000.0,
        }
    }

    /// The address of an empty database.
    pub(super) async fn database(self, folder: &Folder, name: &str) -> Result<String> {
        match self {
            Self::Sqlite => Ok(format!("sqlite:{}", folder.path().join(name).display())),
            Self::Postgres => Cluster::of_this_process(Fsync::On)
                .create_database()
                .await
                .map_err(anyhow::Error::from_boxed),
        }
    }
}

/// Measures.
pub async fn run(engine: Engine, quick: bool) -> Result<Vec<Line>> {
    let rounds = if quick { 10 } else { 120 };
    let folder = Folder::new("bench")?;
    let database = engine.database(&folder, "served.db").await?;
    let scene = prepare(&database).await?;
    let server = Server::start(folder.path(), &database, &http()?).await?;
    let mut loads = Vec::new();
    for (n, person) in scene.people.iter().enumerate() {
        loads.push(Load::new(&scene, person, &server.url, n, WARM_UP_ROUNDS + rounds)?);
    }
    try_join_all(loads.iter_mut().map(|load| load.begin(WARM_UP_ROUNDS))).await?;
    let measured_from = head(&database, &scene).await?;

    let (cpu, began) = (server.cpu_us()?, Instant::now());
    try_join_all(loads.iter_mut().map(|load| load.rounds(rounds))).await?;
    let (elapsed, cpu) = (began.elapsed().as_secs_f64(), server.cpu_us()? - cpu);
    server.stop()?;

    let changes = f64::from(u32::try_from(rounds * CHANGES * scene.people.len())?);
    let fresh = engine.database(&folder, "replayed.db").await?;
    prepare(&fresh).await?;
    let replayed = replay::run(&scene, &database, &fresh, measured_from).await?;
    let name = engine.name();
    let rate = changes / elapsed;
    Ok(vec![
        Line::new(format!("push, {name}, against its statements alone"), rate, "changes/s")
            .against(replayed.rate)
            .target(Target::RatioAtLeast(0.35)),
        Line::new(format!("push, {name}"), rate, "changes/s")
            .target(Target::AtLeast(engine.least())),
        #[expect(clippy::cast_precision_loss, reason = "microseconds of seconds")]
        Line::new(
            format!("push, {name}, the server's processor time"),
            cpu as f64 / changes,
            "µs/change",
        ),
        Line::new(format!("push, {name}, changes in a commit"), replayed.group, "changes"),
    ])
}

async fn prepare(database: &str) -> Result<Scene> {
    Scene::prepare(database, TABLETS, |n| (format!("station:s{n}"), true)).await
}

async fn head(database: &str, scene: &Scene) -> Result<Seq> {
    let store = Store::open(&Options { read_connections: 1, ..Options::new(database) }).await?;
    let head = store.read().await?.head().read(&scene.tenant).await?;
    store.close().await;
    Ok(head.seq)
}

/// One tablet and what it will push, frozen beforehand.
struct Load<'a> {
    tablet: Tablet<'a>,
    batches: std::vec::IntoIter<Vec<Box<RawValue>>>,
}

impl<'a> Load<'a> {
    fn new(
        scene: &'a Scene,
        person: &Person,
        url: &str,
        seed: usize,
        rounds: usize,
    ) -> Result<Self> {
        let mut author = Author::new(person.clone(), u64::try_from(seed)?, now());
        let mut known: Vec<Written> = Vec::new();
        let mut batches = Vec::with_capacity(rounds);
        for round in 0..rounds {
            batches.push(batch(&mut author, &mut known, round)?);
        }
        Ok(Self { tablet: Tablet::new(scene, person, url)?, batches: batches.into_iter() })
    }

    async fn begin(&mut self, rounds: usize) -> Result<()> {
        self.tablet.enter().await?;
        self.rounds(rounds).await
    }

    async fn rounds(&mut self, rounds: usize) -> Result<()> {
        for batch in self.batches.by_ref().take(rounds) {
            self.tablet.call(&batch).await?;
        }
        Ok(())
    }
}

/// Half new records, half edits of records of earlier rounds; the first round has nothing to edit.
fn batch(
    author: &mut Author,
    known: &mut Vec<Written>,
    round: usize,
) -> Result<Vec<Box<RawValue>>> {
    let new = if round == 0 { CHANGES } else { CHANGES / 2 };
    let mut texts = Vec::with_capacity(CHANGES);
    let mut written = Vec::with_capacity(new);
    for _ in 0..new {
        let (change, record) = author.create(REMARK_BYTES);
        texts.push(change.freeze().text().to_owned());
        written.push(record);
    }
    for n in 0..CHANGES - new {
        // Strides over all that is known, so that old and new records are edited alike.
        let at = (round * 31 + n * 17) % known.len();
        if let Some(record) = known.get_mut(at) {
            texts.push(author.edit(record).freeze().text().to_owned());
        }
    }
    known.extend(written);
    Ok(texts.into_iter().map(RawValue::from_string).collect::<Result<_, _>>()?)
}
