//! Files that were made to hurt: each ends within the limits, and as the table says.

use crate::run::{rendered, worker};
use genba_tests::bench::process::{cpu_us, status_kib};
use genba_tests::field_day::server::program;
use genba_tests::forge::bombs::{ALL, Bomb, End};
use genba_tests::forge::photo::CANARY;
use image_worker::wire::Job;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use storage::testing::TestResult;
use sync_protocol::blob::MediaType;

/// How often a running worker is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const MIB: u64 = 1024;

/// What one file cost and how it ended.
#[derive(Debug)]
struct Fate {
    end: Option<End>,
    resident_kib: u64,
    mapped_kib: u64,
    cpu_us: u64,
}

/// Gives a bomb to a worker of its own and watches it by what the kernel tells.
fn explode(bomb: &Bomb) -> TestResult<Fate> {
    let bytes = (bomb.bytes)();
    let mut child = Command::new(program("genba")?)
        .arg(image_worker::COMMAND)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = child.id();
    let (mut input, mut output) =
        child.stdin.take().zip(child.stdout.take()).ok_or("a worker has pipes")?;
    let job = Job { kind: bomb.kind, bytes: u64::try_from(bytes.len())? };
    let writing = std::thread::spawn(move || {
        // A worker that has ended reads no more.
        let _gone = input.write_all(&job.line()).and_then(|()| input.write_all(&bytes));
    });
    let (told, tells) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut answer = Vec::new();
        let _cut = output.read_to_end(&mut answer);
        told.send(answer)
    });
    let (mut resident_kib, mut mapped_kib) = (0, 0);
    let answer = loop {
        resident_kib = status_kib(pid, "VmHWM").unwrap_or_default().max(resident_kib);
        mapped_kib = status_kib(pid, "VmPeak").unwrap_or_default().max(mapped_kib);
        match tells.recv_timeout(LOOK_EVERY) {
            Ok(answer) => break answer,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err("the answer is lost".into()),
        }
    };
    // It has ended and was not yet waited for: the kernel still knows what it used.
    rustix::process::waitid(
        rustix::process::WaitId::Pid(rustix::process::Pid::from_child(&child)),
        rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
    )?;
    let cpu_us = cpu_us(pid)?;
    child.wait()?;
    writing.join().map_err(|_| "writing failed")?;
    reading.join().map_err(|_| "reading failed")??;
    Ok(Fate { end: End::told_by(&answer), resident_kib, mapped_kib, cpu_us })
}

#[test]
fn every_bomb_ends_within_the_limits() -> TestResult {
    let mut wrongs = Vec::new();
    for bomb in &ALL {
        let fate = explode(bomb)?;
        let Fate { end, resident_kib, mapped_kib, cpu_us } = fate;
        println!(
            "{:45} {:10} {:4} MiB resident, {:4} MiB mapped, {:5} ms of processor",
            bomb.name,
            format!("{:?}", end.unwrap_or(End::Dies)),
            resident_kib / MIB,
            mapped_kib / MIB,
            cpu_us / 1_000
        );
        let limits = resident_kib <= 384 * MIB && mapped_kib <= 384 * MIB && cpu_us <= 5_200_000;
        if end.unwrap_or(End::Dies) != bomb.end || !limits {
            wrongs.push(format!("{}: {fate:?}", bomb.name));
        }
    }
    assert_eq!(wrongs, Vec::<String>::new());
    Ok(())
}

#[test]
fn what_is_no_photo_or_film_is_not_even_given_to_a_worker() {
    let gif = ALL.iter().find(|bomb| bomb.name == "GIF as PNG").map(|bomb| (bomb.bytes)());
    let others =
        [&b"<svg xmlns='http://www.w3.org/2000/svg'>"[..], b"II*\0", b"PK\x03\x04", b"\x1f\x8b"];
    for bytes in others.into_iter().chain(gif.as_deref()) {
        assert_eq!(MediaType::of_bytes(bytes), None);
    }
}

#[tokio::test]
async fn nothing_of_a_polyglot_is_left_in_its_pictures() -> TestResult {
    let bomb = ALL.iter().find(|bomb| bomb.name.contains("HTML")).ok_or("a polyglot")?;
    let (thumb, screen) = crate::run::made(bomb.kind, &(bomb.bytes)()).await?;
    for made in [thumb, screen] {
        assert!(!made.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()));
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_dies_is_told_from_one_that_refuses() -> TestResult {
    let dies = ALL.iter().find(|bomb| bomb.end == End::Dies).ok_or("one that dies")?;
    assert!(rendered(dies.kind, &(dies.bytes)()).await.is_err());
    assert!(worker()?.demand_seccomp);
    Ok(())
}
