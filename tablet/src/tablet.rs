//! A tablet: the replica, its database, and the server.

use crate::chance::OsChance;
use crate::clock::Clock;
use crate::database::Database;
use crate::error::TabletError;
use crate::forms::Forms;
use crate::http::{Api, Connection, Reply};
use crate::key::DeviceKey;
use crate::live::News;
use crate::media::{MediaFolder, Queue, Turn, Uploader, Uploading};
use crate::profile::{Enrolment, MediaOn, Profile};
use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use sync_protocol::id::{AttemptId, ChangeId, RecordId};
use sync_protocol::record::Record;
use sync_protocol::replica::{Chance as _, Draft, Input, Notice, Output, Replica, Step};
use sync_protocol::view::View;

const DATABASE_FILE: &str = "tablet.db";
const KEY_FILE: &str = "device.key";
const LOCK_FILE: &str = "lock";
/// A sync that a person waits for gives up after so many failures in a row.
const FAILURES_MAX: u32 = 5;
/// A sync that a person waits for does not sit out a longer wait than this.
const PATIENCE: Duration = Duration::from_mins(1);
/// Notices that nobody has taken are kept up to this number.
const NOTICES_MAX: usize = 10_000;

/// An enrolled tablet in a folder of its own.
#[derive(Debug)]
pub struct Tablet {
    dir: PathBuf,
    profile: Profile,
    key: Arc<DeviceKey>,
    pub(crate) api: Api,
    pub(crate) database: Database,
    pub(crate) media: MediaFolder,
    pub(crate) queue: Queue,
    pub(crate) uploader: Uploader,
    replica: Replica,
    forms: Forms,
    clock: Arc<dyn Clock>,
    sending: Option<(AttemptId, String)>,
    wake_at: Option<i64>,
    bundle_wanted: Option<String>,
    notices: VecDeque<Notice>,
    failure: Option<(u16, String)>,
    _lock: File,
}

/// What a sync did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Answers that were applied.
    pub rounds: usize,
    /// Own changes that got their result.
    pub answered: usize,
    /// Own changes that still wait.
    pub waiting: usize,
    /// Photos and videos that were uploaded.
    pub uploaded: usize,
    /// Photos and videos that the server is still to get.
    pub media_waiting: usize,
}

/// What a sync is at.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// An answer was applied, or did not come.
    Text(&'a Replica),
    /// An upload has moved, or did not.
    Media(Uploading),
}

