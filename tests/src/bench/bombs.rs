//! Every file and body that was made to hurt, given to one server while photos and text go on coming in.

use super::client::http;
use super::load::{CAMERAS, Load, WRITERS};
use super::pull::at;
use super::stage::Stage;
use super::table::{Line, Target};
use super::watch::{Most, Watch};
use crate::forge::bombs::{ALL, Bomb, End};
use crate::uploads::camera::Shot;
use anyhow::{Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;
use sync_protocol::blob::MediaType;
use sync_protocol::id::RecordId;

/// The tablet that sends what hurts.
const BOMBER: usize = WRITERS + CAMERAS;
/// How long a bomb may wait for its end: two attempts with a rest of a minute between them, and the others before it.
const PATIENCE: Duration = Duration::from_mins(3);
const MIB: usize = 1024 * 1024;
/// What a body inflates to, in MiB.
const BODY_MIB: usize = 512;
/// How often each of the bodies is sent.
const BODIES: usize = 8;

/// What a sync may take beside bombs, p99, in milliseconds, where twice its time without them is less.
const SYNC_MS: f64 = 250.0;

/// What the bombs cost.
#[derive(Debug)]
pub struct Toll {
    /// By how much the server's resident memory was above its rest, at most, in KiB.
    pub growth_kib: u64,
    /// The most that a worker used.
    pub worker: Most,
    /// p99 of a sync without bombs, in milliseconds.
    pub calm_ms: f64,
    /// p99 of a sync while they came.
    pub stormy_ms: f64,
    /// How many files and bodies there were.
    pub bombs: usize,
    /// Those that did not end as they should.
    pub wrongs: Vec<String>,
}

/// Measures.
#[expect(clippy::cast_precision_loss, reason = "counts of KiB and microseconds")]
pub async fn run(quick: bool) -> Result<Vec<Line>> {
    let toll = play(Duration::from_secs(if quick { 2 } else { 20 })).await?;
    ensure!(toll.wrongs.is_empty(), "these did not end as they should: {:?}", toll.wrongs);
    let mib = |kib: u64| kib as f64 / 1_024.0;
    let growth = format!("{} bombs, growth of the server at its peak", toll.bombs);
    Ok(vec![
        Line::new(growth, mib(toll.growth_kib), "MiB").target(Target::AtMost(64.0)),
        Line::new("… the largest worker", mib(toll.worker.resident_kib), "MiB")
            .target(Target::AtMost(384.0)),
        Line::new("… the longest worker", toll.worker.cpu_us as f64 / 1e6, "s of processor")
            .target(Target::AtMost(5.0)),
        Line::new("… a sync beside them, p99, against without", toll.stormy_ms, "ms")
            .against(toll.calm_ms)
            .target(Target::AtMost((2.0 * toll.calm_ms).max(SYNC_MS))),
    ])
}

/// Has tablets work for `calm` without bombs, and then with all of them.
pub async fn play(calm: Duration) -> Result<Toll> {
    let stage = Stage::open(BOMBER + 1).await?;
    let bodies = [("gzip", gzip_bomb()?), ("zstd", zstd_bomb()?)];
    let bombs: Vec<(Bomb, Shot)> =
        ALL.into_iter().map(|bomb| (bomb, Shot::of(bomb.kind, (bomb.bytes)()))).collect();
    let mut load = Load::begin(&stage).await?;
    let wait = async {
        tokio::time::sleep(calm).await;
        Ok(())
    };
    let (mut calm_ms, ()) = load.beside(wait).await?;
    let rest_kib = stage.server.resident_kib()?;
    stage.server.forget_peak()?;
    let watch = Watch::over(stage.server.pid());
    let (mut stormy_ms, (rec, mut wrongs)) = load.beside(explode(&stage, &bombs, &bodies)).await?;
    // Those that kill their worker get a second one after a rest.
    for (bomb, shot) in bombs.iter().filter(|(bomb, _)| bomb.end == End::Dies) {
        wrongs.extend(judge(&stage, rec, bomb, shot).await?);
    }
    let worker = watch.end()?;
    let growth_kib = stage.server.peak_kib()?.saturating_sub(rest_kib);
    stage.server.stop()?;
    calm_ms.sort_by(f64::total_cmp);
    stormy_ms.sort_by(f64::total_cmp);
    Ok(Toll {
        growth_kib,
        worker,
        calm_ms: at(&calm_ms, 0.99),
        stormy_ms: at(&stormy_ms, 0.99),
        bombs: bombs.len() + bodies.len() * BODIES,
        wrongs,
    })
}

/// Sends everything, and waits for the end of all that have one without a second attempt.
async fn explode(
    stage: &Stage,
    bombs: &[(Bomb, Shot)],
    bodies: &[(&str, Vec<u8>)],
) -> Result<(RecordId, Vec<String>)> {
    let payloads = bombs.iter().map(|(_, shot)| shot.payload()).collect();
    let rec = stage.record_with(BOMBER, payloads).await?;
    let mut wrongs = Vec::new();
    for (encoding, body) in bodies {
        for _ in 0..BODIES {
            let status = inflate(stage, encoding, body).await?;
            if status != StatusCode::PAYLOAD_TOO_LARGE {
                wrongs.push(format!("a body of {encoding} is answered {status}"));
            }
        }
    }
    for (bomb, shot) in bombs {
        let status = stage.try_upload(BOMBER, shot).await?.status();
        let fits = if is_what_it_says(bomb, shot) {
            status == StatusCode::CREATED
        } else {
            status.is_client_error()
        };
        if !fits {
            wrongs.push(format!("{} is answered {status}", bomb.name));
        }
    }
    for (bomb, shot) in bombs.iter().filter(|(bomb, _)| bomb.end != End::Dies) {
        wrongs.extend(judge(stage, rec, bomb, shot).await?);
    }
    Ok((rec, wrongs))
}

/// Whether the first bytes are those of its type; no other is taken.
fn is_what_it_says(bomb: &Bomb, shot: &Shot) -> bool {
    MediaType::of_bytes(&shot.bytes) == Some(bomb.kind)
}

/// What is wrong with the end of a bomb.
async fn judge(stage: &Stage, rec: RecordId, bomb: &Bomb, shot: &Shot) -> Result<Option<String>> {
    if !is_what_it_says(bomb, shot) {
        return Ok(None);
    }
    let should = match bomb.end {
        End::Made => "made",
        End::Kept => "none",
        End::TooLarge | End::Damaged | End::Dies => "unrenderable",
    };
    let told = stage.rendered(BOMBER, rec, shot.blob.sha256, PATIENCE).await?;
    let is = told.get("render").and_then(Value::as_str).unwrap_or_default();
    let kept = stage.media(BOMBER, rec, shot.blob.sha256, "")?.send().await?.bytes().await?;
    let as_should = is == should && kept == shot.bytes && told.get("state") == Some(&json!("have"));
    Ok((!as_should).then(|| format!("{} is {told}, of {} bytes", bomb.name, kept.len())))
}

/// Sends a body that inflates; gives how it is answered.
async fn inflate(stage: &Stage, encoding: &str, body: &[u8]) -> Result<StatusCode> {
    let call = http()?.post(format!("{}/v1/sync", stage.server.url));
    let call = call.header("content-type", "application/json").header("content-encoding", encoding);
    Ok(stage.signed(call, BOMBER)?.body(body.to_vec()).send().await?.status())
}

fn gzip_bomb() -> io::Result<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    write_blanks(&mut out)?;
    out.finish()
}

fn zstd_bomb() -> io::Result<Vec<u8>> {
    let mut out = zstd::Encoder::new(Vec::new(), 1)?;
    write_blanks(&mut out)?;
    out.finish()
}

fn write_blanks(out: &mut impl Write) -> io::Result<()> {
    let piece = vec![b' '; MIB];
    (0..BODY_MIB).try_for_each(|_| out.write_all(&piece))
}
