//! 写真と動画: taken without a network, carried over a bad one, missed by a seal, read back byte for byte.

use super::Tablets;
use crate::field_day::camera;
use crate::field_day::claims::Book;
use crate::field_day::crew::Crew;
use crate::field_day::office::Office;
use crate::field_day::world::{World, shown};
use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::path::PathBuf;
use sync_protocol::blob::BlobRef;
use sync_protocol::id::RecordId;
use sync_protocol::value::hash_of;
use tablet::{Facts, Network, TabletError};

/// How often somebody tries again while the network is bad.
const TRIES_MAX: usize = 30;
/// Seconds and bytes of the film.
const FILM: (u32, usize) = (8, 1_500_000);
const KITCHEN: &str = "sanitation_inspection:si-f02-again";

/// What was taken, and what it must be when it is read back.
struct Taken {
    blob: BlobRef,
    bytes: Vec<u8>,
}

pub(super) async fn play(
    world: &World,
    book: &mut Book,
    tablets: &mut Tablets,
    rec: RecordId,
) -> Result<()> {
    book.scene("写真と動画 Photos and a film: taken in a cellar, carried over a bad network");
    let photos = photograph(world, tablets.of("st-f3")?, rec).await?;
    let kitchen = World::record("sanitation", KITCHEN)?;
    let film = film(world, tablets.of("st-h1")?, kitchen).await?;
    book.say("st-f3 photographs the two findings of p-01 (指摘事項), st-h1 films the ceiling of the kitchen f-02; nobody has a network.");
    book.claim(
        "three photos wait on st-f3's tablet, and the film on st-h1's",
        (waiting(tablets, "st-f3")?, waiting(tablets, "st-h1")?),
        (3, 1),
    );

    let crew = tablets.of("st-f3")?;
    crew.set_network(Network::Mobile)?;
    crew.sync().await?;
    book.say("On the way st-f3's tablet finds a mobile network: text goes, photos wait for Wi-Fi.");
    let chief = world.office("fire", "pos-station-chief").await?;
    let record = shown(&chief, rec).await?;
    book.claim("the record knows of its photos: 0 of 3 are there", count(&record), (0, 3));
    missed(book, &chief, rec, &record).await?;

    world.weather.turns_bad();
    for login in ["st-f3", "st-h1"] {
        let crew = tablets.of(login)?;
        // Switched on anew, a tablet makes its connections anew.
        crew.switch_off();
        crew.switch_on().await?;
        arrive(crew).await?;
    }
    let dropped = world.weather.dropped();
    world.weather.clears();
    book.holds(
        &format!("Wi-Fi in the yard, but it drops every second and a half, or sooner: after {dropped} connections all four have arrived, each going on where it broke off"),
        dropped > 3,
        || format!("{dropped} connections"),
    );
    book.claim(
        "nothing waits any more",
        (waiting(tablets, "st-f3")?, waiting(tablets, "st-h1")?),
        (0, 0),
    );
    let record = shown(&chief, rec).await?;
    book.claim("3 of 3 are there", count(&record), (3, 3));
    book.claim(
        "… and nothing stands in the way of 決裁",
        &record["to_seal"]["problems"],
        &json!([]),
    );
    let kept = tablets.of("st-f3")?.originals()?;
    book.claim("the originals stay on st-f3's tablet until a backup has them too", kept, 3);
    colleagues(world, book, rec, &photos).await?;
    read_back(world, book, &chief, rec, &photos).await?;
    let inspector = world.office("sanitation", "st-h2").await?;
    read_back(world, book, &inspector, kitchen, &[film]).await
}

async fn photograph(world: &World, crew: &mut Crew, rec: RecordId) -> Result<Vec<Taken>> {
    let mut taken = Vec::new();
    for (number, row, caption) in [
        (0_u8, "crew-2-1", "三階の間仕切りの内側、感知器がない"),
        (1, "crew-2-1", "同じ場所、天井"),
        (2, "crew-2-2", "届出のない間仕切り"),
    ] {
        let bytes = camera::picture(120 + 40 * number, 80 + 100 * u32::from(number))?;
        let facts = Facts {
            place: Some("三階 カラオケ室".to_owned()),
            caption: Some(caption.to_owned()),
            at: Some(format!("findings/{row}")),
            ..Facts::default()
        };
        let file = world.folder.join(format!("photo-{number}.png"));
        taken.push(take(crew, rec, file, bytes, &facts).await?);
    }
    Ok(taken)
}

