//! A bureau on SQLite whose servers are started one after the other, and one person who uploads.

use super::camera::Shot;
use super::client::Uploader;
use crate::crash::child::{Launch, Process, Started};
use crate::crash::site::Site;
use anyhow::{Context as _, Result, bail, ensure};
use server::clock::{Clock as _, SystemClock};
use std::path::{Path, PathBuf};
use storage::{Options, Store};
use uuid::Uuid;

/// A bureau with servers to be started, one after the other.
pub(super) struct Ward {
    pub(super) launch: Launch,
    pub(super) http: reqwest::Client,
    pub(super) uploader: Uploader,
    /// The address of its database.
    pub(super) database: String,
    objects: PathBuf,
}

impl Ward {
    /// Opens on a fresh SQLite database in `folder`.
    pub(super) async fn open(folder: &Path) -> Result<Self> {
        let url = format!("sqlite:{}/genba.db", folder.display());
        let store = Store::open(&Options::new(&url)).await?;
        let site = Site::make(&store, 1, SystemClock.now()).await?;
        store.close().await;
        let person = site.people.first().context("a person")?;
        let uploader = Uploader::new(site.token(*person, SystemClock.now()))?;
        let objects = folder.join("objects");
        let launch = Launch::new(folder, &url)?.objects(&objects);
        Ok(Self { launch, http: reqwest::Client::new(), uploader, database: url, objects })
    }

    /// Starts a server that dies at `point`.
    pub(super) async fn doomed(&self, point: &str) -> Result<Process> {
        match self.launch.start(&self.http, Some(point)).await? {
            Started::Ready(process) => Ok(process),
            Started::Died => bail!("it died at its start: {}", self.launch.log()),
        }
    }

    /// Begins an upload and gives its address.
    pub(super) async fn create(&self, process: &Process, shot: &Shot) -> Result<String> {
        let created = self.uploader.create(&process.url, shot).await?;
        created.and_then(Result::ok).context("an upload begins")
    }

    /// Names the file in a record and reads it there.
    pub(super) async fn read_back(&self, process: &Process, shot: &Shot) -> Result<Vec<u8>> {
        let rec = Uuid::from_u128(1).to_string();
        let change = Uuid::from_u128(2).to_string();
        let named = self.uploader.name(&process.url, &rec, shot, &change).await?;
        ensure!(named == 200, "naming it is answered {named}");
        let (status, bytes) = self.uploader.read(&process.url, &rec, shot).await?;
        ensure!(status == 200, "reading it is answered {status}");
        Ok(bytes)
    }

    /// How many objects lie in the store.
    pub(super) fn objects(&self) -> Result<usize> {
        let mut folders = vec![self.objects.clone()];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else {
                    files += 1;
                }
            }
        }
        Ok(files)
    }
}
