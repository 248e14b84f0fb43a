//! The real server as a child process, on a free port of loopback, with its files in a folder of its own.

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often we look whether the server answers.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often we look at most: ten seconds.
const LOOKS_MAX: u32 = 200;

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Its address, as `http://127.0.0.1:<port>`.
    pub url: String,
}

/// The certificate of a server that speaks TLS, and its key; both are PEM files.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// The certificate, of `localhost`.
    pub cert: &'a Path,
    /// Its key.
    pub key: &'a Path,
}

/// Where the program `name` was built: beside the program that runs.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found =
        own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| {
        format!("{name} is not built: cargo build -p server -p tablet --bin {name}")
    })
}

/// The address of the database in `folder`.
pub fn database_url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("genba.db").display())
}

impl Server {
    /// Starts it and waits until it takes work.
    pub async fn start(folder: &Path, client: &reqwest::Client) -> Result<Self> {
        Self::start_with(folder, client, "http://127.0.0.1", "", None).await
    }

    /// Starts it with TLS and a log that tells every call; `client` has to know the certificate. Its address is `https://localhost:<port>`.
    pub async fn start_tls(
        folder: &Path,
        client: &reqwest::Client,
        Certificate { cert, key }: Certificate<'_>,
    ) -> Result<Self> {
        let tls = format!("[tls]\ncert = {:?}\nkey = {:?}\n", cert.display(), key.display());
        Self::start_with(folder, client, "https://localhost", &tls, Some("debug")).await
    }

    async fn start_with(
        folder: &Path,
        client: &reqwest::Client,
        address: &str,
        more: &str,
        log_level: Option<&str>,
    ) -> Result<Self> {
        let port_file = folder.join("port");
        let config = folder.join("genba.toml");
        std::fs::write(&config, format!("[listen]\ndrain_delay_s = 0\n{more}"))?;
        let log = File::options().create(true).append(true).open(folder.join("server.log"))?;
        let child = Command::new(program("genba")?)
            .args([
                "--config".as_ref(),
                config.as_os_str(),
                "--database-url".as_ref(),
                database_url(folder).as_ref(),
            ])
            .args(["serve", "--listen", "127.0.0.1:0", "--port-file"])
            .arg(&port_file)
            .envs(log_level.map(|level| ("GENBA_LOG", level)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut server = Self { child, url: String::new() };
        for _ in 0..LOOKS_MAX {
            if let Some(status) = server.child.try_wait()? {
                bail!(
                    "the server ended with {status}; see {}",
                    folder.join("server.log").display()
                );
            }
            if let Ok(port) = std::fs::read_to_string(&port_file) {
                server.url = format!("{address}:{port}");
                if server.is_ready(client).await {
                    return Ok(server);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("the server did not become ready; see {}", folder.join("server.log").display())
    }

    async fn is_ready(&self, client: &reqwest::Client) -> bool {
        let answer = client.get(format!("{}/readyz", self.url)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Stops it as an operator does, and waits for its end.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("the server has a pid")?;
        if self.child.try_wait()?.is_none() {
            kill_process(pid, Signal::TERM)?;
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.end().is_err() {
            let _gone = self.child.kill();
        }
    }
}
