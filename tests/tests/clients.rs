//! The unmodified clients of others, tus-js-client and tuspy, upload to the real server over a link that breaks.

use anyhow::{Context as _, Result, ensure};
use genba_tests::crash::child::{Launch, Process};
use genba_tests::crash::site::Site;
use genba_tests::link::{Conduct, Link};
use genba_tests::uploads::camera::Shot;
use genba_tests::uploads::client::Uploader;
use serde_json::{Value, json};
use server::clock::{Clock as _, SystemClock};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use storage::testing::{Folder, TestResult};
use storage::{Options, Store};
use sync_protocol::blob::MediaType;
use tokio::process::Command;
use uuid::Uuid;

/// How long a client may take.
const CLIENT_MAX: Duration = Duration::from_mins(2);
/// Bytes of a file.
const BYTES: usize = 3_000_000;
const CHUNK: u64 = 500_000;

/// Where `make` has put the clients.
fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// A server, a person, and a file to upload.
struct Scene {
    folder: Folder,
    server: Process,
    token: String,
    shot: Shot,
    file: PathBuf,
}

impl Scene {
    async fn open(kind: MediaType) -> Result<Self> {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let folder = Folder::new("clients")?;
        let url = format!("sqlite:{}/genba.db", folder.path().display());
        let store = Store::open(&Options::new(url.clone())).await?;
        let site = Site::make(&store, 1, SystemClock.now()).await?;
        store.close().await;
        let server = Launch::new(folder.path(), &url)?.start_whole(&reqwest::Client::new()).await?;
        let person = site.people.first().context("a person")?;
        let token = site.token(*person, SystemClock.now());
        let shot = Shot::new(kind, BYTES, 7);
        let file = folder.path().join("photo");
        std::fs::write(&file, &shot.bytes)?;
        Ok(Self { folder, server, token, shot, file })
    }

    /// What every client is told.
    fn wanted(&self, base: &str, more: Value) -> Value {
        let mut wanted = json!({
            "endpoint": format!("{base}/v1/uploads"), "token": self.token, "file": self.file,
            "sha256": self.shot.blob.sha256, "mime": self.shot.blob.kind.mime(),
        });
        if let (Some(wanted), Value::Object(more)) = (wanted.as_object_mut(), more) {
            wanted.extend(more);
        }
        wanted
    }

    /// A link that breaks off the first connections after so many bytes each.
    async fn bad_link(&self, cuts: &[u64]) -> Result<Link> {
        let mut cuts: Vec<u64> = cuts.iter().rev().copied().collect();
        let conduct = move || match cuts.pop() {
            Some(cut) => Conduct { cut_after_bytes: Some(cut), ..Conduct::WHOLE },
            None => Conduct::WHOLE,
        };
        Link::open(&self.server.url, conduct).await
    }

    /// The bytes come back as they were taken, through a record that names them.
    async fn came_whole(&self) -> Result<()> {
        let uploader = Uploader::new(self.token.clone())?;
        let rec = Uuid::from_u128(11).to_string();
        let change = Uuid::from_u128(12).to_string();
        let status = uploader.name(&self.server.url, &rec, &self.shot, &change).await?;
        ensure!(status == 200, "the record is refused with {status}");
        let (status, bytes) = uploader.read(&self.server.url, &rec, &self.shot).await?;
        ensure!(status == 200, "the file is refused with {status}");
        ensure!(bytes == self.shot.bytes, "the bytes that come back are others");
        Ok(())
    }
}

async fn run(mut command: Command) -> Result<Value> {
    let child = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(CLIENT_MAX, child).await??;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line)
        .with_context(|| format!("said {text:?} and {}", String::from_utf8_lossy(&output.stderr)))
}

async fn javascript(wanted: Value) -> Result<Value> {
    let mut command = Command::new("node");
    command.env("NODE_PATH", clients().join("node_modules"));
    command.arg(script("upload.cjs")).arg(wanted.to_string());
    run(command).await
}

async fn python(wanted: Value) -> Result<Value> {
    let mut command = Command::new(clients().join("python/bin/python"));
    command.arg(script("upload.py")).arg(wanted.to_string());
    run(command).await
}

