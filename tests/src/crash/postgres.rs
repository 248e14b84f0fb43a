//! A PostgreSQL of one test that can be killed, postmaster and children, and started again on what is left.

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};
use storage::testing::Folder;

/// The versions that are supported, newest first.
const VERSIONS: [u32; 4] = [18, 17, 16, 15];
const MISSING: &str = "PostgreSQL is missing: install Debian's package `postgresql`";
/// How long a start, or an end, may take.
const WAIT_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs the server until our end of the pipe closes: also when this process is killed.
const SCRIPT: &str = r#"
trap '' INT HUP TERM
"$1/postgres" -D "$2/data" -k "$2" -p "$3" -c listen_addresses=127.0.0.1 -c max_connections=200 \
    -c shared_buffers=64MB -c fsync=on -c full_page_writes=on >>"$2/log" 2>&1 &
server=$!
read -r _
kill -INT "$server" 2>/dev/null
wait "$server"
"#;

/// A server with its own folder.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    /// Its stdin is the lifeline; none while the server is dead.
    shell: Option<Child>,
    folder: Folder,
}

impl Postgres {
    /// Makes a cluster and starts its server.
    pub async fn start() -> Result<Self> {
        let bin = programs().context(MISSING)?;
        let folder = Folder::new("killed-pg")?;
        let user = unprivileged()?;
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        let initdb = command(&bin.join("initdb"), user)
            .args(["-U", "genba", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(folder.path().join("data"))
            .output()?;
        if !initdb.status.success() {
            bail!("initdb: {}", String::from_utf8_lossy(&initdb.stderr));
        }
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut postgres = Self { bin, user, port, shell: None, folder };
        postgres.revive().await?;
        Ok(postgres)
    }

    /// Creates an empty database and gives its address.
    pub async fn create_database(&self, name: &str) -> Result<String> {
        let mut conn = PgConnection::connect(&self.url("postgres")).await?;
        conn.execute(AssertSqlSafe(format!("create database {name}"))).await?;
        conn.close().await?;
        Ok(self.url(name))
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://genba@127.0.0.1:{}/{database}", self.port)
    }

    /// Starts the server on what is left and waits until it takes connections.
    pub async fn revive(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let shell = command(Path::new("/bin/sh"), self.user)
            .args(["-c", SCRIPT, "sh"])
            .args([&self.bin, self.folder.path()])
            .arg(self.port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        self.shell = Some(shell);
        while begun.elapsed() < WAIT_MAX {
            if let Ok(conn) = PgConnection::connect(&self.url("postgres")).await {
                conn.close().await?;
                return Ok(begun.elapsed());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        bail!("PostgreSQL did not start: {log}")
    }

    /// Kills the postmaster and its children (SIGKILL) and waits until all are gone.
    pub async fn kill(&mut self) -> Result<()> {
        let text = fs::read_to_string(self.folder.path().join("data/postmaster.pid"))?;
        let postmaster: i32 = text.lines().next().context("a pid")?.trim().parse()?;
        let mut family = children_of(postmaster)?;
        family.insert(0, postmaster);
        for pid in &family {
            if let Some(pid) = Pid::from_raw(*pid) {
                // One that is gone already needs no signal.
                kill_process(pid, Signal::KILL).ok();
            }
        }
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            shell.wait()?;
        }
        let begun = Instant::now();
        while family.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
            if begun.elapsed() > WAIT_MAX {
                bail!("PostgreSQL does not die");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            drop(shell.wait());
        }
    }
}

/// The processes whose parent is `parent`.
fn children_of(parent: i32) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // The name of the program stands in brackets and may hold anything; the parent is the second word after it.
        let after = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        if after.split_whitespace().nth(1).and_then(|text| text.parse().ok()) == Some(parent) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn programs() -> Option<PathBuf> {
    let packaged =
        VERSIONS.iter().map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = packaged.chain(env::split_paths(&path));
    folders.find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// Whom PostgreSQL runs as if this process is root, which it refuses.
fn unprivileged() -> Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find_map(|line| line.strip_prefix("postgres:")).context(MISSING)?;
    let mut ids = line.split(':').skip(1).map(str::parse);
    match (ids.next(), ids.next()) {
        (Some(Ok(uid)), Some(Ok(gid))) => Ok(Some((uid, gid))),
        _ => bail!("/etc/passwd has no ids for postgres"),
    }
}

fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/");
    command
}
