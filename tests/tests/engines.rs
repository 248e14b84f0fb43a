//! Both databases: the same history, many writers, two servers over one database, and a database that dies.

use genba_tests::crash::concurrent::{Seen, run};
use genba_tests::crash::history::play;
use std::time::Duration;
use storage::testing::{self, Folder, TestResult, TestStore};

/// Histories that are played on both.
const HISTORIES: u64 = 24;
/// Steps of a history.
const STEPS: u32 = 120;
/// How long many write at once.
const LOAD: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn one_history_gives_one_state_on_both() -> TestResult {
    let mut quarantined = 0;
    for seed in 0..HISTORIES {
        let (sqlite, postgres) = (testing::sqlite().await?, testing::postgres().await?);
        let one = play(&sqlite.options, seed, STEPS).await?;
        let other = play(&postgres.options, seed, STEPS).await?;
        for (n, (one, other)) in one.answers.iter().zip(&other.answers).enumerate() {
            assert_eq!(one, other, "seed {seed}, answer {n}");
        }
        assert_eq!(one, other, "seed {seed}");
        assert!(one.answers.iter().all(|(status, _)| *status < 500), "seed {seed}");
        assert!(one.found.head > 10, "seed {seed}: {}", one.found.head);
        quarantined += one.found.quarantine.len();
    }
    assert!(quarantined > 10, "{quarantined} went through quarantine");
    Ok(())
}

async fn sixteen_writers(test: &TestStore, nodes: u64) -> TestResult {
    let folder = Folder::new("engines")?;
    let seen = run(&test.options, nodes, LOAD, folder.path()).await?;
    judged(&seen);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a run tells what it did")]
fn judged(seen: &Seen) {
    println!("{seen:#?}");
    assert_eq!(seen.wrongs, Vec::<String>::new());
    assert!(seen.acknowledged > 100 && seen.commands > 0 && seen.looks > 10, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_writers_on_sqlite() -> TestResult {
    sixteen_writers(&testing::sqlite().await?, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_writers_on_postgres() -> TestResult {
    sixteen_writers(&testing::postgres().await?, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_writers_on_two_servers_over_one_database() -> TestResult {
    sixteen_writers(&testing::postgres().await?, 2).await
}
