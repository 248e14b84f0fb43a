//! Cuts the power under load, lets it come back, and looks what is left.

use super::disk::Disk;
use super::fuse::Mounted;
use crate::crash::child::Launch;
use crate::crash::dice::Dice;
use crate::crash::line::Line;
use crate::crash::site::Site;
use crate::crash::tablet::Tablet;
use crate::crash::work::{Shop, settle};
use crate::crash::{judge, look};
use crate::uploads::camera::Shot;
use crate::uploads::client::{Checksum, Patched, Uploader};
use anyhow::{Context as _, Result, bail, ensure};
use server::clock::{Clock as _, SystemClock};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use storage::{Options, Store};
use sync_protocol::blob::MediaType;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Tablets that write at once.
const TABLETS: u64 = 4;
/// The load before a cut, in milliseconds: at least, and by how much more at most.
const LOAD_MS: (u64, u64) = (60, 400);
/// Bytes of a photo, at least and by how much more at most.
const PHOTO_BYTES: (u64, u64) = (5_000, 200_000);
/// Bytes of a PATCH.
const CHUNK: usize = 40_000;
/// How long the one who photographs waits after a refusal.
const PAUSE: Duration = Duration::from_millis(30);

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often the power is cut.
    pub cuts: u32,
    /// The seed of all chance.
    pub seed: u64,
    /// The fault that is planted in the servers; empty for none.
    pub fault: String,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Cuts that were made.
    pub cuts: u32,
    /// Changes that were acknowledged.
    pub acknowledged: usize,
    /// Photos whose last byte was acknowledged.
    pub photos: usize,
    /// What is wrong.
    pub wrongs: Vec<String>,
}

/// A photo on its way, as the server has acknowledged it.
#[derive(Clone, Debug)]
struct Sent {
    shot: Shot,
    path: String,
    offset: u64,
    /// Whether it was read back whole after a cut: what it stands on is durable from then on.
    proven: bool,
}

type Album = Arc<Mutex<Vec<Sent>>>;

