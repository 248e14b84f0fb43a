//! `make demo`: plays the field day; with `ONCE=1` it ends after the day, otherwise the server stays up until Ctrl-C.

use anyhow::{Context as _, Result};
use genba_tests::field_day::claims::{Book, tell};
use genba_tests::field_day::scenes;
use genba_tests::field_day::world::World;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use sync_protocol::clock::UnixMillis;
use tokio::signal::unix::{SignalKind, signal};

/// Set to `1`, it ends the demo after the day.
const ONCE: &str = "ONCE";

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let once = std::env::var(ONCE).is_ok_and(|once| once == "1");
    let folder = std::env::temp_dir().join(format!("genba-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let so = play(&folder, once)
        .await
        .with_context(|| format!("the files of the day are in {}", folder.display()))?;
    std::fs::remove_dir_all(&folder)?;
    Ok(if so { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(folder: &Path, once: bool) -> Result<bool> {
    let mut book = Book::default();
    tell("架空市の一日: a field day in a fictional city. Nobody and nothing here exists.");
    let world = World::begin(folder, now()).await?;
    book.look(&format!("the server runs at {} (SQLite in {})", world.server.url, folder.display()));
    let mut tablets = scenes::play(&world, &mut book).await?;
    let so = book.close();
    if !once {
        tablets.all().for_each(genba_tests::field_day::crew::Crew::switch_off);
        world.tell_where_to_look();
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => stopped?,
            _ = terminated.recv() => {}
        }
    }
    world.server.stop()?;
    Ok(so)
}

#[expect(clippy::disallowed_methods, reason = "the day begins when the program does")]
fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