#[tokio::test]
async fn javascript_uploads_in_one_call() -> TestResult {
    let scene = Scene::open(MediaType::Jpeg).await?;
    let said =
        javascript(scene.wanted(&scene.server.url, json!({ "during_creation": true }))).await?;
    assert!(said["url"].is_string(), "{said}");
    Ok(scene.came_whole().await?)
}

#[tokio::test]
async fn javascript_resumes_over_a_link_that_breaks() -> TestResult {
    let scene = Scene::open(MediaType::Mp4).await?;
    let link = scene.bad_link(&[100_000, 700_000, 400, 900_000]).await?;
    let said = javascript(scene.wanted(&link.url, json!({}))).await?;
    assert!(said["url"].is_string(), "{said}");
    scene.came_whole().await?;
    let resent = link.carried().saturating_sub(u64::try_from(BYTES)?);
    assert!(resent < 400_000, "{resent} bytes were sent again");
    Ok(())
}

#[tokio::test]
async fn javascript_goes_on_in_another_process() -> TestResult {
    let scene = Scene::open(MediaType::Mov).await?;
    let urls = scene.folder.path().join("urls.json");
    let more = json!({ "chunk": CHUNK, "urls": urls, "leave_after": 1_200_000 });
    let said = javascript(scene.wanted(&scene.server.url, more)).await?;
    assert!(said["left"].is_number(), "{said}");
    let more = json!({ "chunk": CHUNK, "urls": urls });
    let said = javascript(scene.wanted(&scene.server.url, more)).await?;
    assert!(said["url"].is_string(), "{said}");
    Ok(scene.came_whole().await?)
}

#[tokio::test]
async fn javascript_ends_an_upload() -> TestResult {
    let scene = Scene::open(MediaType::Webm).await?;
    let uploader = Uploader::new(scene.token.clone())?;
    let base = &scene.server.url;
    let path = uploader.create(base, &scene.shot).await?.context("an answer")?;
    let path = path.map_err(|status| format!("refused with {status}"))?;
    let url = format!("{base}{path}");
    let said = javascript(scene.wanted(base, json!({ "terminate": url }))).await?;
    assert_eq!(said, json!({ "terminated": true }));
    assert_eq!(uploader.offset(base, &path).await, Some(Err(410)));
    Ok(())
}

#[tokio::test]
async fn python_resumes_over_a_link_that_breaks() -> TestResult {
    let scene = Scene::open(MediaType::Png).await?;
    let link = scene.bad_link(&[1_000_000, 200_000, 300_000]).await?;
    let more = json!({ "chunk": CHUNK, "checksum": true });
    let said = python(scene.wanted(&link.url, more)).await?;
    assert_eq!(said["offset"], json!(BYTES), "{said}");
    Ok(scene.came_whole().await?)
}

#[tokio::test]
async fn python_goes_on_in_another_process() -> TestResult {
    let scene = Scene::open(MediaType::Webp).await?;
    let urls = scene.folder.path().join("urls.json");
    let more = json!({ "chunk": CHUNK, "urls": urls, "stop_at": 1_000_000 });
    let said = python(scene.wanted(&scene.server.url, more)).await?;
    assert_eq!(said["offset"], json!(1_000_000), "{said}");
    let said =
        python(scene.wanted(&scene.server.url, json!({ "chunk": CHUNK, "urls": urls }))).await?;
    assert_eq!((&said["resumed_at"], &said["offset"]), (&json!(1_000_000), &json!(BYTES)));
    Ok(scene.came_whole().await?)
}

#[tokio::test]
async fn a_lie_about_the_type_reaches_the_person_behind_the_client() -> TestResult {
    let mut scene = Scene::open(MediaType::Png).await?;
    scene.shot.blob.kind = MediaType::Jpeg;
    let said = javascript(scene.wanted(&scene.server.url, json!({}))).await?;
    assert!(matches!(said["status"].as_u64(), Some(415 | 422)), "{said}");
    Ok(())
}
