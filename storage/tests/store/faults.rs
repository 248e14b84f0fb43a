//! The tests can fail: each planted fault is caught by the test that guards against it.

use std::process::Command;
use storage::testing::TestResult;

/// Runs one test of this program with a fault and tells whether it passed.
fn passes(test: &str, fault: &str) -> TestResult<bool> {
    let run = Command::new(std::env::current_exe()?)
        .args(["--exact", test])
        .env("GENBA_FAULT", fault)
        .output()?;
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(said.contains("running 1 test"), "there is no test {test}: {said}");
    Ok(run.status.success())
}

#[test]
fn each_planted_fault_is_caught() -> TestResult {
    for (fault, test) in [
        ("page_cuts_inside_a_seq", "pointers::sqlite::any_limit_reads_the_same_pointers"),
        ("records_unlocked", "prefix::postgres::two_merges_of_one_record_lose_nothing"),
        ("begin_in_the_caller", "cancel::postgres_keeps_no_transaction_of_a_dropped_begin"),
        ("blobs_unlocked", "blob_refs::postgres::who_collects_waits_for_who_refers"),
        ("removal_unchecked", "blobs::sqlite::a_blob_that_a_change_names_is_not_removed"),
        ("hash_is_enough", "blob_refs::sqlite::records_tell_which_blobs_hold"),
        ("late_lease_names", "renders::sqlite::what_was_made_is_stored_once"),
        ("failures_forgotten", "renders::sqlite::the_second_failure_is_the_last"),
        ("synchronous_normal", "settings::a_durable_store_opens_and_keeps_what_was_committed"),
    ] {
        assert!(passes(test, "none")?, "{test} fails without a fault");
        assert!(!passes(test, fault)?, "{test} does not see {fault}");
    }
    Ok(())
}
