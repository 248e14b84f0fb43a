//! The server under measurement: the real binary as a child process, and what the system says of it.

use crate::field_day::server::program;
use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often we look whether the server answers.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long it may take to become ready.
const READY_MAX: Duration = Duration::from_secs(60);
/// A tick of the processor times in `/proc`, which Linux fixes for programs at 100 a second.
const TICK_US: u64 = 10_000;

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Its address, as `http://127.0.0.1:<port>`.
    pub url: String,
    /// From its start until it took work.
    pub ready: Duration,
}

impl Server {
    /// Starts `genba` on a database and waits until it takes work; its files lie in `folder`.
    pub async fn start(folder: &Path, database: &str, http: &reqwest::Client) -> Result<Self> {
        let (port_file, config) = (folder.join("port"), folder.join("genba.toml"));
        fs::write(&config, "[listen]\ndrain_delay_s = 0\n")?;
        if port_file.exists() {
            fs::remove_file(&port_file)?;
        }
        let log = File::options().create(true).append(true).open(folder.join("server.log"))?;
        let began = Instant::now();
        let child = Command::new(program("genba")?)
            .arg("--config")
            .arg(&config)
            .args(["--database-url", database, "serve", "--listen", "127.0.0.1:0", "--port-file"])
            .arg(&port_file)
            .env("GENBA_OBJECTS_URL", format!("folder:{}", folder.join("objects").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut server = Self { child, url: String::new(), ready: Duration::ZERO };
        while began.elapsed() < READY_MAX {
            if let Some(status) = server.child.try_wait()? {
                let log = fs::read_to_string(folder.join("server.log")).unwrap_or_default();
                bail!("the server ended with {status}: {log}");
            }
            if let Ok(port) = fs::read_to_string(&port_file) {
                server.url = format!("http://127.0.0.1:{port}");
                let answer = http.get(format!("{}/readyz", server.url)).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    server.ready = began.elapsed();
                    return Ok(server);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("the server did not become ready")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processor time that it has used so far, in microseconds.
    pub fn cpu_us(&self) -> Result<u64> {
        cpu_us(self.pid())
    }

    /// Its resident memory now, in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        status_kib(self.pid(), "VmRSS")
    }

    /// The most resident memory since the last [`forget_peak`](Self::forget_peak), in KiB.
    pub fn peak_kib(&self) -> Result<u64> {
        status_kib(self.pid(), "VmHWM")
    }

    /// Begins the peak of resident memory anew.
    pub fn forget_peak(&self) -> Result<()> {
        forget_peak(self.pid())
    }

    /// Stops it as an operator does, and waits for its end.
    pub fn stop(mut self) -> Result<()> {
        self.end(Signal::TERM)
    }

    /// Kills it without a word.
    pub fn kill(mut self) -> Result<()> {
        self.end(Signal::KILL)
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            kill_process(pid.context("the server has a pid")?, signal)?;
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whoever comes here without `stop` has failed: nothing may be left running.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The processor time of a process, user and system, in microseconds.
pub fn cpu_us(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("the name stands in parentheses")?;
    let ticks: u64 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Ok(ticks * TICK_US)
}

/// Begins the peak of the resident memory of a process anew.
pub fn forget_peak(pid: u32) -> Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

/// A figure of the memory of a process, in KiB: `VmRSS`, `VmHWM`, `VmPeak`.
pub fn status_kib(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.with_context(|| format!("no {name}"))?.parse()?)
}

/// Allows as many open files as this user may have; children inherit it.
pub fn open_files_max() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}
