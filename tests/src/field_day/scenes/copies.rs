//! A tablet is restored from an old copy of itself.

use super::Tablets;
use crate::bureau::copy_folder;
use crate::field_day::claims::Book;
use crate::field_day::crew::{Crew, set};
use crate::field_day::world::{World, shown};
use anyhow::{Result, bail};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use sync_protocol::id::{ChangeId, RecordId};
use sync_protocol::replica::Notice;

pub(super) async fn play(world: &World, book: &mut Book, tablets: &mut Tablets) -> Result<()> {
    book.scene("北署: a tablet is restored from an old copy");
    let rec = World::record("fire", "fire_inspection:fi-p12")?;
    let copy = world.folder.join("copy-of-st-f4");
    let crew = tablets.of("st-f4")?;
    let before = crew.tablet()?.replica().replica_id();
    let waiting =
        crew.edit(rec, vec![set("interview", "理事の話: 開口部は毎朝見ている。")]).await?;
    crew.switch_off();
    closed(crew.folder()).await?;
    copy_folder(crew.folder(), &copy)?;
    crew.switch_on().await?;
    book.say(
        "st-f4 架空 四郎 writes a statement; the tablet is copied (a backup) before it has synced.",
    );
    crew.sync().await?;
    let after =
        crew.edit(rec, vec![set("immediate_measure", "表示板の雪を払ってもらった。")]).await?;
    crew.sync().await?;
    book.say("It syncs, he writes on and syncs again. Then the tablet breaks, and the copy is put in its place.");

    crew.switch_off();
    closed(crew.folder()).await?;
    std::fs::remove_dir_all(crew.folder())?;
    copy_folder(&copy, crew.folder())?;
    crew.switch_on().await?;
    let restored =
        crew.edit(rec, vec![set("attendant_name", "商店街振興組合 理事 見本 十郎")]).await?;
    crew.notices()?;
    crew.sync().await?;
    let forked = crew.notices()?.contains(&Notice::Forked);
    book.holds("the server answers replica_forked: this lease was used already", forked, || {
        "the tablet noticed nothing".to_owned()
    });
    book.holds(
        "the tablet takes a new replica id",
        crew.tablet()?.replica().replica_id() != before,
        || before.to_string(),
    );
    book.claim(
        "… and offers everything again, unaltered; nothing waits any more",
        crew.tablet()?.replica().outbox_len(),
        0,
    );

    let office = world.office("fire", "st-f2").await?;
    once_each(book, &office, rec, [waiting, after, restored]).await?;
    let measure = crew.value(rec, "immediate_measure")?;
    book.claim(
        "what the old copy never knew is on the tablet again",
        measure,
        json!("表示板の雪を払ってもらった。"),
    );
    let record = shown(&office, rec).await?;
    book.claim("no conflict came of it", &record["conflicts"], &json!([]));
    same(book, &record, crew, rec)
}

async fn once_each(
    book: &mut Book,
    office: &crate::field_day::office::Office,
    rec: RecordId,
    ids: [ChangeId; 3],
) -> Result<()> {
    let history = office.get(&format!("/v1/records/{rec}/history?limit=200")).await?;
    let changes = history["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let times = ids.map(|id| changes.iter().filter(|entry| entry["id"] == json!(id)).count());
    book.claim("all three changes are in the journal, each exactly once", times, [1, 1, 1]);
    Ok(())
}

fn same(book: &mut Book, record: &serde_json::Value, crew: &Crew, rec: RecordId) -> Result<()> {
    let seen = serde_json::to_value(crew.view(rec)?)?;
    book.holds(
        "tablet and server show the same",
        seen["fields"] == record["view"]["fields"],
        || seen["fields"].to_string(),
    );
    Ok(())
}

/// How often it is looked whether a tablet's database has closed, and after what time again.
const LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Waits until the database of a tablet that is off has closed behind it and taken its log along.
async fn closed(folder: &Path) -> Result<()> {
    for _ in 0..LOOKS {
        if !has_log(folder)? {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    bail!("the database in {} does not close", folder.display())
}

fn has_log(folder: &Path) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with("-wal") || name.ends_with("-shm") {
            return Ok(true);
        }
    }
    Ok(false)
}
