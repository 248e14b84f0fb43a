//! Attempts of a worker to reach what it has given up: only where tests plant them.

use super::wire::{Message, say};
use rustix::process::{Pid, getppid, test_kill_process};
use std::fs::File;
use std::io::{self, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;
use sync_protocol::fault::{plant, planted};

/// Plants the fault that `GENBA_FAULT` names, if it names one; gives the parent, whom nobody may name afterwards. The
/// server gives its workers no environment.
pub(super) fn prepare() -> Option<Pid> {
    if let Ok(name) = std::env::var("GENBA_FAULT") {
        plant(&name);
    }
    getppid()
}

/// Tries everything and tells what succeeded.
pub(super) fn when_asked(parent: Option<Pid>, output: &mut impl Write) -> io::Result<()> {
    // One that keeps its calls tries as well: what it reaches shows that the attempts are real.
    if !planted("worker_tries_to_escape") && !planted("worker_keeps_its_calls") {
        return Ok(());
    }
    let attempts = [
        ("reading a file", File::open("/proc/self/status").is_ok()),
        ("writing a file", File::create("/dev/null").is_ok()),
        ("reading a folder", std::fs::read_dir("/").is_ok()),
        ("sending a datagram", UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("listening", TcpListener::bind("127.0.0.1:0").is_ok()),
        ("a pair of sockets", UnixStream::pair().is_ok()),
        ("another program", Command::new("/bin/true").spawn().is_ok()),
        ("another thread", std::thread::Builder::new().spawn(|| {}).is_ok()),
        ("looking at its parent", parent.is_some_and(|parent| test_kill_process(parent).is_ok())),
    ];
    let (by, not_by) = attempts.into_iter().partition::<Vec<_>, _>(|(_, succeeded)| *succeeded);
    let names = |of: Vec<(&str, bool)>| of.into_iter().map(|(name, _)| name.to_owned()).collect();
    say(output, &Message::Escaped { by: names(by), not_by: names(not_by) })
}
