//! What holds in every world.

use genba_tests::sim;

/// How many worlds `make test` plays.
const SEEDS: u64 = 2_000;
/// How many are played twice.
const TWICE: u64 = 50;
const THREADS: usize = 2;
/// After so many failures nothing more is learnt.
const FAILURES_MAX: usize = 3;
/// The lines of a trace that are shown.
const LINES_MAX: usize = 120;

fn from_env(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn nothing_is_lost_leaks_diverges_or_sticks() {
    let (from, seeds) = (from_env("SIM_FROM", 0), from_env("SIM_SEEDS", SEEDS));
    let (tally, failures) = sim::run_many(from, seeds, THREADS, FAILURES_MAX).unwrap();
    println!("seeds {from} to {}: {tally:?}", from + seeds);
    let told: Vec<String> = failures.iter().map(|ended| ended.told(LINES_MAX)).collect();
    assert!(told.is_empty(), "{}", told.join("\n\n"));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for seed in 0..TWICE {
        let (one, two) = (runtime.block_on(sim::run(seed)), runtime.block_on(sim::run(seed)));
        let first = one.lines.iter().zip(&two.lines).find(|(a, b)| a != b);
        assert_eq!(one.hash, two.hash, "seed {seed} parts at {first:?}");
    }
}

fn alone<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[test]
fn the_state_does_not_grow_with_the_edits_of_one_field() -> anyhow::Result<()> {
    let few = alone(sim::directed::one_field_many_times(1, 10))?;
    let many = alone(sim::directed::one_field_many_times(1, 150))?;
    assert!(many <= few + 16, "{few} bytes after 10 edits, {many} after 150");
    Ok(())
}

#[test]
fn changes_of_the_largest_size_reach_the_server() -> anyhow::Result<()> {
    alone(sim::directed::changes_of_the_largest_size(1))
}
