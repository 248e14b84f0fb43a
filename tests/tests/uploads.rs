//! A thousand uploads through every fault, to servers that are killed: all bytes arrive as they were taken.

use anyhow::Context as _;
use genba_tests::crash::postgres::Postgres;
use genba_tests::uploads::campaign::{Place, Plan, Report, run};
use genba_tests::uploads::{deaths, memory};
use storage::testing::{Folder, TestResult};

/// What the campaigns throw at uploads; each must have happened.
const FAULTS: [&str; 9] = [
    "cut",
    "reset",
    "stall",
    "lost answer",
    "wrong checksum",
    "repeated PATCH",
    "two PATCHes at once",
    "HEAD during PATCH",
    "other node",
];

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_uploads_to_one_server_that_is_killed() -> TestResult {
    let folder = Folder::new("uploads-sqlite")?;
    let database_url = format!("sqlite:{}/genba.db", folder.path().display());
    let plan =
        Plan { database_url, uploads: 400, nodes: 1, kills: 5, seed: seed(), place: Place::Folder };
    judged(&plan, &run(folder.path(), &plan).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hundred_uploads_to_two_servers_that_are_killed() -> TestResult {
    let folder = Folder::new("uploads-postgres")?;
    let postgres = Postgres::start().await?;
    let database_url = postgres.create_database("uploads").await?;
    let plan =
        Plan { database_url, uploads: 600, nodes: 2, kills: 5, seed: seed(), place: Place::Folder };
    judged(&plan, &run(folder.path(), &plan).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_wherever_the_server_died() -> TestResult {
    let deaths = deaths::UPLOAD.map(|(point, claimed)| async move {
        let folder = Folder::new("uploads-death")?;
        deaths::in_an_upload(folder.path(), point, claimed).await.context(point)
    });
    futures_util::future::try_join_all(deaths).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_is_ended_wherever_the_server_died() -> TestResult {
    let deaths = deaths::COLLECT.map(|point| async move {
        let folder = Folder::new("uploads-death")?;
        deaths::in_collection(folder.path(), point).await.context(point)
    });
    futures_util::future::try_join_all(deaths).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_made_wherever_the_server_died() -> TestResult {
    let deaths = deaths::RENDER.map(|point| async move {
        let folder = Folder::new("uploads-death")?;
        deaths::in_a_render(folder.path(), point).await.context(point)
    });
    futures_util::future::try_join_all(deaths).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_costs_the_server_32_mib_at_most() -> TestResult {
    let folder = Folder::new("uploads-memory")?;
    let kib = memory::of_one_upload(folder.path()).await?;
    assert!(kib <= 32 * 1024, "{kib} KiB");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a run tells its seed and what it did")]
fn seed() -> u64 {
    let seed = std::env::var("UPLOAD_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("UPLOAD_SEED={seed}");
    seed
}

#[expect(clippy::print_stdout, reason = "a run tells its seed and what it did")]
fn judged(plan: &Plan, report: &Report) {
    println!("{report:#?}");
    assert_eq!(report.wrongs, Vec::<String>::new());
    assert_eq!(report.whole, plan.uploads);
    assert_eq!(report.kills, plan.kills);
    for fault in FAULTS {
        assert!(report.faults.contains_key(fault), "no {fault} among {:?}", report.faults);
    }
    let known = |status: &u16| matches!(status, 0 | 204 | 409 | 423 | 429 | 460 | 503);
    assert!(report.statuses.keys().all(known), "{:?}", report.statuses);
}