impl Tablet {
    /// Enrols a new tablet in an empty folder.
    pub async fn enrol(
        dir: &Path,
        enrolment: &Enrolment,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TabletError> {
        std::fs::create_dir_all(dir).map_err(TabletError::file(dir))?;
        if Profile::exists(dir) {
            return Err(TabletError::Enrolled(dir.to_owned()));
        }
        let lock = lock(dir)?;
        let key_path = dir.join(KEY_FILE);
        // A key without a profile is left from an enrolment that did not go through.
        let key = if key_path.exists() {
            DeviceKey::open(&key_path)
        } else {
            DeviceKey::create(&key_path)
        }?;
        let connection = Connection::new(&enrolment.server, enrolment.ca.as_deref())?;
        let profile = connection.enrol(enrolment, &key).await?;
        profile.write(dir)?;
        Self::with(dir, profile, key, clock, lock).await
    }

    /// Opens the tablet in a folder.
    pub async fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, TabletError> {
        let profile = Profile::read(dir)?;
        let lock = lock(dir)?;
        let key = DeviceKey::open(&dir.join(KEY_FILE))?;
        Self::with(dir, profile, key, clock, lock).await
    }

    async fn with(
        dir: &Path,
        profile: Profile,
        key: DeviceKey,
        clock: Arc<dyn Clock>,
        lock: File,
    ) -> Result<Self, TabletError> {
        let key = Arc::new(key);
        let mut database = Database::open(&dir.join(DATABASE_FILE)).await?;
        let rows = database.rows().await?;
        let (replica, step) = if rows.is_empty() {
            Replica::begin(profile.identity(), key.secret(), &mut OsChance)
        } else {
            Replica::open(rows, key.secret(), &mut OsChance)?
        };
        let media = MediaFolder::open(dir)?;
        let queue = Queue::open(&mut database).await?;
        let forms = match database.bundle().await? {
            Some(text) => Forms::read(&text)?,
            None => Forms::default(),
        };
        let mut tablet = Self {
            dir: dir.to_owned(),
            api: Api::new(&profile, Arc::clone(&key))?,
            profile,
            key,
            database,
            media,
            queue,
            uploader: Uploader::default(),
            replica,
            forms,
            clock,
            sending: None,
            wake_at: None,
            bundle_wanted: None,
            notices: VecDeque::new(),
            failure: None,
            _lock: lock,
        };
        tablet.execute(step).await?;
        tablet.input(Input::Start).await?;
        tablet.sweep_unnamed().await?;
        Ok(tablet)
    }

    /// A record as people see it, if it is on the tablet.
    pub(crate) fn held(&self, rec: RecordId) -> Result<Record, TabletError> {
        self.replica().displayed(rec).ok_or_else(|| {
            TabletError::Asked(format!("{rec} is not on this tablet: see `genba-tablet list`"))
        })
    }

    /// The replica, to read from.
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Whose tablet this is.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The forms on this tablet.
    pub const fn forms(&self) -> &Forms {
        &self.forms
    }

    /// Says over which networks photos and videos travel.
    pub fn set_media_on(&mut self, media_on: MediaOn) -> Result<(), TabletError> {
        self.profile.media_on = media_on;
        self.profile.write(&self.dir)
    }

    /// The folder of this tablet.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The clocks of this tablet.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// What has happened since this was last called.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.drain(..).collect()
    }

    /// A record as people see it; `None` when it is not here or its form is not.
    pub fn view(&self, rec: RecordId) -> Option<View> {
        let record = self.replica.displayed(rec)?;
        let form = self.forms.get(&record.kind)?;
        Some(View::of(&record, form))
    }

    /// Authors one change. It is on disk when this returns.
    pub async fn author(&mut self, draft: &Draft) -> Result<ChangeId, TabletError> {
        let reading = self.clock.read();
        let (id, step) = self.replica.author(draft, &reading, &mut OsChance)?;
        self.execute(step).await?;
        Ok(id)
    }

    /// An id for a new record.
    pub fn new_record_id(&self) -> RecordId {
        let random = OsChance.bits().to_be_bytes();
        let millis = u64::try_from(self.clock.read().now.0.0).unwrap_or(0);
        let (random, _) = random.split_first_chunk::<10>().expect("16 bytes hold 10");
        RecordId(uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid())
    }

