//! What a worker may not do, as the kernel tells it.

use crate::run::worker;
use axum::body::Bytes;
use futures_util::stream;
use genba_tests::field_day::server::program;
use genba_tests::forge::photo;
use image_worker::wire::Job;
use server::media::render::{Failure, Worker};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use storage::testing::TestResult;
use sync_protocol::blob::MediaType;

/// A worker that has said that it is ready and waits for its job.
struct Waiting(Child);

impl Waiting {
    fn start() -> TestResult<Self> {
        let mut child = Command::new(program("genba")?)
            .arg(image_worker::COMMAND)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut length = [0; 4];
        child.stdout.as_mut().ok_or("a pipe")?.read_exact(&mut length)?;
        Ok(Self(child))
    }

    fn tells(&self, file: &str) -> TestResult<String> {
        Ok(fs::read_to_string(format!("/proc/{}/{file}", self.0.id()))?)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The open files of a process.
fn files_of(pid: &str) -> TestResult<BTreeSet<String>> {
    let files = fs::read_dir(format!("/proc/{pid}/fd"))?;
    let name =
        |file: io::Result<fs::DirEntry>| Ok(file?.file_name().to_string_lossy().into_owned());
    Ok(files.map(name).collect::<io::Result<_>>()?)
}

/// Whether an open file of ours is handed on to the programs that we start.
fn outlives_a_program(file: &str) -> bool {
    const CLOSED_ON_EXEC: u32 = 0o2_000_000;
    let told = fs::read_to_string(format!("/proc/self/fdinfo/{file}")).unwrap_or_default();
    let flags = told.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & CLOSED_ON_EXEC == 0)
}

#[test]
fn the_kernel_holds_a_worker() -> TestResult {
    let waiting = Waiting::start()?;
    let status = waiting.tells("status")?;
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.map(str::trim)
    };
    assert_eq!(line("Seccomp"), Some("2"), "a filter of system calls");
    assert_eq!(line("Seccomp_filters"), Some("1"));
    assert_eq!(line("NoNewPrivs"), Some("1"));
    assert_eq!(line("Threads"), Some("1"));
    let limits = waiting.tells("limits")?;
    for (name, most) in [
        ("Max address space", "402653184"),
        ("Max cpu time", "5"),
        ("Max open files", "16"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
        ("Max processes", "0"),
    ] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).ok_or(name)?;
        let both: Vec<&str> = line.split_whitespace().take(2).collect();
        assert_eq!(both, [most, most], "{name}");
    }
    assert_eq!(waiting.tells("environ")?, "");
    let files = files_of(&waiting.0.id().to_string())?;
    // What whoever runs the tests has left open for everybody is not ours to close.
    let handed_on: BTreeSet<String> =
        files_of("self")?.into_iter().filter(|file| outlives_a_program(file)).collect();
    let own: Vec<&String> = files.difference(&handed_on).collect();
    assert!(own.iter().all(|file| ["0", "1", "2"].contains(&file.as_str())), "{own:?}");
    Ok(())
}

#[tokio::test]
async fn one_that_takes_too_long_is_ended() -> TestResult {
    let picture = photo::jpeg(16, 8, None);
    let job = Job { kind: MediaType::Jpeg, bytes: u64::try_from(picture.len())? };
    let impatient = Worker { wall_max: Duration::from_secs(1), ..worker()? };
    let told = impatient.render(job, stream::pending::<io::Result<Bytes>>()).await;
    assert!(matches!(told, Err(Failure::TookTooLong)), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn bytes_that_cannot_be_read_are_not_the_photos_fault() -> TestResult {
    let job = Job { kind: MediaType::Jpeg, bytes: 1_000 };
    let broken =
        stream::iter([Ok(Bytes::from_static(&[0xff; 10])), Err(io::ErrorKind::TimedOut.into())]);
    let told = worker()?.render(job, broken).await;
    assert!(matches!(told, Err(Failure::Source(_))), "{told:?}");
    let short = stream::iter([Ok(Bytes::from_static(&[0xff; 10]))]);
    let told = worker()?.render(job, short).await;
    assert!(matches!(told, Err(Failure::Died { facts: None, .. })), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_no_worker_is_found_out() -> TestResult {
    let job = Job { kind: MediaType::Jpeg, bytes: 0 };
    let none = Worker { program: "/no/such/program".into(), ..worker()? };
    let told = none.render(job, stream::empty()).await;
    assert!(matches!(told, Err(Failure::NotStarted(_))), "{told:?}");
    for other in ["/bin/true", "/bin/echo"] {
        let other = Worker { program: other.into(), ..worker()? };
        let told = other.render(job, stream::empty()).await;
        assert!(matches!(told, Err(Failure::Died { facts: None, .. })), "{told:?}");
    }
    Ok(())
}
