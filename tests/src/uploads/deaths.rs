//! The server dies at a named place of an upload, of collection or of a render; another goes on from there.

use super::camera::Shot;
use super::client::{Checksum, Patched};
use super::ward::Ward;
use crate::crash::child::Process;
use crate::forge::photo::jpeg;
use anyhow::{Context as _, Result, ensure};
use sqlx::{Connection as _, SqliteConnection};
use std::path::Path;
use std::time::{Duration, Instant};
use sync_protocol::blob::MediaType;
use uuid::Uuid;

/// Bytes of the file: a part of 8 MiB and one more.
const FILE_BYTES: usize = 10 * 1024 * 1024;
/// Bytes of a part.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of a photo that nothing names.
const PHOTO_BYTES: usize = 5_000;
/// How long a server that reaches its place may take to be gone.
const DEATH_MAX: Duration = Duration::from_secs(20);
/// How often we look.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Several rounds of collection.
const ROUNDS: Duration = Duration::from_secs(4);

/// Where an upload of two parts can be cut, and how much is claimed then.
pub const UPLOAD: [(&str, u64); 4] = [
    ("upload.part_written:1", 0),
    ("upload.claimed:1", PART_BYTES),
    ("upload.part_written:2", PART_BYTES),
    ("upload.claimed:2", FILE_BYTES as u64),
];

/// Where the removal of a photo can be cut.
pub const COLLECT: [&str; 2] = ["collect.condemned", "collect.erased"];

/// Where the making of pictures can be cut.
pub const RENDER: [&str; 3] = ["render.leased", "render.objects_written", "render.named"];

async fn dies(mut process: Process, point: &str) -> Result<()> {
    ensure!(process.ends_within(DEATH_MAX).await?, "{point} was not reached");
    Ok(())
}

/// Has a server die in an upload, with so many bytes claimed; another takes the rest. Files lie in `folder`.
pub async fn in_an_upload(folder: &Path, point: &str, claimed: u64) -> Result<()> {
    let ward = Ward::open(folder).await?;
    let shot = Shot::new(MediaType::Heic, FILE_BYTES, 1);
    let process = ward.doomed(point).await?;
    let path = ward.create(&process, &shot).await?;
    let bytes = shot.bytes.clone();
    let sent = ward.uploader.patch(&process.url, &path, 0, bytes, Checksum::None).await;
    ensure!(sent == Patched::Lost, "{sent:?}");
    dies(process, point).await?;
    let process = ward.launch.start_whole(&ward.http).await?;
    let told = ward.uploader.offset(&process.url, &path).await.and_then(Result::ok);
    ensure!(told == Some(claimed), "{told:?} is not {claimed}");
    let rest = shot.bytes.get(usize::try_from(claimed)?..).context("a rest")?.to_vec();
    let whole = Patched::Taken(shot.blob.bytes);
    let sent = ward.uploader.patch(&process.url, &path, claimed, rest, Checksum::Right).await;
    ensure!(sent == whole, "the rest is answered {sent:?}");
    ensure!(ward.read_back(&process, &shot).await? == shot.bytes, "other bytes");
    Ok(())
}

/// Has a server die while it removes a photo that nothing names; another ends that. Then the photo comes again, is
/// named and stays. Files lie in `folder`.
pub async fn in_collection(folder: &Path, point: &str) -> Result<()> {
    let mut ward = Ward::open(folder).await?;
    "[objects]\nkeep_unnamed_days = 0\ncollect_every_s = 1\n".clone_into(&mut ward.launch.settings);
    let shot = Shot::new(MediaType::Heic, PHOTO_BYTES, 2);
    let process = ward.doomed(point).await?;
    let path = ward.create(&process, &shot).await?;
    let bytes = shot.bytes.clone();
    // It may be removed before the answer has come.
    let _sent = ward.uploader.patch(&process.url, &path, 0, bytes.clone(), Checksum::None).await;
    dies(process, point).await?;
    let process = ward.launch.start_whole(&ward.http).await?;
    let began = Instant::now();
    while ward.objects()? > 0 {
        ensure!(began.elapsed() < DEATH_MAX, "what was being removed is still there");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let rec = Uuid::from_u128(1).to_string();
    let change = Uuid::from_u128(2).to_string();
    ensure!(ward.uploader.name(&process.url, &rec, &shot, &change).await? == 200, "named");
    let path = ward.create(&process, &shot).await?;
    let sent = ward.uploader.patch(&process.url, &path, 0, bytes, Checksum::None).await;
    ensure!(sent == Patched::Taken(shot.blob.bytes), "{sent:?}");
    tokio::time::sleep(ROUNDS).await;
    ensure!(ward.read_back(&process, &shot).await? == shot.bytes, "other bytes");
    Ok(())
}

/// Has a server die while the pictures of a photo are made; when its lease is over another makes them. Files lie in
/// `folder`.
pub async fn in_a_render(folder: &Path, point: &str) -> Result<()> {
    let ward = Ward::open(folder).await?;
    let shot = Shot::of(MediaType::Jpeg, jpeg(640, 360, None));
    let process = ward.doomed(point).await?;
    let path = ward.create(&process, &shot).await?;
    // The worker may be done before the answer has come.
    let sent = ward.uploader.patch(&process.url, &path, 0, shot.bytes.clone(), Checksum::None);
    let _sent = sent.await;
    dies(process, point).await?;
    let mut database = SqliteConnection::connect(&ward.database).await?;
    let over = "update blob set render_until = 1 where render = 'pending'";
    sqlx::query(over).execute(&mut database).await?;
    database.close().await?;
    let process = ward.launch.start_whole(&ward.http).await?;
    ensure!(ward.read_back(&process, &shot).await? == shot.bytes, "other bytes");
    let rec = Uuid::from_u128(1).to_string();
    for query in ["?size=thumb", "?size=screen"] {
        let began = Instant::now();
        while ward.uploader.read_sized(&process.url, &rec, &shot, query).await?.0 != 200 {
            ensure!(began.elapsed() < DEATH_MAX, "no picture for {query}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}
