//! Every planted fault is caught: a check that says nothing without it says something with it. See docs/faults.md.

use genba_tests::collect;
use genba_tests::crash::{campaign, concurrent, contend, directed};
use server::fault::plant;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use storage::testing::{self, Folder, TestResult};

type Checked = Pin<Box<dyn Future<Output = anyhow::Result<Vec<String>>>>>;
/// A check of the fault of this name, which is planted or, with an empty name, not.
type Check = fn(&'static str) -> Checked;

/// How long writers go at it.
const LOAD: Duration = Duration::from_secs(3);

/// Every fault and what catches it.
const FAULTS: [(&str, Check); 17] = [
    ("acknowledge-before-commit", |fault| Box::pin(kills(fault))),
    ("plain-sequence", |_| Box::pin(two_servers())),
    ("head-row-not-last", |_| Box::pin(contended())),
    ("records_unlocked", |_| Box::pin(contended())),
    ("deltas-against-at", |_| Box::pin(directed::a_cut_page_loses_no_field())),
    ("since-forgotten", |_| Box::pin(directed::what_enters_comes_whole())),
    ("op-removes-another-path", |_| Box::pin(directed::a_name_of_another_place_has_no_effect())),
    ("dup-hides-quarantine", |_| Box::pin(directed::a_lost_answer_hides_no_quarantine())),
    ("purge-before-acknowledgement", |_| Box::pin(directed::leaving_loses_no_unsent_change())),
    ("purge-before-media", |_| Box::pin(directed::leaving_waits_for_a_photo())),
    ("time-before-causality", |_| Box::pin(directed::a_slow_clock_replaces_what_it_saw())),
    ("prev-lease-always-accepted", |_| Box::pin(directed::a_copy_is_found())),
    ("read-scope-unchecked", |_| Box::pin(directed::a_foreign_record_is_not_shown())),
    ("window-deduplication", |_| Box::pin(directed::a_change_is_known_for_ever())),
    ("a-change-fails", |_| Box::pin(directed::a_change_that_fails_is_kept_unread())),
    ("removal_unchecked", |_| Box::pin(collected())),
    ("early-gone-forgotten", |_| Box::pin(directed::what_was_replaced_early_stays_replaced())),
];

/// The real server dies between answer and commit.
async fn kills(fault: &'static str) -> anyhow::Result<Vec<String>> {
    let folder = Folder::new("faults")?;
    let database_url = format!("sqlite:{}/genba.db", folder.path().display());
    let only_at = Some("push.before_commit:3".to_owned());
    let plan = campaign::Plan { database_url, kills: 3, seed: 1, fault: fault.to_owned(), only_at };
    Ok(campaign::run(&plan, folder.path()).await?.wrongs)
}

async fn two_servers() -> anyhow::Result<Vec<String>> {
    let folder = Folder::new("faults")?;
    let test = testing::postgres().await.map_err(anyhow::Error::from_boxed)?;
    Ok(concurrent::run(&test.options, 2, LOAD, folder.path()).await?.wrongs)
}

/// Collection against uploads and references, in many orders.
async fn collected() -> anyhow::Result<Vec<String>> {
    Ok(collect::run(collect::Plan { seed: 1, interleavings: 150 }).await?.wrongs)
}

async fn contended() -> anyhow::Result<Vec<String>> {
    let folder = Folder::new("faults")?;
    let test = testing::postgres().await.map_err(anyhow::Error::from_boxed)?;
    contend::run(&test.options, folder.path()).await
}

/// One test, because a fault is planted in the whole process.
#[tokio::test(flavor = "multi_thread")]
async fn every_planted_fault_is_caught() -> TestResult {
    let only = std::env::var("FAULT").ok();
    let mut uncaught = Vec::new();
    for (fault, check) in FAULTS {
        if only.as_deref().is_some_and(|only| only != fault) {
            continue;
        }
        plant("");
        assert_eq!(check("").await?, Vec::<String>::new(), "without the fault {fault}");
        plant(fault);
        let caught = check(fault).await;
        plant("");
        match caught?.first() {
            Some(wrong) => println!("{fault}: {wrong}"),
            None => uncaught.push(fault),
        }
    }
    assert_eq!(uncaught, Vec::<&str>::new(), "planted and not noticed");
    Ok(())
}

#[test]
fn every_planted_fault_is_listed() {
    let listed = include_str!("../../docs/faults.md");
    for (fault, _) in FAULTS {
        assert!(listed.contains(&format!("`{fault}`")), "docs/faults.md does not name {fault}");
    }
}
