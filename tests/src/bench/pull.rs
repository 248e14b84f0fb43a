//! Pull of one change: its cost must not depend on how much is stored.

use super::author::{Author, Written};
use super::client::{Tablet, http};
use super::process::Server;
use super::push::Engine;
use super::scene::{Scene, now};
use super::seed::seed;
use super::table::{Line, Target};
use anyhow::{Context as _, Result, bail};
use serde_json::value::RawValue;
use std::time::Instant;
use storage::testing::Folder;
use storage::{Options, Store};
use sync_protocol::id::Seq;
use sync_protocol::wire::ANSWER_BYTES_MAX;

/// Bytes of state of a record.
const STATE_BYTES: usize = 1_024;
/// Rows of a page of pointers, as the server asks for them.
const PAGE_ROWS: u32 = 1_000;

/// Measures.
pub async fn run(quick: bool) -> Result<Vec<Line>> {
    let (few, many, rounds) = if quick { (500, 10_000, 50) } else { (5_000, 500_000, 1_000) };
    let folders = [Folder::new("bench")?, Folder::new("bench")?];
    let (mut small, mut large) =
        (Side::seed(&folders[0], few).await?, Side::seed(&folders[1], many).await?);
    let mut calls = [small.begin(&folders[0]).await?, large.begin(&folders[1]).await?];
    // Turn by turn, so that both see the same machine.
    for _ in 0..rounds {
        for call in &mut calls {
            call.round().await?;
        }
    }
    let [few_ms, many_ms] = calls.each_mut().map(|call| {
        call.taken_ms.sort_by(f64::total_cmp);
        std::mem::take(&mut call.taken_ms)
    });
    let [few_wire, many_wire] = calls.map(Calls::end);
    let what = format!("pull of one change, {many} records of {} B", large.state_bytes);
    let (few_rows, many_rows) = (small.rows_read().await?, large.rows_read().await?);
    anyhow::ensure!(
        few_rows.1 == many_rows.1,
        "the plans differ: {} / {}",
        few_rows.1,
        many_rows.1
    );
    few_wire?;
    many_wire?;
    let against = format!("against {few}");
    Ok(vec![
        Line::new(format!("{what}, {against}, p50"), at(&many_ms, 0.5), "ms")
            .against(at(&few_ms, 0.5))
            .target(Target::RatioAtMost(1.3)),
        Line::new(format!("{what}, {against}, p99"), at(&many_ms, 0.99), "ms")
            .against(at(&few_ms, 0.99))
            .target(Target::RatioAtMost(2.0)),
        Line::new("pull of one change, rows that its plan reads", many_rows.0, "rows")
            .against(few_rows.0)
            .target(Target::RatioAtMost(1.0)),
    ])
}

/// The value below which this part of the sorted values lies.
pub fn at(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index below a million"
    )]
    let index = (last as f64 * part).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

/// A database of one size.
struct Side {
    database: String,
    scene: Scene,
    written: Vec<Written>,
    state_bytes: usize,
}

impl Side {
    async fn seed(folder: &Folder, records: usize) -> Result<Self> {
        let database = Engine::Sqlite.database(folder, "genba.db").await?;
        let scene = Scene::prepare(&database, 2, |n| ("station:s".to_owned(), n == 0)).await?;
        let author = scene.people.first().context("somebody")?;
        let seeded = seed(&database, &scene, author, records, STATE_BYTES).await?;
        Ok(Self { database, written: seeded.written, state_bytes: seeded.state_bytes, scene })
    }

    async fn begin(&mut self, folder: &Folder) -> Result<Calls<'_>> {
        let server = Server::start(folder.path(), &self.database, &http()?).await?;
        let [holder, editor] = self.scene.people.as_slice() else { bail!("two people") };
        let mut tablet = Tablet::new(&self.scene, holder, &server.url)?;
        tablet.page_bytes = Some(ANSWER_BYTES_MAX);
        tablet.enter().await?;
        let mut other = Tablet::new(&self.scene, editor, &server.url)?;
        other.enter().await?;
        let author = Author::new(editor.clone(), 12, now());
        let written = self.written.iter_mut();
        let mut calls = Calls {
            server,
            tablet,
            other,
            author,
            written: written.collect(),
            round: 0,
            taken_ms: Vec::new(),
        };
        for _ in 0..20 {
            calls.round().await?;
        }
        calls.taken_ms.clear();
        Ok(calls)
    }

    /// How many rows the pull of one change reads by its index, and how the database says that it reads.
    async fn rows_read(&self) -> Result<(f64, String)> {
        let store = Store::open(&Options::new(&self.database)).await?;
        let mut tx = store.read().await?;
        let tenant = &self.scene.tenant;
        let bucket = &self.scene.people.first().context("somebody")?.bucket;
        let before = Seq(tx.head().read(tenant).await?.seq.0 - 1);
        let plan = tx.pointers().explain_after(tenant, &[bucket], before, PAGE_ROWS).await?;
        let rows =
            tx.pointers().after(tenant, std::slice::from_ref(bucket), before, PAGE_ROWS).await?;
        drop(tx);
        store.close().await;
        anyhow::ensure!(
            plan.contains("SEARCH pointer USING"),
            "the pull reads more than it needs: {plan}"
        );
        Ok((f64::from(u32::try_from(rows.len())?), plan))
    }
}

/// The server of one side and the tablets that call it.
struct Calls<'a> {
    server: Server,
    tablet: Tablet<'a>,
    other: Tablet<'a>,
    author: Author,
    written: Vec<&'a mut Written>,
    round: usize,
    taken_ms: Vec<f64>,
}

impl Calls<'_> {
    /// Somebody else edits a record, and the tablet pulls.
    async fn round(&mut self) -> Result<()> {
        let at = self.round % self.written.len();
        self.round += 1;
        let record = self.written.get_mut(at).context("a record")?;
        let change = self.author.edit_one(record).freeze();
        self.other.call(&[RawValue::from_string(change.text().to_owned())?]).await?;
        let began = Instant::now();
        self.tablet.call(&[]).await?;
        self.taken_ms.push(began.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }

    fn end(self) -> Result<()> {
        self.server.stop()
    }
}
