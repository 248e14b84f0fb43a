//! Morning: tablets are handed out and carry what their users may hold, and nothing else.

use super::Tablets;
use crate::field_day::claims::Book;
use crate::field_day::world::World;
use anyhow::Result;
use std::collections::BTreeSet;
use sync_protocol::id::RecordId;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Who gets a tablet, and how far the wall clock of that tablet is off.
const HANDED_OUT: [(&str, &str, i64); 8] = [
    ("fire", "st-f1", 0),
    ("fire", "st-f3", 0),
    ("fire", "st-f4", 0),
    ("sanitation", "st-h1", 0),
    ("sanitation", "st-h4", DAY_MS),
    ("welfare", "st-w1", 0),
    ("welfare", "st-w2", 0),
    ("welfare", "st-w4", 0),
];

pub(super) async fn play(world: &World, book: &mut Book) -> Result<Tablets> {
    book.scene("朝 Morning: tablets are handed out");
    let mut tablets = Tablets::default();
    for (tenant, login, clock_off_ms) in HANDED_OUT {
        let mut crew = world.tablet(tenant, login, clock_off_ms).await?;
        crew.sync().await?;
        tablets.0.insert(login.to_owned(), crew);
    }
    book.say("Eight tablets enrol, each with a one-time code from its bureau's administrator, and sync once.");

    let chief = world.office("fire", "st-f2").await?;
    let south: BTreeSet<RecordId> =
        World::listed(&chief, "station:fs-south").await?.into_keys().collect();
    let manuals: BTreeSet<RecordId> =
        World::listed(&chief, "everyone").await?.into_keys().collect();
    let held: BTreeSet<RecordId> = tablets.of("st-f1")?.tablet()?.replica().records().collect();
    book.claim(
        "st-f1 見本 (南署) carries every record of station:fs-south and of everyone (手引き, 条文), and no other",
        held.len(),
        south.union(&manuals).count(),
    );
    book.holds(
        "… record by record",
        held.is_subset(&south.union(&manuals).copied().collect()),
        || "a record of another place is on the tablet".to_owned(),
    );
    let north = World::record("fire", "fire_prevention_property:p-08")?;
    book.claim(
        "見本湯 (p-08, 北署) is not on that tablet",
        tablets.of("st-f1")?.has(north)?,
        false,
    );

    let visit = World::record("welfare", "household:hh-07")?;
    book.claim(
        "st-w1 仮名 春子 does not hold hh-07, a household of her colleague",
        tablets.of("st-w1")?.has(visit)?,
        false,
    );
    let admin = world.office("fire", "admin-fire").await?;
    let seen = World::listed(&admin, "station:fs-south").await?.len();
    book.claim("the administrator who made the codes reads no record of the station", seen, 0);
    Ok(tablets)
}