    /// Syncs until nothing waits any more: text first, then the photos and videos that the server needs, as far as the
    /// network may carry them. `progress` is called after every answer.
    pub async fn sync(
        &mut self,
        mut progress: impl FnMut(Progress<'_>) + Send,
    ) -> Result<SyncReport, TabletError> {
        let before = self.replica.outbox_len();
        let mut report = SyncReport::default();
        self.uploader.text_through = false;
        self.input(Input::Network(true)).await?;
        let mut waits = None;
        loop {
            self.sync_text(&mut report, &mut progress).await?;
            if waits.is_some() || self.next_upload().is_none() {
                break;
            }
            waits = self.upload_all(&mut report, &mut progress).await?;
        }
        self.input(Input::Network(false)).await?;
        report.waiting = self.replica.outbox_len();
        report.answered = before.saturating_sub(report.waiting);
        report.media_waiting = self.replica.unsent_blobs();
        match waits {
            Some(why) if report.media_waiting > 0 => {
                Err(TabletError::MediaWaits { waiting: report.media_waiting, why })
            }
            Some(_) | None => Ok(report),
        }
    }

    async fn sync_text(
        &mut self,
        report: &mut SyncReport,
        progress: &mut (impl FnMut(Progress<'_>) + Send),
    ) -> Result<(), TabletError> {
        let mut failures = 0;
        loop {
            if self.deliver().await? {
                match self.failure.take() {
                    None => (report.rounds, failures) = (report.rounds + 1, 0),
                    Some((status, why))
                        if failures == FAILURES_MAX || matches!(status, 401 | 403) =>
                    {
                        self.input(Input::Network(false)).await?;
                        return Err(TabletError::SyncFailed { status, why });
                    }
                    Some(_) => failures += 1,
                }
                progress(Progress::Text(&self.replica));
            } else if !self.replica.calls_for_sync() {
                break;
            } else if self.wait() > PATIENCE {
                self.input(Input::Network(false)).await?;
                let why = format!("the server asks to wait {} s", self.wait().as_secs());
                return Err(TabletError::SyncFailed { status: 503, why });
            } else {
                tokio::time::sleep(self.wait()).await;
                self.input(Input::Tick).await?;
            }
        }
        self.fetch_bundle().await
    }

    /// Uploads what the server needs; tells why something has to wait for longer than a person does.
    async fn upload_all(
        &mut self,
        report: &mut SyncReport,
        progress: &mut (impl FnMut(Progress<'_>) + Send),
    ) -> Result<Option<String>, TabletError> {
        let mut failures = 0;
        while let Some((blob, wait)) = self.next_upload() {
            if wait > PATIENCE {
                return Ok(Some(format!("they are tried again in {} s", wait.as_secs())));
            }
            tokio::time::sleep(wait).await;
            match self.upload_step(blob).await? {
                Turn::Finished => (report.uploaded, failures) = (report.uploaded + 1, 0),
                Turn::Moved => failures = 0,
                Turn::Asked | Turn::GivenUp => {}
                Turn::Failed(why) if failures == FAILURES_MAX => return Ok(Some(why)),
                Turn::Failed(_) => failures += 1,
            }
            if let Some(uploading) = self.uploading() {
                progress(Progress::Media(uploading));
            }
        }
        Ok(None)
    }

    /// Stays in step with the server until `stop`; `progress` is called after every answer. Between two pieces of a photo
    /// or a video everything else has its turn.
    pub async fn watch(
        &mut self,
        mut progress: impl FnMut(&mut Self) + Send,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), TabletError> {
        let mut news = News::listen(self.api.clone(), Arc::clone(&self.clock), self.replica.head());
        let mut stop = std::pin::pin!(stop);
        self.input(Input::Network(true)).await?;
        loop {
            while self.deliver().await? {
                self.failure = None;
                progress(self);
            }
            if self.fetch_bundle().await.is_err() {
                self.bundle_wanted = None;
            }
            let mut wait = self.wait();
            match self.next_upload() {
                Some((blob, Duration::ZERO)) => {
                    tokio::select! {
                        () = &mut stop => return self.input(Input::Network(false)).await,
                        turn = self.upload_step(blob) => turn.map(drop)?,
                    }
                    progress(self);
                    self.input(if news.heard() { Input::Poked } else { Input::Tick }).await?;
                    continue;
                }
                Some((_, until)) => wait = wait.min(until),
                None => {}
            }
            tokio::select! {
                () = &mut stop => return self.input(Input::Network(false)).await,
                Some(_) = news.next() => self.input(Input::Poked).await?,
                () = tokio::time::sleep(wait) => self.input(Input::Tick).await?,
            }
        }
    }

    /// How long until the replica wants to be asked again.
    fn wait(&self) -> Duration {
        let mono = self.clock.read().mono;
        let millis = self.wake_at.map_or(0, |at| at.saturating_sub(mono));
        // At least a moment: a clock that stands still must not make the loop hot.
        Duration::from_millis(u64::try_from(millis).unwrap_or(0).max(20))
    }

    /// Sends what is to be sent and applies the answer.
    async fn deliver(&mut self) -> Result<bool, TabletError> {
        let Some((attempt, body)) = self.sending.take() else { return Ok(false) };
        let now = self.clock.read().now.0;
        match self.api.sync(&body, now).await {
            Ok(Reply { status, retry_after_ms, body }) => {
                self.input(Input::Answer { attempt, status, retry_after_ms, body: &body }).await?;
            }
            Err(TabletError::Problem { status, name, retry_after_ms, .. }) => {
                let body = serde_json::json!({ "type": name }).to_string();
                let body = body.as_bytes();
                self.input(Input::Answer { attempt, status, retry_after_ms, body }).await?;
            }
            Err(_) => self.input(Input::Failed { attempt }).await?,
        }
        Ok(true)
    }

    async fn fetch_bundle(&mut self) -> Result<(), TabletError> {
        let Some(hash) = self.bundle_wanted.take() else { return Ok(()) };
        let text = self.api.bundle(&hash, self.clock.read().now.0).await?;
        self.forms = Forms::read(&text)?;
        self.database.store_bundle(&hash, &text).await?;
        self.input(Input::BundleStored { hash: &hash }).await
    }

    pub(crate) async fn input(&mut self, input: Input<'_>) -> Result<(), TabletError> {
        let reading = self.clock.read();
        let step = self.replica.step(input, &reading, &mut OsChance);
        self.execute(step).await
    }

    /// Commits, and only then does what the step asks for.
    async fn execute(&mut self, step: Step) -> Result<(), TabletError> {
        let mut steps = VecDeque::from([step]);
        while let Some(step) = steps.pop_front() {
            if let Err(failed) = self.database.commit(&step.writes).await {
                self.reload().await?;
                return Err(failed);
            }
            for output in step.outputs {
                match output {
                    Output::Send { attempt, body } => self.sending = Some((attempt, body)),
                    Output::Wake { at_mono } => self.wake_at = Some(at_mono),
                    Output::FetchBundle { hash } => self.bundle_wanted = Some(hash),
                    Output::Notice(Notice::BlobHad(sha256)) => {
                        self.queue.remove(&mut self.database, sha256).await?;
                        self.note(Notice::BlobHad(sha256));
                    }
                    Output::Notice(notice) => self.note(notice),
                    Output::DropBlob { sha256 } => {
                        self.media.remove(sha256)?;
                        self.queue.remove(&mut self.database, sha256).await?;
                        let reading = self.clock.read();
                        let dropped = Input::BlobDropped { sha256 };
                        steps.push_back(self.replica.step(dropped, &reading, &mut OsChance));
                    }
                    Output::Vacuum { round, reported } => {
                        self.database.vacuum(reported).await?;
                        let reading = self.clock.read();
                        let vacuumed = Input::Vacuumed { round };
                        steps.push_back(self.replica.step(vacuumed, &reading, &mut OsChance));
                    }
                }
            }
        }
        Ok(())
    }

    /// What could not be committed did not happen.
    async fn reload(&mut self) -> Result<(), TabletError> {
        let rows = self.database.rows().await?;
        let (replica, _) = Replica::open(rows, self.key.secret(), &mut OsChance)?;
        self.replica = replica;
        self.sending = None;
        Ok(())
    }

    fn note(&mut self, notice: Notice) {
        if let Notice::Failed { status, why } = &notice {
            self.failure = Some((*status, why.clone()));
            self.uploader.text_through = false;
        }
        if let Notice::Synced { more } = &notice {
            self.uploader.text_through = !more;
        }
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }
}

fn lock(dir: &Path) -> Result<File, TabletError> {
    let path = dir.join(LOCK_FILE);
    let file = File::create(&path).map_err(TabletError::file(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TabletError::InUse(dir.to_owned())),
        Err(TryLockError::Error(e)) => Err(TabletError::file(path)(e)),
    }
}
