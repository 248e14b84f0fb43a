//! One PostgreSQL server for the tests of one process.

use super::TestResult;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// The versions that are supported, newest first.
const VERSIONS: [u32; 4] = [18, 17, 16, 15];
const MISSING: &str = "PostgreSQL is missing: install Debian's package `postgresql` (15 or later), \
                       or put initdb and postgres in the PATH";
/// How often a start is looked at, and how many times.
const START_POLL: Duration = Duration::from_millis(50);
const START_POLLS_MAX: u32 = 600;

/// Runs the server until the test process ends, in whatever way: then its end of the pipe closes.
const SCRIPT: &str = r#"
trap '' INT HUP TERM
"$1/postgres" -D "$2/data" -k "$2" -p "$3" -c listen_addresses=127.0.0.1 -c max_connections=300 \
    -c shared_buffers=64MB -c fsync="$4" -c full_page_writes="$4" >"$2/log" 2>&1 &
server=$!
read -r _
kill -INT "$server"
wait "$server"
rm -rf "$2"
"#;

/// Whether the server survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// It does.
    On,
    /// It does not, and is faster.
    Off,
}

/// A running server that ends with this process.
#[derive(Debug)]
pub struct Cluster {
    port: u16,
    databases: AtomicU32,
    /// Its stdin is the lifeline.
    _shell: Child,
}

impl Cluster {
    /// Gives the server of this process and starts it if there is none.
    ///
    /// # Panics
    /// If PostgreSQL is missing or does not start: no test is skipped for want of it.
    pub fn of_this_process(fsync: Fsync) -> &'static Self {
        static ON: OnceLock<Cluster> = OnceLock::new();
        static OFF: OnceLock<Cluster> = OnceLock::new();
        match fsync {
            Fsync::On => ON.get_or_init(|| Self::start(fsync)),
            Fsync::Off => OFF.get_or_init(|| Self::start(fsync)),
        }
    }

    /// Creates an empty database and gives its address.
    pub async fn create_database(&self) -> TestResult<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut conn = PgConnection::connect(&self.url("postgres")).await?;
        conn.execute(AssertSqlSafe(format!("create database {name}"))).await?;
        conn.close().await?;
        Ok(self.url(&name))
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://genba@127.0.0.1:{}/{database}", self.port)
    }

    fn start(fsync: Fsync) -> Self {
        let bin = programs().expect(MISSING);
        let (word, suffix) = match fsync {
            Fsync::On => ("on", "durable"),
            Fsync::Off => ("off", "volatile"),
        };
        let folder = std::env::temp_dir().join(format!("genba-pg-{}-{suffix}", process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).expect("root may give a folder away");
        }
        let initdb = command(&bin.join("initdb"), user)
            .args(["-U", "genba", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(folder.join("data"))
            .output()
            .expect(MISSING);
        assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
        let port = free_port();
        let shell = command(Path::new("/bin/sh"), user)
            .args(["-c", SCRIPT, "sh"])
            .args([&bin, &folder])
            .args([&port.to_string(), word])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let started = (0..START_POLLS_MAX).any(|_| {
            sleep(START_POLL);
            is_ready(&bin, port)
        });
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(started, "PostgreSQL did not start: {log}");
        Self { port, databases: AtomicU32::new(0), _shell: shell }
    }
}

/// Where initdb and postgres are.
fn programs() -> Option<PathBuf> {
    let packaged =
        VERSIONS.iter().map(|version| format!("/usr/lib/postgresql/{version}/bin").into());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = packaged.chain(std::env::split_paths(&path));
    folders.find(|folder: &PathBuf| {
        folder.join("initdb").is_file() && folder.join("postgres").is_file()
    })
}

/// Whom PostgreSQL runs as if this process is root, which it refuses.
fn unprivileged() -> Option<(u32, u32)> {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !root {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let fields = users.lines().find_map(|line| line.strip_prefix("postgres:")).expect(MISSING);
    let mut ids = fields.split(':').skip(1).map(|id| id.parse().expect("/etc/passwd has ids"));
    ids.next().zip(ids.next())
}

fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/");
    command
}

fn is_ready(bin: &Path, port: u16) -> bool {
    Command::new(bin.join("pg_isready"))
        .args(["-q", "-h", "127.0.0.1", "-U", "genba", "-d", "postgres", "-p"])
        .arg(port.to_string())
        .status()
        .is_ok_and(|status| status.success())
}

fn free_port() -> u16 {
    let probe = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    probe.local_addr().expect("a bound socket has an address").port()
}
