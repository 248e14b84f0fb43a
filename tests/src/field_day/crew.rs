//! A person with a tablet: a folder of its own, a clock of its own, and a network only when a scene says so.

use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sync_protocol::blob::BlobRef;
use sync_protocol::change::{Home, Path as FieldPath, RowPath};
use sync_protocol::id::{ChangeId, RecordId, RecordType};
use sync_protocol::replica::{Draft, Edit, Notice, Outcome};
use sync_protocol::view::{FieldView, View};
use tablet::{
    Clock, Enrolment, Facts, Network, ShiftedClock, SyncReport, SystemClock, Tablet, TabletError,
};

/// A person with a tablet.
#[derive(Debug)]
pub struct Crew {
    tablet: Option<Tablet>,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    /// The login of its user.
    pub login: String,
}

impl Crew {
    /// Enrols a new tablet.
    pub async fn enrol(
        url: &str,
        folder: &Path,
        tenant: &str,
        login: &str,
        code: &str,
        clock_off_ms: i64,
    ) -> Result<Self> {
        let clock = ShiftedClock::new(Arc::new(SystemClock::new(login.to_owned())), clock_off_ms);
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let enrolment = Enrolment {
            server: url.to_owned(),
            tenant: tenant.parse()?,
            code: code.to_owned(),
            name: format!("{login} のタブレット"),
            ca: None,
        };
        let tablet = Tablet::enrol(folder, &enrolment, Arc::clone(&clock)).await?;
        Ok(Self { tablet: Some(tablet), folder: folder.to_owned(), clock, login: login.to_owned() })
    }

    /// Switches the tablet off, so that others may use its folder.
    pub fn switch_off(&mut self) {
        self.tablet = None;
    }

    /// Switches it on again.
    pub async fn switch_on(&mut self) -> Result<()> {
        self.tablet = Some(Tablet::open(&self.folder, Arc::clone(&self.clock)).await?);
        Ok(())
    }

    /// The tablet itself.
    pub fn tablet(&self) -> Result<&Tablet> {
        self.tablet.as_ref().with_context(|| format!("{}'s tablet is off", self.login))
    }

    fn tablet_mut(&mut self) -> Result<&mut Tablet> {
        self.tablet.as_mut().with_context(|| format!("{}'s tablet is off", self.login))
    }

    /// The folder of the tablet.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Finds a network and syncs until nothing waits.
    pub async fn sync(&mut self) -> Result<SyncReport> {
        Ok(self.tablet_mut()?.sync(|_| ()).await?)
    }

    /// Syncs over a network that may break.
    pub async fn try_sync(&mut self) -> Result<Result<SyncReport, TabletError>> {
        Ok(self.tablet_mut()?.sync(|_| ()).await)
    }

    /// Says what the tablet is connected to.
    pub fn set_network(&mut self, network: Network) -> Result<()> {
        self.tablet_mut()?.set_network(network);
        Ok(())
    }

    /// Adds a photo or a video to the photos of a record, without a network.
    pub async fn photograph(
        &mut self,
        rec: RecordId,
        file: &Path,
        facts: &Facts,
    ) -> Result<BlobRef> {
        Ok(self.tablet_mut()?.capture(rec, "photos", file, facts).await?.blob)
    }

    /// How many originals are on the tablet.
    pub fn originals(&self) -> Result<usize> {
        Ok(std::fs::read_dir(self.folder.join("media"))?.count())
    }

    /// What has happened on the tablet since this was last asked.
    pub fn notices(&mut self) -> Result<Vec<Notice>> {
        Ok(self.tablet_mut()?.take_notices())
    }

    /// Begins a record about another, without a network.
    pub async fn begin(
        &mut self,
        kind: &str,
        about: RecordId,
        edits: Vec<Edit>,
    ) -> Result<(RecordId, ChangeId)> {
        let rec = self.tablet()?.new_record_id();
        let edits = [vec![Edit::New(Home::About(about))], edits].concat();
        let change = self.author(rec, &kind.parse()?, edits).await?;
        Ok((rec, change))
    }

    /// Edits a record that is on the tablet, without a network: one change.
    pub async fn edit(&mut self, rec: RecordId, edits: Vec<Edit>) -> Result<ChangeId> {
        let kind =
            self.tablet()?.replica().displayed(rec).context("the record is on the tablet")?.kind;
        self.author(rec, &kind, edits).await
    }

    async fn author(
        &mut self,
        rec: RecordId,
        kind: &RecordType,
        edits: Vec<Edit>,
    ) -> Result<ChangeId> {
        let tablet = self.tablet_mut()?;
        let sv = tablet.forms().get(kind).with_context(|| format!("no form for {kind}"))?.version;
        Ok(tablet.author(&Draft { rec, kind: kind.clone(), sv, edits }).await?)
    }

    /// Whether the tablet shows a record.
    pub fn has(&self, rec: RecordId) -> Result<bool> {
        Ok(self.tablet()?.replica().displayed(rec).is_some())
    }

    /// A record as the tablet shows it.
    pub fn view(&self, rec: RecordId) -> Result<View> {
        let shown = self.tablet()?.view(rec);
        shown.with_context(|| format!("{}'s tablet does not show {rec}", self.login))
    }

    /// What the tablet shows at a field; null when it is empty.
    pub fn value(&self, rec: RecordId, path: &str) -> Result<Value> {
        Ok(self.view(rec)?.fields.get(path).map_or(Value::Null, |field| field.shown.clone()))
    }

    /// The view of a field.
    pub fn field(&self, rec: RecordId, path: &str) -> Result<FieldView> {
        let view = self.view(rec)?;
        view.fields.get(path).cloned().with_context(|| format!("{path} is empty"))
    }

    /// What became of an own change.
    pub fn outcome(&self, id: ChangeId) -> Result<Option<Outcome>> {
        let own = self.tablet()?.replica().own_changes().find(|own| own.id == id);
        Ok(own.context("the change is the tablet's own")?.outcome.cloned())
    }

    /// Whether any of the tablet's files holds this text; photos and videos have a folder of their own.
    pub fn files_hold(&self, text: &str) -> Result<bool> {
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.is_dir() {
                continue;
            }
            let bytes = std::fs::read(path)?;
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// An answer to a field.
pub fn set(path: &str, value: impl Into<Value>) -> Edit {
    let path = FieldPath::parse(path).unwrap_or_else(|| FieldPath::Field(path.to_owned()));
    Edit::Set(path, value.into())
}

/// A new row with its cells, or an element without any.
pub fn row(list: &str, id: &str, cells: &[(&str, Value)]) -> Vec<Edit> {
    let at = RowPath { field: list.to_owned(), row: id.to_owned() };
    let add = Edit::Add { at: at.clone(), pos: None, value: None };
    let cells = cells.iter().map(|(cell, value)| {
        Edit::Set(FieldPath::Cell(at.clone(), (*cell).to_owned()), value.clone())
    });
    std::iter::once(add).chain(cells).collect()
}
