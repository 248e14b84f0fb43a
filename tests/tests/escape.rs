//! A worker that tries to leave finds nothing that it may do; one that kept its system calls does.

use genba_tests::field_day::server::program;
use image_worker::wire::Message;
use std::io::Read as _;
use std::process::{Command, Stdio};
use storage::testing::TestResult;

/// What a worker reached that should try everything; and whether it said that the kernel holds it.
fn escapes(faults: &str) -> TestResult<(bool, Vec<String>, Vec<String>)> {
    let mut child = Command::new(program("genba_with_faults")?)
        .arg(image_worker::COMMAND)
        .env_clear()
        .env("GENBA_FAULT", faults)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut answer = Vec::new();
    child.stdout.take().ok_or("a pipe")?.read_to_end(&mut answer)?;
    child.wait()?;
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
