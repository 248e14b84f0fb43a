//! Simulated worlds: real tablets and the real server under one clock, one chance and a network that does its worst.
//!
//! A world is one thread and one seed. Tablets are the replica machine with their rows in a map; the server is the
//! server's own code over a file in memory, one operation in flight at a time. [`Plan`] says what goes wrong,
//! [`World`] lets it happen and looks after every step, [`run`] plays one seed to its end. The same seed gives the same
//! trace. To add a fault: a kind in `plan`, what it does in `people`, `office` or `network`, and what must hold
//! nevertheless in `oracle` or `verdict`.

mod dice;
pub mod directed;
mod eye;
mod house;
mod network;
mod office;
mod oracle;
mod people;
mod plan;
mod rogue;
mod tablet;
mod trace;
mod verdict;
mod world;

pub use dice::Dice;
pub use plan::{Fault, Plan};
pub use world::{Tally, World};

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a world ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its seed.
    pub seed: u64,
    /// The hash of its trace.
    pub hash: u64,
    /// What it counted.
    pub tally: Tally,
    /// What did not hold.
    pub failure: Option<String>,
    /// What happened.
    pub lines: Vec<String>,
}

impl Ended {
    /// A failure as a person reads it: the seed, what did not hold, and the last lines of the trace.
    pub fn told(&self, lines_max: usize) -> String {
        let skipped = self.lines.len().saturating_sub(lines_max);
        let last: Vec<&str> = self.lines.iter().skip(skipped).map(String::as_str).collect();
        let failure = self.failure.as_deref().unwrap_or("held");
        format!("seed {}: {failure}\n{}\nseed {}: {failure}", self.seed, last.join("\n"), self.seed)
    }
}

/// Plays one seed to its end.
pub async fn run(seed: u64) -> Ended {
    let mut dice = Dice::new(seed);
    let plan = Plan::draw(&mut dice);
    match World::begin(seed, dice, plan).await {
        Ok(world) => world.play().await,
        Err(error) => Ended {
            seed,
            hash: 0,
            tally: Tally::default(),
            failure: Some(format!("the world did not begin: {error:?}")),
            lines: Vec::new(),
        },
    }
}

/// Plays many seeds on `threads` threads, in the order of seeds on each; stops at the first failures.
pub fn run_many(
    from: u64,
    count: u64,
    threads: usize,
    failures_max: usize,
) -> std::io::Result<(Tally, Vec<Ended>)> {
    let next = AtomicU64::new(from);
    let ended: Mutex<(Tally, Vec<Ended>)> = Mutex::default();
    let work = || -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from.saturating_add(count) {
                return Ok(());
            }
            let one = runtime.block_on(run(seed));
            let mut all = ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            all.0.add(&one.tally);
            if one.failure.is_some() {
                all.1.push(one);
            }
            if all.1.len() >= failures_max {
                return Ok(());
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok(ended.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}
