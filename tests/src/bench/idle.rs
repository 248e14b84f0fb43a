//! An idle server: its memory, and how soon it takes work after a clean stop and after a kill, on a large database.

use super::author::Author;
use super::client::{Tablet, http};
use super::process::Server;
use super::push::Engine;
use super::scene::{Scene, now};
use super::seed::seed;
use super::table::{Line, Target};
use anyhow::{Context as _, Result};
use serde_json::value::RawValue;
use std::time::Duration;
use storage::testing::Folder;

/// Bytes of state of a record.
const STATE_BYTES: usize = 4_096;
/// What a server needs to come to rest.
const REST: Duration = Duration::from_secs(3);
/// Starts after each kind of end; the slowest counts.
const STARTS: usize = 3;
/// Pushes before a kill, so that the log has something to recover.
const PUSHES: usize = 50;

/// Measures.
pub async fn run(quick: bool) -> Result<Vec<Line>> {
    let records = if quick { 2_000 } else { 110_000 };
    let folder = Folder::new("bench")?;
    let database = Engine::Sqlite.database(&folder, "genba.db").await?;
    let scene = Scene::prepare(&database, 2, |n| ("station:s".to_owned(), n == 0)).await?;
    let [holder, editor] = scene.people.as_slice() else { anyhow::bail!("two people") };
    seed(&database, &scene, holder, records, STATE_BYTES).await?;
    let bytes = std::fs::metadata(folder.path().join("genba.db"))?.len();

    let start = async || Server::start(folder.path(), &database, &http()?).await;
    let mut server = start().await?;
    tokio::time::sleep(REST).await;
    let resident = server.resident_kib()?;
    let mut stopped = Duration::ZERO;
    let mut killed = Duration::ZERO;
    let mut author = Author::new(editor.clone(), 5, now());
    for _ in 0..STARTS {
        server.stop()?;
        server = start().await?;
        stopped = stopped.max(server.ready);
    }
    for _ in 0..STARTS {
        let mut tablet = Tablet::new(&scene, editor, &server.url)?;
        tablet.enter().await?;
        for _ in 0..PUSHES {
            let (change, _) = author.create_large(STATE_BYTES);
            tablet.call(&[RawValue::from_string(change.freeze().text().to_owned())?]).await?;
        }
        server.kill()?;
        server = start().await?;
        killed = killed.max(server.ready);
    }
    server.stop()?;
    #[expect(clippy::cast_precision_loss, reason = "counts of bytes")]
    let (size, resident) = (bytes as f64 / f64::from(1 << 20), resident as f64 / 1_024.0);
    let ms = |ready: Duration| ready.as_secs_f64() * 1e3;
    Some(size)
        .filter(|size| quick || *size >= 1_024.0)
        .context("the database has less than a GiB")?;
    Ok(vec![
        Line::new(format!("idle server on {size:.0} MiB, resident"), resident, "MiB")
            .target(Target::AtMost(40.0)),
        Line::new("ready after a clean stop", ms(stopped), "ms").target(Target::AtMost(1_000.0)),
        Line::new("ready after a kill", ms(killed), "ms").target(Target::AtMost(3_000.0)),
    ])
}
