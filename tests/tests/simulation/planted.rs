//! Each planted fault is noticed by some world: the checkers can fail.

use genba_tests::sim;
use server::fault::plant;

/// The worlds that are looked at for each fault, at most.
const SEEDS: u64 = 400;
const THREADS: usize = 2;

/// Faults of the protocol that a single server and its tablets can show.
const FAULTS: [&str; 7] = [
    "deltas-against-at",
    "since-forgotten",
    "prev-lease-always-accepted",
    "op-removes-another-path",
    "purge-before-acknowledgement",
    "early-gone-forgotten",
    "dup-hides-quarantine",
];

/// One test, because a fault is planted in the whole process.
#[test]
fn every_planted_fault_is_noticed_by_some_world() {
    let mut unnoticed = Vec::new();
    for fault in FAULTS {
        plant(fault);
        let (tally, failures) = sim::run_many(0, SEEDS, THREADS, 1).unwrap();
        plant("");
        match failures.first() {
            Some(ended) => {
                let failure = ended.failure.as_deref().unwrap_or_default();
                println!(
                    "{fault}: seed {}, after {} worlds: {failure:.200}",
                    ended.seed, tally.worlds
                );
            }
            None => unnoticed.push(fault),
        }
    }
    assert_eq!(unnoticed, Vec::<&str>::new(), "planted and not noticed");
}
