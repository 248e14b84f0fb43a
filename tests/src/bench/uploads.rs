//! Uploads: one large file, many photos at once, and a link that drops; against writing and hashing the same bytes.

use super::stage::Stage;
use super::table::{Line, Target};
use crate::link::{Conduct, Link};
use crate::uploads::camera::Shot;
use anyhow::{Result, ensure};
use reqwest::Client;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use sync_protocol::blob::MediaType;

/// Bytes between two fsyncs of the raw limit, and of a PATCH over a bad link.
const PIECE: usize = 8 * 1024 * 1024;
const MIB: usize = 1024 * 1024;
/// Tablets that upload photos.
const TABLETS: usize = 16;
/// Bytes of a photo.
const PHOTO_BYTES: usize = 3 * 1000 * 1000;
/// Two megabits a second.
const LINK_BYTES_PER_SECOND: u64 = 250_000;
/// How often the bad link drops.
const LINK_DROPS_AFTER: Duration = Duration::from_secs(20);

/// Measures one large upload.
pub async fn large(quick: bool) -> Result<Vec<Line>> {
    let bytes = if quick { 20 } else { 200 } * 1000 * 1000;
    let shot = Shot::new(MediaType::Mp4, bytes, 1);
    let stage = Stage::open(1).await?;
    stage.upload(0, &Shot::new(MediaType::Heic, MIB, 2)).await?;
    let before = stage.server.resident_kib()?;
    stage.server.forget_peak()?;
    let began = Instant::now();
    stage.upload(0, &shot).await?;
    let elapsed = began.elapsed();
    let growth = stage.server.peak_kib()?.saturating_sub(before);
    let raw = write_and_hash(stage.folder.path(), std::slice::from_ref(&shot))?;
    stage.server.stop()?;
    Ok(vec![
        Line::new(format!("one upload of {} MB", bytes / 1_000_000), rate(bytes, elapsed), "MB/s")
            .against(rate(bytes, raw))
            .target(Target::RatioAtLeast(0.6)),
        #[expect(clippy::cast_precision_loss, reason = "a count of KiB")]
        Line::new("one upload, growth of the server at its peak", growth as f64 / 1024.0, "MiB")
            .target(Target::AtMost(32.0)),
    ])
}

/// Measures many photos from many tablets.
pub async fn photos(quick: bool) -> Result<Vec<Line>> {
    let count = if quick { 32 } else { 200 };
    let shots: Vec<Shot> =
        (0..count).map(|n| Shot::new(MediaType::Heic, PHOTO_BYTES, 10 + n)).collect();
    let stage = Stage::open(TABLETS).await?;
    for tablet in 0..TABLETS {
        let warm = Shot::new(MediaType::Heic, MIB, 1_000 + u64::try_from(tablet)?);
        stage.upload(tablet, &warm).await?;
    }
    let began = Instant::now();
    let tablets = (0..TABLETS).map(|tablet| {
        let own = shots.iter().skip(tablet).step_by(TABLETS);
        let stage = &stage;
        async move {
            for shot in own {
                stage.upload(tablet, shot).await?;
            }
            anyhow::Ok(())
        }
    });
    futures_util::future::try_join_all(tablets).await?;
    let elapsed = began.elapsed();
    let raw = write_and_hash(stage.folder.path(), &shots)?;
    stage.server.stop()?;
    let bytes = shots.len() * PHOTO_BYTES;
    Ok(vec![
        Line::new(
            format!("{count} photos of 3 MB from {TABLETS} tablets"),
            rate(bytes, elapsed),
            "MB/s",
        )
        .against(rate(bytes, raw))
        .target(Target::RatioAtLeast(0.5)),
    ])
}

/// Measures what a link that drops costs in bytes.
pub async fn link(quick: bool) -> Result<Vec<Line>> {
    let bytes = if quick { 6 } else { 12 } * MIB;
    let shot = Shot::new(MediaType::Heic, bytes, 3);
    let stage = Stage::open(1).await?;
    let conduct = Conduct {
        cut_after: Some(LINK_DROPS_AFTER),
        bytes_per_second: Some(LINK_BYTES_PER_SECOND),
        ..Conduct::WHOLE
    };
    let link = Link::open(&stage.server.url, move || conduct).await?;
    let client = Client::builder().pool_max_idle_per_host(0).build()?;
    let path = stage.create(&client, &link.url, 0, &shot).await?;
    let (mut drops, mut offset) = (0.0, 0);
    while offset < bytes {
        let rest = shot.bytes.get(offset..).unwrap_or_default().to_vec();
        let sent = stage.patch(&client, &link.url, &path, 0, offset, rest).await;
        if !sent.is_ok_and(|answer| answer.status().is_success()) {
            drops += 1.0;
        }
        offset = stage.offset(&client, &link.url, &path, 0).await?;
        ensure!(drops < 100.0, "the upload does not end");
    }
    stage.server.stop()?;
    #[expect(clippy::cast_precision_loss, reason = "counts of bytes")]
    let ratio = link.carried() as f64 / bytes as f64;
    Ok(vec![
        Line::new(
            format!("bytes sent / needed, {} MiB at 2 Mbit/s, a drop each 20 s", bytes / MIB),
            ratio,
            "×",
        )
        .target(Target::AtMost(1.05)),
        Line::new("… drops", drops, "times"),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "a count of bytes")]
fn rate(bytes: usize, elapsed: Duration) -> f64 {
    bytes as f64 / 1e6 / elapsed.as_secs_f64()
}

/// The raw limit: the same bytes hashed and written to the same disk, with an fsync every 8 MiB.
fn write_and_hash(folder: &Path, shots: &[Shot]) -> Result<Duration> {
    let path = folder.join("raw");
    let began = Instant::now();
    let mut file = File::create(&path)?;
    let mut unsynced = 0;
    for shot in shots {
        let mut hash = Sha256::new();
        for piece in shot.bytes.chunks(PIECE) {
            hash.update(piece);
            file.write_all(piece)?;
            unsynced += piece.len();
            if unsynced >= PIECE {
                file.sync_data()?;
                unsynced = 0;
            }
        }
        ensure!(hash.finalize()[..] == shot.blob.sha256.0, "the bytes are their hash's");
    }
    file.sync_data()?;
    let elapsed = began.elapsed();
    std::fs::remove_file(path)?;
    Ok(elapsed)
}
