//! Everyday work: tablets that push text at a steady pace, and others that send photos beside it.

use super::author::Author;
use super::client::Tablet;
use super::scene::now;
use super::stage::Stage;
use crate::uploads::camera::Shot;
use anyhow::Result;
use futures_util::future::{try_join_all, try_join3};
use serde_json::value::RawValue;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use sync_protocol::blob::MediaType;

/// Tablets that push text.
pub const WRITERS: usize = 8;
/// Tablets that send photos.
pub const CAMERAS: usize = 2;
/// A writer pushes one change this often.
const PUSH_EVERY: Duration = Duration::from_millis(50);
/// A camera sends a photo this often.
const PHOTO_EVERY: Duration = Duration::from_millis(100);
/// Bytes of such a photo: what a tablet sends of a form's photo is smaller than what a camera makes.
const PHOTO_BYTES: usize = 500_000;
/// Bytes of the remark of a record.
const REMARK_BYTES: usize = 200;

/// The first tablets of a stage at work.
#[derive(Debug)]
pub struct Load<'a> {
    stage: &'a Stage,
    writers: Vec<(Tablet<'a>, Author)>,
    photos: AtomicU64,
}

impl<'a> Load<'a> {
    /// Has the tablets take what they may hold.
    pub async fn begin(stage: &'a Stage) -> Result<Self> {
        let mut writers = Vec::new();
        for n in 0..WRITERS {
            let person = stage.person(n)?;
            let mut tablet = Tablet::new(&stage.scene, person, &stage.server.url)?;
            tablet.enter().await?;
            writers.push((tablet, Author::new(person.clone(), u64::try_from(n)?, now())));
        }
        Ok(Self { stage, writers, photos: AtomicU64::new(0) })
    }

    /// Works as long as `other` takes; gives how long each sync took, in milliseconds, beside what the other gives.
    pub async fn beside<T>(
        &mut self,
        other: impl Future<Output = Result<T>>,
    ) -> Result<(Vec<f64>, T)> {
        let Self { stage, writers, photos } = self;
        let (over, stage, photos) = (AtomicBool::new(false), *stage, &*photos);
        let other = async {
            let given = other.await;
            over.store(true, Ordering::Relaxed);
            given
        };
        let texts = try_join_all(writers.iter_mut().map(|writer| push(writer, &over)));
        let sent = try_join_all((0..CAMERAS).map(|n| send(stage, WRITERS + n, photos, &over)));
        let (taken_ms, _, given) = try_join3(texts, sent, other).await?;
        Ok((taken_ms.concat(), given))
    }
}

async fn push((tablet, author): &mut (Tablet<'_>, Author), over: &AtomicBool) -> Result<Vec<f64>> {
    let mut taken_ms = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let (change, _) = author.create(REMARK_BYTES);
        let text = RawValue::from_string(change.freeze().text().to_owned())?;
        let began = Instant::now();
        tablet.call(&[text]).await?;
        taken_ms.push(began.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(PUSH_EVERY).await;
    }
    Ok(taken_ms)
}

async fn send(stage: &Stage, tablet: usize, photos: &AtomicU64, over: &AtomicBool) -> Result<()> {
    while !over.load(Ordering::Relaxed) {
        let seed = photos.fetch_add(1, Ordering::Relaxed);
        stage.upload(tablet, &Shot::new(MediaType::Heic, PHOTO_BYTES, seed)).await?;
        tokio::time::sleep(PHOTO_EVERY).await;
    }
    Ok(())
}
