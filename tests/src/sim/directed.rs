//! Worlds in which one thing is done on purpose.

use super::dice::Dice;
use super::plan::Plan;
use super::world::World;
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::collections::BTreeMap;
use sync_protocol::change::{CHANGE_BYTES_MAX, Home, Path};
use sync_protocol::id::{Bucket, RecordId};
use sync_protocol::replica::Edit;

const MINUTE_MS: i64 = 60_000;
/// What a change that sets one field needs beside the value: ids, times, and the dots that it carries forward.
const AROUND_BYTES: usize = 1_024;

fn title(text: &str) -> Edit {
    Edit::Set(Path::Field("title".to_owned()), json!(text))
}

/// A still world with one tablet that may write in a bucket, and a visit there.
async fn still(seed: u64) -> Result<(World, RecordId)> {
    let mut world = World::begin(seed, Dice::new(seed), Plan::still(1)).await?;
    world.run_until(world.now + MINUTE_MS).await?;
    let user = *world.house.people.first().context("a person")?;
    let held = world.eye.held(user, world.now).await?;
    let bucket: Bucket = held
        .into_iter()
        .find(|bucket| bucket.kind() == "station")
        .context("a bucket to write in")?;
    let rec = world.new_record();
    world.author(0, rec, "visit", vec![Edit::New(Home::In(bucket)), title("a")])?;
    world.run_until(world.now + MINUTE_MS).await?;
    Ok((world, rec))
}

async fn settle(mut world: World) -> Result<World> {
    world.run_until(world.now + 30 * MINUTE_MS).await?;
    world.check_live()?;
    world.check_settled().await?;
    Ok(world)
}

/// Invariant 32: edits one field `edits` times; gives the bytes of the stored state and meta afterwards.
pub async fn one_field_many_times(seed: u64, edits: usize) -> Result<usize> {
    let (mut world, rec) = still(seed).await?;
    for edit in 0..edits {
        world.author(0, rec, "visit", vec![title(&format!("value {edit:06}"))])?;
        world.run_until(world.now + 1_000).await?;
    }
    let mut world = settle(world).await?;
    let records = world.eye.records().await?;
    let stored = records.first().context("the visit")?;
    let pointers: usize = world.eye.pointers().await?.values().map(BTreeMap::len).sum();
    ensure!(pointers == 1, "{pointers} pointers for one record in one bucket");
    let bytes = stored.state.len() + stored.meta.len();
    world.finish().await?;
    Ok(bytes)
}

/// Invariant 31: more than a push may hold, with changes of the largest size, reaches the server within the limits.
pub async fn changes_of_the_largest_size(seed: u64) -> Result<()> {
    let (mut world, rec) = still(seed).await?;
    world.set_online(0, false)?;
    let before = world.tally.authored;
    world.author(0, rec, "visit", vec![title("")])?;
    for _ in 0..6 {
        world.author(0, rec, "visit", vec![title(&"v".repeat(CHANGE_BYTES_MAX - AROUND_BYTES))])?;
    }
    ensure!(world.tally.authored == before + 7, "a change within the limit was refused");
    world.author(0, rec, "visit", vec![title(&"v".repeat(CHANGE_BYTES_MAX))])?;
    ensure!(world.tally.authored == before + 7, "a change over the limit was authored");
    for number in 0..230 {
        world.author(0, rec, "visit", vec![title(&format!("{number}"))])?;
    }
    world.set_online(0, true)?;
    settle(world).await?.finish().await
}
