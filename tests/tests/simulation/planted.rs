//! Each planted fault is noticed by some world: the checkers can fail.

use genba_tests::sim;
use server::fault::plant;

/// The worlds that are looked at for each fault, at most.
const SEEDS: u64 = 400;
const THREADS: usize = 2;

/// Faults of the protocol that a single server and its tablets can show, each with a world that has shown it: the search
/// begins there. `early-gone-forgotten` is not among them: 400 worlds did not show it, its directed history does.
const FAULTS: [(&str, u64); 6] = [
    ("deltas-against-at", 31),
    ("since-forgotten", 325),
    ("prev-lease-always-accepted", 9),
    ("op-removes-another-path", 21),
    ("purge-before-acknowledgement", 42),
    ("dup-hides-quarantine", 7),
];

/// One test, because a fault is planted in the whole process.
#[test]
fn every_planted_fault_is_noticed_by_some_world() {
    let mut unnoticed = Vec::new();
    for (fault, from) in FAULTS {
        plant(fault);
        let (tally, failures) = sim::run_many(from, SEEDS, THREADS, 1).unwrap();
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
