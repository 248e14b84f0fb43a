//! What the kernel tells of the processes that a server starts.

use super::process::{cpu_us, status_kib};
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The most that any of them used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// Resident memory, in KiB.
    pub resident_kib: u64,
    /// Processor time, in microseconds.
    pub cpu_us: u64,
    /// How many there were.
    pub workers: usize,
}

/// Watches the children of a process from a thread of its own.
#[derive(Debug)]
pub struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Most>,
}

impl Watch {
    /// Begins to watch the children of `parent`.
    pub fn over(parent: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let (mut most, mut seen) = (Most::default(), BTreeSet::new());
            while !ends.load(Ordering::Relaxed) {
                for child in children(parent) {
                    seen.insert(child);
                    let resident = status_kib(child, "VmHWM").unwrap_or_default();
                    most.resident_kib = most.resident_kib.max(resident);
                    most.cpu_us = most.cpu_us.max(cpu_us(child).unwrap_or_default());
                }
                std::thread::sleep(LOOK_EVERY);
            }
            Most { workers: seen.len(), ..most }
        });
        Self { over, thread }
    }

    /// Ends the watch; tells what was seen.
    pub fn end(self) -> Result<Most> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the watch came to its end")
    }
}

/// The processes whose parent this one is.
fn children(parent: u32) -> Vec<u32> {
    let Ok(folder) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