/// Plays a plan with its files in `folder`.
pub async fn run(folder: &Path, plan: &Plan) -> Result<Report> {
    let (place, aside) = (folder.join("disk"), folder.join("aside"));
    std::fs::create_dir_all(&place)?;
    std::fs::create_dir_all(&aside)?;
    let disk = Arc::new(Mutex::new(Disk::default()));
    let mut mounted = Mounted::new(&disk, &place)?;
    let url = format!("sqlite:{}", place.join("genba.db").display());
    let store = Store::open(&Options::new(&url)).await?;
    let site = Site::make(&store, u128::from(TABLETS) + 2, SystemClock.now()).await?;
    store.close().await;
    for name in std::fs::read_dir(&place)? {
        std::fs::File::open(name?.path())?.sync_all()?;
    }
    std::fs::File::open(&place)?.sync_all()?;

    let shop = Shop::open(site, &aside)?;
    let line = Line::http()?;
    let Line::Http(client, _) = &line else { bail!("a line to another process") };
    let mut launch = Launch::new(&aside, &url)?.objects(&place.join("objects"));
    launch.fault.clone_from(&plan.fault);
    let mut process = Some(launch.start_whole(client).await?);
    line.lead_to(process.as_ref().map_or("", |process| &process.url));

    let mut people = shop.site.people.iter().copied();
    let supervisor = people.next().context("a supervisor")?;
    let photographer = people.next().context("a photographer")?;
    let workers: Vec<JoinHandle<Result<Tablet>>> = (1..)
        .zip(people)
        .map(|(n, person)| {
            let seed = plan.seed.wrapping_mul(1_000) + n;
            shop.put_to_work(Tablet::new(person, seed, SystemClock.now()), line.clone())
        })
        .collect();
    let online = shop.put_online(supervisor, plan.seed ^ 0xC0, line.clone());
    let album = Album::default();
    let uploader = Uploader::new(shop.site.token(photographer, SystemClock.now()))?;
    let photos = photograph(&shop, &line, uploader.clone(), &album, plan.seed);

    let mut report = Report::default();
    let mut dice = Dice::new(plan.seed);
    for cut in 0..plan.cuts {
        let load = Duration::from_millis(LOAD_MS.0 + dice.below(LOAD_MS.1));
        tokio::time::sleep(load).await;
        // What was promised before the power went must be there; what comes later has no disk to stand on.
        lock(&disk).is_off = true;
        if let Some(process) = process.take() {
            process.kill()?;
        }
        mounted.unmount()?;
        lock(&disk).come_back((cut % 2 == 1).then(|| Dice::new(dice.draw())));
        mounted = Mounted::new(&disk, &place)?;
        report.cuts += 1;
        let started = match launch.start_whole(client).await {
            Ok(started) => started,
            Err(dead) => {
                report.wrongs.push(format!("after cut {cut} the server does not start: {dead:#}"));
                break;
            }
        };
        line.lead_to(&started.url);
        let promised = shop.acks.all();
        let found = look::look(&url).await?;
        let mut wrongs = judge::wrongs(&found, &promised);
        wrongs.extend(wrong_photos(&uploader, &started.url, &album).await?);
        report.wrongs.extend(wrongs.into_iter().map(|wrong| format!("after cut {cut}: {wrong}")));
        process = Some(started);
        if !report.wrongs.is_empty() {
            break;
        }
    }
    shop.close();
    let mut tablets = Vec::new();
    for worker in workers {
        tablets.push(worker.await??);
    }
    online.await??;
    photos.await??;
    if report.wrongs.is_empty() {
        settle(&shop, &mut tablets, &line).await?;
        let found = look::look(&url).await?;
        report.wrongs.extend(judge::wrongs(&found, &shop.acks.all()));
        report.wrongs.extend(judge::divergences(&found, &tablets)?);
        lock(&album).iter_mut().for_each(|sent| sent.proven = false);
        report.wrongs.extend(wrong_photos(&uploader, &line.address(), &album).await?);
    }
    report.acknowledged = shop.acks.all().len();
    report.photos = lock(&album).iter().filter(|sent| sent.offset == sent.shot.blob.bytes).count();
    drop(process);
    mounted.unmount()?;
    Ok(report)
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Photographs until the shop closes, and keeps in the album what the server acknowledged.
fn photograph(
    shop: &Shop,
    line: &Line,
    uploader: Uploader,
    album: &Album,
    seed: u64,
) -> JoinHandle<Result<()>> {
    let (shop, line, album) = (shop.clone(), line.clone(), Arc::clone(album));
    tokio::spawn(async move {
        let mut dice = Dice::new(seed ^ 0xF0);
        while !shop.over.load(std::sync::atomic::Ordering::SeqCst) {
            let bytes = usize::try_from(PHOTO_BYTES.0 + dice.below(PHOTO_BYTES.1))?;
            let shot = Shot::new(MediaType::Heic, bytes, dice.draw());
            let created = uploader.create(&line.address(), &shot).await?;
            let Some(Ok(path)) = created else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            lock(&album).push(Sent {
                shot: shot.clone(),
                path: path.clone(),
                offset: 0,
                proven: false,
            });
            send(&uploader, &line, &album, &shot, &path).await?;
        }
        Ok(())
    })
}

/// Sends a photo chunk by chunk until it is whole or the server is gone: the next photo finds another one.
async fn send(
    uploader: &Uploader,
    line: &Line,
    album: &Album,
    shot: &Shot,
    path: &str,
) -> Result<()> {
    let mut offset = 0;
    while offset < shot.blob.bytes {
        let from = usize::try_from(offset)?;
        let rest = shot.bytes.get(from..).unwrap_or_default();
        let chunk = rest.get(..CHUNK).unwrap_or(rest).to_vec();
        match uploader.patch(&line.address(), path, offset, chunk, Checksum::Right).await {
            Patched::Taken(told) => offset = told,
            Patched::Refused(_) | Patched::Lost => return Ok(()),
        }
        if let Some(sent) = lock(album).iter_mut().find(|sent| sent.path == path) {
            sent.offset = offset;
        }
    }
    Ok(())
}

/// Says which photos the server has forgotten or damaged.
async fn wrong_photos(uploader: &Uploader, base: &str, album: &Album) -> Result<Vec<String>> {
    let sent: Vec<Sent> = lock(album).clone();
    let mut wrongs = Vec::new();
    for (n, Sent { shot, path, offset, .. }) in
        (1_u64..).zip(&sent).filter(|(_, sent)| !sent.proven)
    {
        match uploader.offset(base, path).await {
            Some(Ok(told)) if told >= *offset => {}
            Some(told) => wrongs.push(format!("LOST: {path} stood at {offset}, now {told:?}")),
            None => bail!("the server does not answer"),
        }
        if *offset < shot.blob.bytes {
            continue;
        }
        let rec = Uuid::from_u128(0xA000 + u128::from(n)).to_string();
        let change = Uuid::from_u128(0xB000 + u128::from(n)).to_string();
        let status = uploader.name(base, &rec, shot, &change).await?;
        ensure!(status == 200, "a record that names a photo is refused with {status}");
        let (status, bytes) = uploader.read(base, &rec, shot).await?;
        if status == 200 && bytes == shot.bytes {
            if let Some(sent) = lock(album).iter_mut().find(|sent| sent.path == *path) {
                sent.proven = true;
            }
        } else {
            wrongs.push(format!("DAMAGED: photo {n} is answered {status}, {} bytes", bytes.len()));
        }
    }
    Ok(wrongs)
}
