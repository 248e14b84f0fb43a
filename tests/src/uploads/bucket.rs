//! An S3 service of one test: the real s3s-fs as a child process, which can be killed and started again on what is left.

use anyhow::{Context as _, Result, bail};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BUCKET: &str = "genba";
const KEY_ID: &str = "genba-tests";
const SECRET: &str = "a-secret-of-one-test";
/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A bucket that servers can be told of.
#[derive(Clone, Debug)]
pub struct Bucket {
    address: SocketAddr,
}

impl Bucket {
    /// The settings by which a server finds it.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("GENBA_OBJECTS_URL", format!("s3:{BUCKET}")),
            ("GENBA_OBJECTS_ENDPOINT", format!("http://{}", self.address)),
            ("GENBA_OBJECTS_REGION", "us-east-1".to_owned()),
            ("GENBA_OBJECTS_KEY_ID", KEY_ID.to_owned()),
            ("GENBA_OBJECTS_SECRET", SECRET.to_owned()),
        ]
    }
}

/// The service.
#[derive(Debug)]
pub struct S3 {
    root: PathBuf,
    /// Its bucket.
    pub bucket: Bucket,
    child: Option<Child>,
}

impl S3 {
    /// Starts it with its files in this folder.
    pub async fn start(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root.join(BUCKET))?;
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let mut service = Self { root: root.to_owned(), bucket: Bucket { address }, child: None };
        service.revive().await?;
        Ok(service)
    }

    /// Starts it again on what is left.
    pub async fn revive(&mut self) -> Result<()> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin/s3s-fs");
        let address = self.bucket.address;
        let child = Command::new(&program)
            .args(["--host", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--access-key", KEY_ID, "--secret-key", SECRET])
            .arg(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{}: `make store` installs it", program.display()))?;
        self.child = Some(child);
        let begun = Instant::now();
        while begun.elapsed() < START_MAX {
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("the S3 service does not listen")
    }

    /// Ends it without a word (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.kill());
    }
}
