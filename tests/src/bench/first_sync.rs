//! First sync: everything that a tablet may hold, against reading the same rows and compressing them.

use super::client::{Tablet, http};
use super::process::Server;
use super::push::Engine;
use super::scene::{Scene, TENANT, now};
use super::seed::seed;
use super::table::{Line, Target};
use anyhow::{Result, bail};
use server::admin::{Actor, devices};
use server::clock::SystemClock;
use server::random::OsRandom;
use server::state::{AppState, Parts};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use storage::testing::Folder;
use storage::{Options, Store};
use sync_protocol::id::RecordId;
use sync_protocol::wire::ANSWER_BYTES_DEFAULT;

/// What a tablet asks for while it pages.
const PAGING_BYTES: usize = 1024 * 1024;
/// Bytes of state of a record.
const STATE_BYTES: usize = 4_096;
/// Records that are read at once.
const LOAD_ROWS: u32 = 64;

/// Measures.
pub async fn run(quick: bool) -> Result<Vec<Line>> {
    let records = if quick { 1_000 } else { 10_000 };
    let folder = Folder::new("bench")?;
    let database = Engine::Sqlite.database(&folder, "genba.db").await?;
    let scene = Scene::prepare(&database, 2, |_| ("station:s".to_owned(), true)).await?;
    let [first, second] = scene.people.as_slice() else { bail!("two people") };
    let seeded = seed(&database, &scene, first, records, STATE_BYTES).await?;
    let server = Server::start(folder.path(), &database, &http()?).await?;

    // The second tablet warms what the first would otherwise pay for alone: connections, statements, the page cache.
    let mut warm = Tablet::new(&scene, second, &server.url)?;
    warm.enter().await?;
    let before = server.resident_kib()?;
    server.forget_peak()?;
    let mut tablet = Tablet::new(&scene, first, &server.url)?;
    tablet.page_bytes = Some(PAGING_BYTES);
    let (began, cpu) = (Instant::now(), server.cpu_us()?);
    let received = tablet.enter().await?;
    let (elapsed, cpu) = (began.elapsed().as_secs_f64(), server.cpu_us()? - cpu);
    let growth = kib(server.peak_kib()?.saturating_sub(before));
    let applied = apply(&database, folder.path(), &server.url, &scene).await?;
    server.stop()?;

    let raw = read_and_compress(&database, &scene, &received.encoding).await?;
    let what = format!("first sync of {records} records of {} B", seeded.state_bytes);
    Ok(vec![
        Line::new(format!("{what}, client discards"), elapsed * 1e3, "ms")
            .against(raw * 1e3)
            .target(Target::RatioAtMost(2.0)),
        Line::new("first sync, growth of the server at its peak", growth / 1_024.0, "MiB")
            .target(Target::AtMost(32.0)),
        Line::new("first sync, bytes on the wire", mib(received.bytes), "MiB"),
        Line::new("first sync, calls", f64::from(received.calls), "calls"),
        #[expect(clippy::cast_precision_loss, reason = "microseconds of seconds")]
        Line::new("first sync, the server's processor time", cpu as f64 / 1e3, "ms"),
        Line::new("first sync by a tablet that stores it", applied * 1e3, "ms"),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "a count of KiB")]
const fn kib(kib: u64) -> f64 {
    kib as f64
}

#[expect(clippy::cast_precision_loss, reason = "a count of bytes")]
fn mib(bytes: usize) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// The same rows, read in the same order, compressed in answers of the same size by the same algorithm and level.
async fn read_and_compress(database: &str, scene: &Scene, encoding: &str) -> Result<f64> {
    let store = Store::open(&Options::new(database)).await?;
    let Some(person) = scene.people.first() else { bail!("nobody") };
    let began = Instant::now();
    let mut tx = store.read().await?;
    let (mut after, mut page, mut compressed) = (None, Vec::new(), 0);
    loop {
        let rows = tx.pointers().page(&scene.tenant, &person.bucket, after, LOAD_ROWS).await?;
        let recs: Vec<RecordId> = rows.iter().map(|row| row.rec).collect();
        after = recs.last().copied();
        for row in tx.records().load(&scene.tenant, &recs).await? {
            page.extend_from_slice(&row.state);
            if page.len() >= ANSWER_BYTES_DEFAULT {
                compressed += compress(encoding, &page)?;
                page.clear();
            }
        }
        if after.is_none() {
            break;
        }
    }
    compressed += compress(encoding, &page)?;
    drop(tx);
    let elapsed = began.elapsed().as_secs_f64();
    store.close().await;
    anyhow::ensure!(compressed > 0, "nothing was compressed");
    Ok(elapsed)
}

fn compress(encoding: &str, page: &[u8]) -> Result<usize> {
    Ok(match encoding {
        "zstd" => zstd::encode_all(page, zstd::DEFAULT_COMPRESSION_LEVEL)?.len(),
        "gzip" => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(page)?;
            encoder.finish()?.len()
        }
        other => bail!("the answers are encoded as {other:?}"),
    })
}

/// The first sync of a real tablet: it takes every record into its replica and its own database.
async fn apply(database: &str, folder: &Path, url: &str, scene: &Scene) -> Result<f64> {
    let Some(person) = scene.people.first() else { bail!("nobody") };
    let store = Store::open(&Options { read_connections: 1, ..Options::new(database) }).await?;
    let parts = Parts {
        store: store.clone(),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        objects: server::media::in_memory(),
        config: Arc::default(),
    };
    let state = AppState::open(parts).await?;
    let operator = Actor { tenant: scene.tenant.clone(), user: None };
    let (code, _) = devices::code(&state, &operator, person.user).await?;
    store.close().await;
    let enrolment = tablet::Enrolment {
        server: url.to_owned(),
        tenant: TENANT.parse()?,
        code,
        name: "tablet".to_owned(),
        ca: None,
    };
    let clock = Arc::new(tablet::SystemClock::new(now().to_string()));
    let mut tablet = tablet::Tablet::enrol(&folder.join("tablet"), &enrolment, clock).await?;
    let began = Instant::now();
    tablet.sync(|_| ()).await?;
    Ok(began.elapsed().as_secs_f64())
}
