//! Many uploads, each through its faults, to servers that are killed; what is left is judged.

use super::bucket::Bucket;
use super::camera::Shot;
use super::client::{Checksum, Patched, Uploader};
use crate::crash::child::{Launch, Process};
use crate::crash::dice::Dice;
use crate::crash::site::Site;
use crate::link::{Conduct, Link};
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::{Options, Store};
use sync_protocol::blob::MediaType;
use sync_protocol::clock::UnixMillis;
use tokio::sync::{Mutex, Semaphore};
use uuid::Uuid;

/// Bytes of a PATCH.
const CHUNK: usize = 32 * 1024;
/// The most chunks of a file.
const CHUNKS_MAX: u64 = 5;
/// Uploads at once.
const AT_ONCE: usize = 12;
/// The people whose tablets upload: no more open uploads than one of them may have.
const PEOPLE: u128 = 8;
/// Calls after which an upload that gets nowhere is given up: it is stuck.
const CALLS_MAX: u32 = 200;
/// How long a refused or lost call waits before the next.
const PAUSE: Duration = Duration::from_millis(60);
/// How long a token is used, of its five minutes.
const TOKEN_AGE: Duration = Duration::from_secs(200);

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The database.
    pub database_url: String,
    /// How many uploads.
    pub uploads: u64,
    /// Servers over the one database and the one folder of objects.
    pub nodes: usize,
    /// How often a server is killed and started again.
    pub kills: u32,
    /// The seed of all chance.
    pub seed: u64,
    /// Where the bytes lie.
    pub place: Place,
}

/// Where the servers of a campaign keep photos.
#[derive(Clone, Debug)]
pub enum Place {
    /// In one folder.
    Folder,
    /// In the bucket of an S3 service.
    Bucket(Bucket),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Uploads whose bytes were read back equal.
    pub whole: u64,
    /// Faults by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Bytes that were sent beyond those of the files.
    pub resent: u64,
    /// What is wrong.
    pub wrongs: Vec<String>,
    /// Answers by status; 0 counts lost ones.
    pub statuses: BTreeMap<u16, u64>,
    /// Kills that were carried out.
    pub kills: u32,
}

/// A fault of one step of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Cut,
    Reset,
    Stall,
    LostAnswer,
    WrongChecksum,
    Repeated,
    Race,
    HeadMeanwhile,
    OtherNode,
}

impl Fault {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Cut => "cut",
            Self::Reset => "reset",
            Self::Stall => "stall",
            Self::LostAnswer => "lost answer",
            Self::WrongChecksum => "wrong checksum",
            Self::Repeated => "repeated PATCH",
            Self::Race => "two PATCHes at once",
            Self::HeadMeanwhile => "HEAD during PATCH",
            Self::OtherNode => "other node",
        }
    }

    const fn drawn(dice: &mut Dice) -> Self {
        match dice.below(14) {
            0 | 1 => Self::Cut,
            2 => Self::Reset,
            3 => Self::Stall,
            4 => Self::LostAnswer,
            5 => Self::WrongChecksum,
            6 => Self::Repeated,
            7 => Self::Race,
            8 => Self::HeadMeanwhile,
            9 => Self::OtherNode,
            _ => Self::None,
        }
    }

    /// How the network behaves for the PATCH.
    fn conduct(self, dice: &mut Dice) -> Conduct {
        let somewhere = dice.below(u64::try_from(CHUNK).unwrap_or_default());
        match self {
            Self::Cut => Conduct { cut_after_bytes: Some(somewhere), ..Conduct::WHOLE },
            Self::Reset => {
                Conduct { cut_after_bytes: Some(somewhere), reset: true, ..Conduct::WHOLE }
            }
            Self::Stall => Conduct {
                stall: Some((somewhere, Duration::from_millis(150))),
                cut_after: Some(Duration::from_millis(250)),
                ..Conduct::WHOLE
            },
            Self::LostAnswer => Conduct { lose_answer: true, ..Conduct::WHOLE },
            Self::None
            | Self::WrongChecksum
            | Self::Repeated
            | Self::Race
            | Self::HeadMeanwhile
            | Self::OtherNode => Conduct::WHOLE,
        }
    }
}

/// The servers; each is behind a place that a start changes.
struct Nodes {
    urls: Vec<Mutex<String>>,
}

impl Nodes {
    async fn url(&self, at: usize) -> String {
        match self.urls.get(at % self.urls.len().max(1)) {
            Some(url) => url.lock().await.clone(),
            None => String::new(),
        }
    }
}

