//! `make sim`: plays simulated worlds and tells what was lost, diverged, leaked or stuck.

use anyhow::{Result, ensure};
use clap::Parser;
use genba_tests::sim;
use std::time::Instant;

/// Plays simulated worlds.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many worlds.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many threads play.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Ends after so many failures.
    #[arg(long, default_value_t = 5)]
    failures: usize,
    /// Prints the whole trace of each failure, and of a single seed always.
    #[arg(long)]
    trace: bool,
}

/// The last lines of a trace that are shown unless all are asked for.
const LINES: usize = 60;

#[expect(clippy::print_stdout, reason = "it is what the program is for")]
fn main() -> Result<()> {
    let asked = Arguments::parse();
    if asked.seeds == 1 && asked.trace {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = runtime.block_on(sim::run(asked.from));
        println!("{}\ntrace hash {:016x}", ended.told(usize::MAX), ended.hash);
        ensure!(ended.failure.is_none(), "the world did not hold");
        return Ok(());
    }
    let began = Instant::now();
    let (tally, failures) = sim::run_many(asked.from, asked.seeds, asked.threads, asked.failures)?;
    let lines = if asked.trace { usize::MAX } else { LINES };
    for ended in &failures {
        println!("{}\n", ended.told(lines));
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} worlds in {seconds:.0} s: {} changes authored, {} applied, {} in quarantine, {} requests, {} events, {} forks; {} failures",
        tally.worlds,
        tally.authored,
        tally.applied,
        tally.quarantined,
        tally.requests,
        tally.events,
        tally.forks,
        failures.len()
    );
    ensure!(failures.is_empty(), "{} worlds did not hold", failures.len());
    Ok(())
}
