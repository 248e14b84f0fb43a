//! A server with a folder of objects, and tablets that send photos to it.

use super::author::Author;
use super::client::{Tablet, http};
use super::process::Server;
use super::push::Engine;
use super::scene::{Person, Scene, now};
use crate::uploads::camera::Shot;
use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::{Duration, Instant};
use storage::testing::Folder;
use sync_protocol::blob::BlobHash;
use sync_protocol::id::RecordId;

/// How often a record is looked at whose photos are still to be rendered.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A server with a folder of objects, and tablets.
#[derive(Debug)]
pub struct Stage {
    /// The folder in which everything lies.
    pub folder: Folder,
    /// The people and their keys.
    pub scene: Scene,
    /// The server.
    pub server: Server,
    http: Client,
}

impl Stage {
    /// Starts a server with so many tablets, all of one station.
    pub async fn open(tablets: usize) -> Result<Self> {
        let folder = Folder::new("bench")?;
        let database = Engine::Sqlite.database(&folder, "genba.db").await?;
        let people = u64::try_from(tablets)?;
        let scene = Scene::prepare(&database, people, |_| ("station:s".to_owned(), true)).await?;
        let http = http()?;
        let server = Server::start(folder.path(), &database, &http).await?;
        Ok(Self { folder, scene, server, http })
    }

    /// Whose tablet it is.
    pub fn person(&self, tablet: usize) -> Result<&Person> {
        self.scene.people.get(tablet).context("a tablet")
    }

    /// A call in the name of a tablet.
    pub fn signed(&self, call: RequestBuilder, tablet: usize) -> Result<RequestBuilder> {
        let token = self.scene.token(self.person(tablet)?)?;
        Ok(call.bearer_auth(token).header("tus-resumable", "1.0.0"))
    }

    fn creation(
        &self,
        client: &Client,
        base: &str,
        tablet: usize,
        shot: &Shot,
    ) -> Result<RequestBuilder> {
        let metadata = format!(
            "sha256 {},mime {}",
            STANDARD.encode(shot.blob.sha256.to_string()),
            STANDARD.encode(shot.blob.kind.mime())
        );
        let call = self.signed(client.post(format!("{base}/v1/uploads")), tablet)?;
        Ok(call.header("upload-length", shot.blob.bytes).header("upload-metadata", metadata))
    }

    /// Uploads in one call: the creation brings the bytes. Gives what is answered.
    pub async fn try_upload(&self, tablet: usize, shot: &Shot) -> Result<Response> {
        let call = self
            .creation(&self.http, &self.server.url, tablet, shot)?
            .header("content-type", "application/offset+octet-stream")
            .body(shot.bytes.clone());
        Ok(call.send().await?)
    }

    /// Uploads in one call what the server has to take.
    pub async fn upload(&self, tablet: usize, shot: &Shot) -> Result<()> {
        let answer = self.try_upload(tablet, shot).await?;
        let (status, offset) = (answer.status(), offset_of(&answer));
        ensure!(status == 201, "an upload is answered {status}: {}", answer.text().await?);
        ensure!(offset? == shot.bytes.len(), "not all bytes are there");
        Ok(())
    }

    pub(super) async fn create(
        &self,
        client: &Client,
        base: &str,
        tablet: usize,
        shot: &Shot,
    ) -> Result<String> {
        let answer = self.creation(client, base, tablet, shot)?.send().await?;
        let place = answer.headers().get("location").context("a location")?.to_str()?;
        let at = place.find("/v1/uploads").context("a location of ours")?;
        Ok(place.get(at..).unwrap_or_default().to_owned())
    }

    pub(super) async fn patch(
        &self,
        client: &Client,
        base: &str,
        path: &str,
        tablet: usize,
        offset: usize,
        bytes: Vec<u8>,
    ) -> Result<Response> {
        let call = self.signed(client.patch(format!("{base}{path}")), tablet)?;
        let call = call
            .header("content-type", "application/offset+octet-stream")
            .header("upload-offset", offset);
        Ok(call.body(bytes).send().await?)
    }

    pub(super) async fn offset(
        &self,
        client: &Client,
        base: &str,
        path: &str,
        tablet: usize,
    ) -> Result<usize> {
        let answer = self.signed(client.head(format!("{base}{path}")), tablet)?.send().await?;
        offset_of(&answer)
    }

    /// Begins a record whose photos are named by these payloads.
    pub async fn record_with(&self, tablet: usize, payloads: Vec<Value>) -> Result<RecordId> {
        let person = self.person(tablet)?;
        let seed = u64::try_from(tablet)?.wrapping_add(1 << 32);
        let (change, written) = Author::new(person.clone(), seed, now()).photograph(payloads);
        let mut calls = Tablet::new(&self.scene, person, &self.server.url)?;
        calls.enter().await?;
        calls.call(&[RawValue::from_string(change.freeze().text().to_owned())?]).await?;
        Ok(written.rec)
    }

    /// A record as people see it.
    pub async fn record(&self, tablet: usize, rec: RecordId) -> Result<Value> {
        let url = format!("{}/v1/records/{rec}", self.server.url);
        let answer = self.signed(self.http.get(url), tablet)?.send().await?;
        ensure!(answer.status() == 200, "a record is answered {}", answer.status());
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }

    /// What a record tells of a blob once it is no longer to be rendered; `patience` bounds the wait.
    pub async fn rendered(
        &self,
        tablet: usize,
        rec: RecordId,
        sha256: BlobHash,
        patience: Duration,
    ) -> Result<Value> {
        let began = Instant::now();
        loop {
            let record = self.record(tablet, rec).await?;
            let blobs = record.pointer("/media/blobs").and_then(Value::as_array);
            let text = |told: &Value, name: &str| told.get(name)?.as_str().map(str::to_owned);
            let hash = sha256.to_string();
            let told = blobs.into_iter().flatten();
            let told = told.into_iter().find(|told| text(told, "sha256").as_ref() == Some(&hash));
            let told = told.context("a blob of the record")?;
            if text(told, "render").is_some_and(|render| render != "pending") {
                return Ok(told.clone());
            }
            if began.elapsed() > patience {
                bail!("still to be rendered: {told}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Asks for a photo or video of a record; `query` names the size, as in `?size=thumb`.
    pub fn media(
        &self,
        tablet: usize,
        rec: RecordId,
        sha256: BlobHash,
        query: &str,
    ) -> Result<RequestBuilder> {
        let url = format!("{}/v1/records/{rec}/media/{sha256}{query}", self.server.url);
        self.signed(self.http.get(url), tablet)
    }
}

fn offset_of(answer: &Response) -> Result<usize> {
    let offset = answer.headers().get("upload-offset").context("an offset")?;
    Ok(offset.to_str()?.parse()?)
}