/// Plays a plan; files of the servers lie in `folder`.
pub async fn run(folder: &Path, plan: &Plan) -> Result<Report> {
    let store = Store::open(&Options::new(plan.database_url.clone())).await?;
    let site = Arc::new(Site::make(&store, PEOPLE, now()).await?);
    store.close().await;
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let client = reqwest::Client::new();
    let objects = folder.join("objects");
    let mut launches = Vec::new();
    let mut running: Vec<Process> = Vec::new();
    for node in 0..plan.nodes {
        let own = folder.join(format!("node-{node}"));
        std::fs::create_dir_all(&own)?;
        let launch = Launch::new(&own, &plan.database_url)?;
        let launch = match &plan.place {
            Place::Folder => launch.objects(&objects),
            Place::Bucket(bucket) => launch.bucket(bucket),
        };
        running.push(launch.start_whole(&client).await?);
        launches.push(launch);
    }
    let urls = running.iter().map(|process| Mutex::new(process.url.clone())).collect();
    let nodes = Arc::new(Nodes { urls });
    let report = Arc::new(Mutex::new(Report::default()));
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = tokio::task::JoinSet::new();
    let mut dice = Dice::new(plan.seed);
    let every = plan.uploads.checked_div(u64::from(plan.kills) + 1).unwrap_or(u64::MAX).max(1);
    for number in 0..plan.uploads {
        let turn = Arc::clone(&room).acquire_owned().await?;
        let killing = number > 0 && number % every == 0 && report.lock().await.kills < plan.kills;
        if killing {
            let victim = usize::try_from(dice.below(u64::try_from(plan.nodes)?))?;
            running.swap_remove(victim).kill()?;
            let launch = launches.get(victim).context("a node")?;
            let process = launch.start_whole(&client).await?;
            if let Some(url) = nodes.urls.get(victim) {
                process.url.clone_into(&mut *url.lock().await);
            }
            running.push(process);
            let last = running.len() - 1;
            running.swap(victim, last);
            report.lock().await.kills += 1;
        }
        let job = Job {
            number,
            dice: Dice::new(dice.draw()),
            site: Arc::clone(&site),
            nodes: Arc::clone(&nodes),
            report: Arc::clone(&report),
        };
        tasks.spawn(async move {
            let outcome = job.play().await;
            drop(turn);
            outcome
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        if let Err(wrong) = outcome? {
            report.lock().await.wrongs.push(format!("{wrong:#}"));
        }
    }
    Ok(Arc::try_unwrap(report).ok().context("all are back")?.into_inner())
}

/// One upload, from its creation to the bytes that are read back.
struct Job {
    number: u64,
    dice: Dice,
    site: Arc<Site>,
    nodes: Arc<Nodes>,
    report: Arc<Mutex<Report>>,
}

/// What a job keeps book of.
struct Book {
    /// The greatest offset that the server claimed.
    claimed: u64,
    /// Bytes of bodies that were sent.
    sent: u64,
    /// What may have cost a chunk.
    costs: u64,
    calls: u32,
}

impl Job {
    fn uploader(&self) -> Result<Uploader> {
        let person = usize::try_from(self.number)? % self.site.people.len().max(1);
        let person = self.site.people.get(person).context("a person")?;
        Uploader::new(self.site.token(*person, now()))
    }

    async fn play(mut self) -> Result<()> {
        let number = self.number;
        self.through().await.with_context(|| format!("upload {number}"))
    }

    async fn through(&mut self) -> Result<()> {
        let bytes = usize::try_from(1 + self.dice.below(CHUNKS_MAX * u64::try_from(CHUNK)?))?;
        let shot = Shot::new(MediaType::Heic, bytes.max(64), self.dice.draw());
        let mut book = Book { claimed: 0, sent: 0, costs: 0, calls: 0 };
        let began = Instant::now();
        let mut uploader = self.uploader()?;
        let mut node = usize::try_from(self.number)?;
        let path = self.create(&uploader, node, &shot, &mut book).await?;
        while book.claimed < shot.blob.bytes {
            if began.elapsed() > TOKEN_AGE {
                uploader = self.uploader()?;
            }
            let fault = Fault::drawn(&mut self.dice);
            if fault == Fault::OtherNode {
                node += 1;
            }
            *self.report.lock().await.faults.entry(fault.name()).or_default() += 1;
            self.step(&uploader, node, &path, &shot, fault, &mut book).await?;
        }
        let whole = shot.blob.bytes;
        let resent = book.sent.saturating_sub(whole);
        let allowed = book.costs * u64::try_from(CHUNK)?;
        ensure!(resent <= allowed, "{resent} bytes sent again for {} faults", book.costs);
        self.read_back(&uploader, node, &shot, &mut book).await?;
        let mut report = self.report.lock().await;
        report.whole += 1;
        report.resent += resent;
        Ok(())
    }

    async fn create(
        &self,
        uploader: &Uploader,
        node: usize,
        shot: &Shot,
        book: &mut Book,
    ) -> Result<String> {
        loop {
            let base = self.nodes.url(node).await;
            match uploader.create(&base, shot).await? {
                Some(Ok(path)) => return Ok(path),
                Some(Err(status)) => {
                    self.note(status).await;
                    ensure!(matches!(status, 429 | 503), "creation is refused with {status}");
                }
                None => self.note(0).await,
            }
            self.pause(book).await?;
        }
    }

    /// One PATCH with its fault, and what the server says afterwards.
    async fn step(
        &mut self,
        uploader: &Uploader,
        node: usize,
        path: &str,
        shot: &Shot,
        fault: Fault,
        book: &mut Book,
    ) -> Result<()> {
        let base = self.nodes.url(node).await;
        let conduct = fault.conduct(&mut self.dice);
        let link = Link::open(&base, move || conduct).await?;
        let chunk = chunk_at(shot, book.claimed);
        let length = u64::try_from(chunk.len())?;
        let checksum = if fault == Fault::WrongChecksum {
            Checksum::Wrong
        } else if self.dice.below(2) == 0 {
            Checksum::Right
        } else {
            Checksum::None
        };
        book.calls += 1;
        ensure!(book.calls < CALLS_MAX, "stuck at {} of {}", book.claimed, shot.blob.bytes);
        let offset = book.claimed;
        let patch = uploader.patch(&link.url, path, offset, chunk.clone(), checksum);
        let (first, second) = match fault {
            Fault::Race => {
                let rival = uploader.patch(&base, path, offset, chunk, Checksum::None);
                let (first, rival) = tokio::join!(patch, rival);
                (first, Some(rival))
            }
            Fault::HeadMeanwhile => {
                let (first, head) = tokio::join!(patch, uploader.offset(&base, path));
                if let Some(Ok(told)) = head {
                    ensure!(told >= offset, "HEAD during PATCH told {told} after {offset}");
                }
                (first, None)
            }
            Fault::Repeated => {
                let first = patch.await;
                (first, Some(uploader.patch(&base, path, offset, chunk, Checksum::None).await))
            }
            Fault::None
            | Fault::Cut
            | Fault::Reset
            | Fault::Stall
            | Fault::LostAnswer
            | Fault::WrongChecksum
            | Fault::OtherNode => (patch.await, None),
        };
        book.sent += length * if second.is_some() { 2 } else { 1 };
        for answer in [Some(first), second].into_iter().flatten() {
            self.note(status_of(answer)).await;
            if !matches!(answer, Patched::Taken(_)) {
                book.costs += 1;
            }
        }
        if fault == Fault::WrongChecksum {
            ensure!(!matches!(first, Patched::Taken(_)), "a corrupt chunk was taken");
        }
        let winners = [Some(first), second].into_iter().flatten();
        let winners = winners.filter(|answer| matches!(answer, Patched::Taken(_))).count();
        ensure!(winners <= 1, "{winners} PATCHes of one offset were taken");
        if let (Patched::Taken(told), None) = (first, second) {
            ensure!(told == offset + length, "{told} is not {offset} and {length} more");
            book.claimed = told;
            return Ok(());
        }
        self.settle(uploader, node, path, shot, book).await
    }

    /// Asks where the upload stands: never before what was claimed.
    async fn settle(
        &self,
        uploader: &Uploader,
        node: usize,
        path: &str,
        shot: &Shot,
        book: &mut Book,
    ) -> Result<()> {
        loop {
            let base = self.nodes.url(node).await;
            match uploader.offset(&base, path).await {
                Some(Ok(told)) => {
                    let whole = shot.blob.bytes;
                    ensure!(told >= book.claimed, "the offset fell to {told}: {}", book.claimed);
                    ensure!(told <= whole, "the offset {told} is beyond the end");
                    book.claimed = told;
                    return Ok(());
                }
                Some(Err(status)) => {
                    self.note(status).await;
                    ensure!(matches!(status, 429 | 503), "HEAD is refused with {status}");
                }
                None => self.note(0).await,
            }
            self.pause(book).await?;
        }
    }

    /// Names the file from a record and reads it.
    async fn read_back(
        &mut self,
        uploader: &Uploader,
        node: usize,
        shot: &Shot,
        book: &mut Book,
    ) -> Result<()> {
        let rec = Uuid::from_u128(u128::from(self.dice.draw())).to_string();
        let change = Uuid::from_u128(u128::from(self.dice.draw())).to_string();
        loop {
            let base = self.nodes.url(node).await;
            if let Ok(200) = uploader.name(&base, &rec, shot, &change).await
                && let Ok((200, bytes)) = uploader.read(&base, &rec, shot).await
            {
                ensure!(bytes == shot.bytes, "the bytes that come back are others");
                return Ok(());
            }
            self.pause(book).await?;
        }
    }

    async fn pause(&self, book: &mut Book) -> Result<()> {
        book.calls += 1;
        ensure!(book.calls < CALLS_MAX, "stuck after {} calls", book.calls);
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    async fn note(&self, status: u16) {
        *self.report.lock().await.statuses.entry(status).or_default() += 1;
    }
}

const fn status_of(answer: Patched) -> u16 {
    match answer {
        Patched::Taken(_) => 204,
        Patched::Refused(status) => status,
        Patched::Lost => 0,
    }
}

fn chunk_at(shot: &Shot, offset: u64) -> Vec<u8> {
    let from = usize::try_from(offset).unwrap_or(usize::MAX).min(shot.bytes.len());
    let rest = shot.bytes.get(from..).unwrap_or_default();
    rest.get(..CHUNK).unwrap_or(rest).to_vec()
}

fn now() -> UnixMillis {
    use server::clock::Clock as _;
    server::clock::SystemClock.now()
}
