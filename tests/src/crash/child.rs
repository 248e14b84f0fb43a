//! The real server as a child process that can be told where to die.

use crate::uploads::bucket::Bucket;
use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program: the server's own `main`, with the places to die compiled in.
pub const PROGRAM: &str = "genba_with_faults";
/// How often we look whether it is ready, or gone.
const LOOK_EVERY: Duration = Duration::from_millis(4);
/// How long a start may take at most.
const START_MAX: Duration = Duration::from_secs(30);

/// How servers are started.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    folder: PathBuf,
    database_url: String,
    objects: Vec<(&'static str, String)>,
    /// The fault that is planted in them.
    pub fault: String,
    /// More of their settings, as TOML.
    pub settings: String,
}

/// What became of a start.
#[derive(Debug)]
pub enum Started {
    /// It takes work.
    Ready(Process),
    /// It died first.
    Died,
}

/// A running server.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Its address, as `http://127.0.0.1:<port>`.
    pub url: String,
    /// How long it took to be ready.
    pub ready_after: Duration,
}

impl Launch {
    /// Servers on this database, with their files in this folder.
    pub fn new(folder: &Path, database_url: &str) -> Result<Self> {
        let program = crate::field_day::server::program(PROGRAM)
            .context("cargo build -p genba-tests --features faults --bin genba_with_faults")?;
        Ok(Self {
            program,
            folder: folder.to_owned(),
            database_url: database_url.to_owned(),
            objects: Vec::new(),
            fault: String::new(),
            settings: String::new(),
        })
    }

    /// Has the servers keep photos and video in this folder, which they may share.
    #[must_use]
    pub fn objects(mut self, folder: &Path) -> Self {
        self.objects = vec![("GENBA_OBJECTS_URL", format!("folder:{}", folder.display()))];
        self
    }

    /// Has the servers keep photos and video in a bucket.
    #[must_use]
    pub fn bucket(mut self, bucket: &Bucket) -> Self {
        self.objects = bucket.settings();
        self
    }

    /// Starts one that dies at `crash_at` (`name:k`, at its k-th passing), if that is said.
    pub async fn start(&self, client: &reqwest::Client, crash_at: Option<&str>) -> Result<Started> {
        let config = self.folder.join("genba.toml");
        let port_file = self.folder.join("port");
        std::fs::write(&config, format!("[listen]\ndrain_delay_s = 0\n{}", self.settings))?;
        if port_file.exists() {
            std::fs::remove_file(&port_file)?;
        }
        let log = File::options().create(true).append(true).open(self.folder.join("server.log"))?;
        let begun = Instant::now();
        let mut command = Command::new(&self.program);
        command
            .args(["--database-url", &self.database_url, "--config"])
            .arg(&config)
            .args(["serve", "--listen", "127.0.0.1:0", "--port-file"])
            .arg(&port_file)
            .env("GENBA_OBJECTS_URL", format!("folder:{}", self.folder.join("objects").display()))
            .env_remove("CRASH_AT")
            .envs(self.objects.iter().map(|(name, value)| (name, value)))
            .env("GENBA_FAULT", &self.fault)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(point) = crash_at {
            command.env("CRASH_AT", point);
        }
        let child = command.spawn()?;
        let mut process = Process { child, url: String::new(), ready_after: Duration::ZERO };
        while begun.elapsed() < START_MAX {
            if process.is_gone()? {
                return Ok(Started::Died);
            }
            if let Ok(port) = std::fs::read_to_string(&port_file) {
                process.url = format!("http://127.0.0.1:{port}");
                let answer = client.get(format!("{}/readyz", process.url)).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    process.ready_after = begun.elapsed();
                    return Ok(Started::Ready(process));
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("no server after {START_MAX:?}; see {}", self.log())
    }

    /// Starts one that is to stay.
    pub async fn start_whole(&self, client: &reqwest::Client) -> Result<Process> {
        match self.start(client, None).await? {
            Started::Ready(process) => Ok(process),
            Started::Died => bail!("the server ended at its start; see {}", self.log()),
        }
    }

    /// The end of what its servers have logged.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn is_gone(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for its end, for at most `most`; tells whether it came.
    pub async fn ends_within(&mut self, most: Duration) -> Result<bool> {
        let begun = Instant::now();
        while begun.elapsed() < most {
            if self.is_gone()? {
                return Ok(true);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.is_gone()
    }

    /// Ends it without a word (SIGKILL).
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop (SIGTERM).
    pub fn ask_to_stop(&self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("the server has a pid")?, Signal::TERM)?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
