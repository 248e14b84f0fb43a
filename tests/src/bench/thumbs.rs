//! The two pictures of a photo: our worker against `vipsthumbnail`, each as processes of their own on the same core.

use super::pull::at;
use super::table::{Line, Target};
use crate::field_day::server::program;
use crate::forge::bombs::End;
use crate::forge::photo::{jpeg_of, scenery};
use anyhow::{Context as _, Result, bail, ensure};
use image_worker::wire::{Job, SCREEN_SIDE, THUMB_SIDE};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use storage::testing::Folder;
use sync_protocol::blob::MediaType;

/// The core that both work on: the last of two, where the system does less.
const CORE: &str = "1";
/// Twelve million pixels, as a telephone takes them.
const SIDES: (u16, u16) = (4_000, 3_000);

/// Measures.
pub async fn run(quick: bool) -> Result<Vec<Line>> {
    let rounds = if quick { 3 } else { 21 };
    tokio::task::spawn_blocking(move || compare(rounds)).await?
}

fn compare(rounds: usize) -> Result<Vec<Line>> {
    let folder = Folder::new("bench")?;
    let photo = jpeg_of(&scenery(SIDES.0.into(), SIDES.1.into()), SIDES, None, false);
    let original = folder.path().join("photo.jpg");
    std::fs::write(&original, &photo)?;
    let what = format!("both pictures of a 12-megapixel JPEG of {:.1} MB", megabytes(&photo));
    let has_vips = has("vipsthumbnail");
    let (mut ours, mut apart, mut chained) = (Vec::new(), Vec::new(), Vec::new());
    // Side by side, so that whatever else the machine does meets all of them.
    for _ in 0..=rounds {
        ours.push(by_worker(&photo)?);
        if has_vips {
            apart.push(by_vips(&original, &original)?);
            chained.push(by_vips(&original, &folder.path().join(made(SCREEN_SIDE)))?);
        }
    }
    let line = Line::new(what, median_ms(&ours), "ms");
    if !has_vips {
        return Ok(vec![
            line,
            Line::new("… vipsthumbnail is not installed: not compared", 0.0, ""),
        ]);
    }
    let (apart, chained) = (median_ms(&apart), median_ms(&chained));
    Ok(vec![
        line.against(apart.min(chained)).target(Target::RatioAtMost(1.2)),
        Line::new("… vipsthumbnail, each from the original", apart, "ms"),
        Line::new("… vipsthumbnail, the small one from the large one", chained, "ms"),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "a count of bytes")]
fn megabytes(bytes: &[u8]) -> f64 {
    bytes.len() as f64 / 1e6
}

/// The one in the middle; the first is not counted.
fn median_ms(taken: &[Duration]) -> f64 {
    let mut ms: Vec<f64> = taken.iter().skip(1).map(|taken| taken.as_secs_f64() * 1e3).collect();
    ms.sort_by(f64::total_cmp);
    at(&ms, 0.5)
}

fn has(name: &str) -> bool {
    let mut asked = Command::new(name);
    let asked = asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

/// A program that stays on one core where that can be said.
fn pinned(program: &Path) -> Command {
    if !has("taskset") {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", CORE]).arg(program);
    command
}

/// From the start of a worker to its end, with both pictures in memory.
fn by_worker(photo: &[u8]) -> Result<Duration> {
    let job = Job { kind: MediaType::Jpeg, bytes: u64::try_from(photo.len())? };
    let began = Instant::now();
    let mut child = pinned(&program("genba")?)
        .arg(image_worker::COMMAND)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    let (mut input, mut output) = pipes.context("a worker has pipes")?;
    let mut answer = Vec::new();
    std::thread::scope(|both| {
        let writing = both.spawn(move || -> io::Result<()> {
            input.write_all(&job.line())?;
            input.write_all(photo)
        });
        output.read_to_end(&mut answer)?;
        writing.join().map_err(|_| io::Error::from(io::ErrorKind::Other))?
    })?;
    ensure!(child.wait()?.success(), "the worker failed");
    let taken = began.elapsed();
    ensure!(End::told_by(&answer) == Some(End::Made), "the worker made nothing");
    Ok(taken)
}

fn made(side: u32) -> String {
    format!("made-{side}.jpg")
}

/// The same two sizes in the same quality without metadata: the large one from the original, the small one from `small`.
fn by_vips(original: &Path, small: &Path) -> Result<Duration> {
    let folder = original.parent().context("a folder")?;
    let began = Instant::now();
    for (from, side) in [(original, SCREEN_SIDE), (small, THUMB_SIDE)] {
        let to = format!("{}[Q=80,strip]", folder.join(made(side)).display());
        let status = pinned(Path::new("vipsthumbnail"))
            .env("VIPS_CONCURRENCY", "1")
            .arg(from)
            .args(["--size", &side.to_string(), "--output", &to])
            .status()?;
        if !status.success() {
            bail!("vipsthumbnail ended with {status}");
        }
    }
    Ok(began.elapsed())
}
