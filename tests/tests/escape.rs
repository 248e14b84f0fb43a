//! A worker finds nothing that it may do and nothing that it may have beyond its limits; one that was not held does.

use genba_tests::field_day::server::program;
use genba_tests::forge::bombs::{ALL, End};
use image_worker::wire::{Job, Message};
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use storage::testing::TestResult;

/// What a worker with this fault answers to a job.
fn answer(fault: &str, job: &[u8], bytes: &[u8]) -> TestResult<Vec<u8>> {
    let mut child = Command::new(program("genba_with_faults")?)
        .arg(image_worker::COMMAND)
        .env_clear()
        .env("GENBA_FAULT", fault)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    // Who ends early hears nothing of it.
    let mut input = child.stdin.take().ok_or("a pipe")?;
    let _gone = input.write_all(job).and_then(|()| input.write_all(bytes));
    drop(input);
    let mut answer = Vec::new();
    child.stdout.take().ok_or("a pipe")?.read_to_end(&mut answer)?;
    child.wait()?;
    Ok(answer)
}

/// What a worker reached that should try everything; and whether it said that the kernel holds it.
fn escapes(fault: &str) -> TestResult<(bool, Vec<String>, Vec<String>)> {
    let answer = answer(fault, b"", b"")?;
    let mut rest = answer.as_slice();
    let mut next = || -> TestResult<Message> {
        let length = usize::try_from(u32::from_le_bytes(*rest.first_chunk().ok_or("a length")?))?;
        let text = rest.get(4..4 + length).ok_or("a message")?;
        rest = rest.get(4 + length..).unwrap_or_default();
        Ok(serde_json::from_slice(text)?)
    };
    let Message::Hello { confined } = next()? else { return Err("no greeting".into()) };
    let Message::Escaped { by, not_by } = next()? else { return Err("nothing was tried".into()) };
    Ok((confined, by, not_by))
}

#[test]
fn a_worker_cannot_leave() -> TestResult {
    let (confined, by, not_by) = escapes("worker_tries_to_escape")?;
    assert!(confined);
    assert_eq!(by, Vec::<String>::new());
    assert_eq!(not_by.len(), 9, "{not_by:?}");
    Ok(())
}

#[test]
fn one_that_kept_its_system_calls_is_found_out() -> TestResult {
    let (confined, by, _) = escapes("worker_keeps_its_calls")?;
    assert!(!confined);
    for way in [
        "reading a file",
        "reading a folder",
        "sending a datagram",
        "a pair of sockets",
        "looking at its parent",
    ] {
        assert!(by.iter().any(|by| by == way), "{way} among {by:?}");
    }
    Ok(())
}

#[test]
fn one_without_limits_is_found_out() -> TestResult {
    for bomb in ALL.iter().filter(|bomb| bomb.end == End::Dies) {
        let bytes = (bomb.bytes)();
        let job = Job { kind: bomb.kind, bytes: u64::try_from(bytes.len())? }.line();
        let held = answer("none", &job, &bytes)?;
        assert_eq!(End::told_by(&held), None, "{}: dies of its limits", bomb.name);
        let free = answer("worker_without_limits", &job, &bytes)?;
        assert!(End::told_by(&free).is_some(), "{}: only they stop it", bomb.name);
    }
    Ok(())
}
