//! The day of `make demo`, as a test: the real server, real tablets, every claim.

use anyhow::{Context as _, Result};
use genba_tests::field_day::claims::Book;
use genba_tests::field_day::scenes;
use genba_tests::field_day::world::World;
use std::time::{SystemTime, UNIX_EPOCH};
use sync_protocol::clock::UnixMillis;

#[tokio::test]
async fn every_claim_of_the_field_day_holds() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("genba-field-day-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut book = Book::default();
    let world = World::begin(&folder, now()?).await?;
    scenes::play(&world, &mut book).await?;
    world.server.stop()?;
    assert!(book.close(), "a claim does not hold; the files are in {}", folder.display());
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the day begins when the test does")]
fn now() -> Result<UnixMillis> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(UnixMillis(i64::try_from(since.as_millis()).context("a time")?))
}
