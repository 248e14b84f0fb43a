//! Power cuts under load: what was acknowledged is there when the power comes back, and the tests can tell.

use genba_tests::power::campaign::{Plan, Report, run};
use genba_tests::power::fuse::is_possible;
use storage::testing::{Folder, TestResult};

/// Cuts of one run.
const CUTS: u32 = 40;

#[expect(clippy::print_stdout, reason = "a run tells its seed and what it did")]
async fn played(fault: &str, cuts: u32) -> TestResult<Option<Report>> {
    if !is_possible() {
        println!("SKIP: power cuts need /dev/fuse, which this machine has not");
        return Ok(None);
    }
    let seed = std::env::var("POWER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("POWER_SEED={seed}");
    let folder = Folder::new("power")?;
    let plan = Plan { cuts, seed, fault: fault.to_owned() };
    let report = run(folder.path(), &plan).await?;
    println!("{report:#?}");
    Ok(Some(report))
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cuts_lose_nothing_that_was_acknowledged() -> TestResult {
    let Some(report) = played("", CUTS).await? else { return Ok(()) };
    assert_eq!(report.wrongs, Vec::<String>::new());
    assert_eq!(report.cuts, CUTS);
    assert!(report.acknowledged > 100, "{} acknowledged", report.acknowledged);
    assert!(report.photos > 10, "{} photos", report.photos);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_sync_is_found() -> TestResult {
    let Some(report) = played("synchronous_dropped", CUTS).await? else { return Ok(()) };
    assert!(report.wrongs.iter().any(|wrong| wrong.contains("LOST")), "{:?}", report.wrongs);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_objects_that_does_not_sync_is_found() -> TestResult {
    let Some(report) = played("objects_unsynced", CUTS).await? else { return Ok(()) };
    assert!(report.wrongs.iter().any(|wrong| wrong.contains("DAMAGED")), "{:?}", report.wrongs);
    Ok(())
}
