//! Runs the real worker.

use axum::body::Bytes;
use futures_util::stream;
use genba_tests::field_day::server::program;
use image::RgbImage;
use image_worker::wire::Job;
use server::media::render::{Outcome, Rendered, Worker};
use std::io;
use std::time::Duration;
use storage::testing::TestResult;
use sync_protocol::blob::MediaType;

/// How a test starts workers: with patience, because many tests share the machine.
pub(crate) fn worker() -> TestResult<Worker> {
    Ok(Worker {
        program: program("genba")?,
        demand_seccomp: true,
        wall_max: Duration::from_mins(2),
    })
}

/// What a worker tells of `bytes`, which pass through in pieces.
pub(crate) async fn rendered(kind: MediaType, bytes: &[u8]) -> TestResult<Rendered> {
    let job = Job { kind, bytes: u64::try_from(bytes.len())? };
    let pieces =
        bytes.chunks(64 * 1024).map(|piece| Ok::<_, io::Error>(Bytes::copy_from_slice(piece)));
    Ok(worker()?.render(job, stream::iter(pieces)).await?)
}

/// The two pictures that were made: for lists, for a screen.
pub(crate) async fn made(kind: MediaType, bytes: &[u8]) -> TestResult<(Bytes, Bytes)> {
    match rendered(kind, bytes).await?.outcome {
        Outcome::Made { thumb, screen } => Ok((thumb, screen)),
        Outcome::Kept | Outcome::Refused(_) => Err("nothing was made".into()),
    }
}

pub(crate) fn decoded(jpeg: &[u8]) -> TestResult<RgbImage> {
    Ok(image::load_from_memory_with_format(jpeg, image::ImageFormat::Jpeg)?.into_rgb8())
}

/// Whether a pixel looks like a colour.
pub(crate) fn looks_like(picture: &RgbImage, (x, y): (u32, u32), color: [u8; 3]) -> bool {
    picture.get_pixel(x, y).0.iter().zip(color).all(|(is, should)| is.abs_diff(should) < 40)
}