async fn film(world: &World, crew: &mut Crew, rec: RecordId) -> Result<Taken> {
    let facts =
        Facts { caption: Some("二号冷蔵庫の上の結露".to_owned()), ..Facts::default() };
    let bytes = camera::film(FILM.0, FILM.1);
    take(crew, rec, world.folder.join("film.mp4"), bytes, &facts).await
}

async fn take(
    crew: &mut Crew,
    rec: RecordId,
    file: PathBuf,
    bytes: Vec<u8>,
    facts: &Facts,
) -> Result<Taken> {
    std::fs::write(&file, &bytes)?;
    let blob = crew.photograph(rec, &file, facts).await?;
    ensure!(blob.sha256.0 == hash_of(&bytes), "the tablet names other bytes");
    Ok(Taken { blob, bytes })
}

fn waiting(tablets: &mut Tablets, login: &str) -> Result<usize> {
    Ok(tablets.of(login)?.tablet()?.replica().unsent_blobs())
}

/// How many of the photos of a record are there, and how many it names.
fn count(record: &Value) -> (u64, u64) {
    let number = |member: &str| record["media"][member].as_u64().unwrap_or(u64::MAX);
    (number("have"), number("of"))
}

/// The chief wants to seal while the photos are missing.
async fn missed(book: &mut Book, chief: &Office, rec: RecordId, record: &Value) -> Result<()> {
    let to_seal = &record["to_seal"];
    let codes: Vec<&str> = (to_seal["problems"].as_array().into_iter().flatten())
        .filter_map(|problem| problem["code"].as_str())
        .collect();
    let body = json!({ "rv": to_seal["rv"], "view_hash": to_seal["view_hash"] });
    let (status, refused) = chief.try_post(&format!("/v1/records/{rec}/seal"), &body).await?;
    book.claim(
        "消防署長 would seal: 422, photos are missing",
        (status, refused["reason"].as_str().unwrap_or_default(), codes),
        (StatusCode::UNPROCESSABLE_ENTITY, "not-ready-to-seal", vec!["blob_missing"]),
    );
    Ok(())
}

/// Syncs over the bad network until every photo has arrived; a try that came to nothing is followed by another.
async fn arrive(crew: &mut Crew) -> Result<()> {
    for _ in 0..TRIES_MAX {
        match crew.try_sync().await? {
            Ok(report) if report.media_waiting == 0 => return Ok(()),
            Ok(_) | Err(TabletError::MediaWaits { .. } | TabletError::SyncFailed { .. }) => {}
            Err(failed) => return Err(failed.into()),
        }
    }
    crew.tablet()?
        .media_standing()
        .iter()
        .map(|standing| standing.why.to_string())
        .reduce(|all, why| format!("{all}; {why}"))
        .map_or(Ok(()), |why| Err(anyhow::anyhow!("{}: {why}", crew.login)))
}

/// Who knows a hash and holds no grant reads nothing by it.
async fn colleagues(world: &World, book: &mut Book, rec: RecordId, photos: &[Taken]) -> Result<()> {
    let first = photos.first().context("a photo")?;
    for (tenant, login, who) in [
        ("fire", "st-f4", "st-f4 of the other station"),
        ("sanitation", "st-h2", "somebody of another bureau"),
        ("fire", "admin-fire", "the administrator"),
    ] {
        let office = world.office(tenant, login).await?;
        let (status, _) = office.bytes(&media(rec, first)).await?;
        book.claim(
            &format!("{who} knows the hash of a photo and gets nothing for it: 404"),
            status,
            StatusCode::NOT_FOUND,
        );
    }
    Ok(())
}

fn media(rec: RecordId, taken: &Taken) -> String {
    format!("/v1/records/{rec}/media/{}", taken.blob.sha256)
}

/// Every photo is the one that was taken, byte for byte.
async fn read_back(
    world: &World,
    book: &mut Book,
    office: &Office,
    rec: RecordId,
    all: &[Taken],
) -> Result<()> {
    let mut same = 0;
    for taken in all {
        let (status, bytes) = office.bytes(&media(rec, taken)).await?;
        ensure!(status == StatusCode::OK, "reading {} answered {status}", taken.blob.sha256);
        same += usize::from(hash_of(&bytes) == taken.blob.sha256.0 && bytes == taken.bytes);
    }
    let what = if all.iter().any(|taken| taken.blob.kind.is_video()) { "film" } else { "photos" };
    book.claim(
        &format!(
            "{} reads the {what} back: SHA-256 and every byte are those of the field",
            office.who
        ),
        same,
        all.len(),
    );
    book.look(&format!("GET {}/v1/records/{rec} tells `media`", world.server.url));
    Ok(())
}
