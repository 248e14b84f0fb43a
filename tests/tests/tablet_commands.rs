//! `genba-tablet` against the real server: what a person types on two tablets, and what becomes of it.

use genba_tests::bureau::{
    BUCKET, Bureau, Failure, LOOK_EVERY, LOOKS_MAX, Tablet, Watching, copy_folder, wait_for,
};
use serde_json::Value;
use storage::testing::TestResult;

#[tokio::test]
async fn two_tablets_disagree_and_a_person_decides() -> TestResult {
    let bureau = Bureau::open("tablet-conflict").await?;
    let (office, _) = bureau.tablet("office", "supervisor")?;
    let (first, _) = bureau.tablet("first", "inspector")?;
    let (second, _) = bureau.tablet("second", "inspector")?;

    let property = office.says(&[
        "new",
        "fire_prevention_property",
        "--in",
        BUCKET,
        "name=Sakura Building",
    ])?;
    office.says(&["sync"])?;
    first.says(&["sync"])?;
    let record =
        first.says(&["new", "fire_inspection", "--about", &property, "inspection_type=regular"])?;
    assert_eq!(first.json(&["status"])?["unsent"], 1);
    first.says(&["sync"])?;
    second.says(&["sync"])?;

    // Both are offline; the clock of the second is a day ahead.
    first.says(&["set", &record, "checks.F07.result", "bad"])?;
    let row = first.says(&["add-row", &record, "findings", "severity=serious"])?;
    second.says(&["--clock-shift", "86400", "set", &record, "checks.F07.result", "good"])?;
    for tablet in [&first, &second, &first] {
        tablet.says(&["sync"])?;
    }
    for tablet in [&first, &second] {
        let conflicts = tablet.json(&["conflicts"])?;
        assert_eq!(conflicts[0]["conflicts"][0], "checks.F07.result", "{conflicts}");
        assert_eq!(conflicts[0]["title"], "Sakura Building");
        let shown = tablet.json(&["show", &record])?;
        let field = &shown["view"]["fields"]["checks.F07.result"];
        assert_eq!(field["shown"], "bad", "the graver answer is shown until a person decides");
        assert_eq!(field["versions"].as_array().map(Vec::len), Some(2));
        assert_eq!(shown["view"]["lists"]["findings"]["rows"][0]["id"], row.as_str());
    }
    second.says(&["set", &record, "checks.F07.result", "bad"])?;
    second.says(&["sync"])?;
    first.says(&["sync"])?;
    assert_eq!(first.json(&["conflicts"])?.as_array().map(Vec::len), Some(0));
    assert!(first.says(&["show", &record])?.contains("立入検査記録"));
    Ok(bureau.server.stop()?)
}

#[tokio::test]
async fn a_copied_tablet_offers_its_changes_under_a_new_replica() -> TestResult {
    let bureau = Bureau::open("tablet-copy").await?;
    let (first, _) = bureau.tablet("first", "supervisor")?;
    let copy = Tablet(bureau.folder.path().join("copy"));
    copy_folder(&first.0, &copy.0)?;
    first.says(&["new", "fire_prevention_property", "--in", BUCKET, "name=one"])?;
    copy.says(&["new", "fire_prevention_property", "--in", BUCKET, "name=two"])?;
    first.says(&["sync"])?;
    assert!(copy.says(&["sync"])?.contains("copied or restored"));
    first.says(&["sync"])?;
    assert_eq!(first.json(&["list"])?.as_array().map(Vec::len), Some(2));
    assert_eq!(copy.json(&["list"])?.as_array().map(Vec::len), Some(2));
    assert_ne!(first.json(&["status"])?["replica"], copy.json(&["status"])?["replica"]);

    // A database without its key is another tablet's, or nobody's.
    std::fs::remove_file(copy.0.join("device.key"))?;
    assert_eq!(copy.fails(&["sync"])?.0, Some(1));
    Ok(bureau.server.stop()?)
}

#[tokio::test]
async fn what_is_not_granted_any_more_leaves_the_tablet_with_its_last_byte() -> TestResult {
    let bureau = Bureau::open("tablet-leave").await?;
    let (office, _) = bureau.tablet("office", "supervisor")?;
    let (first, grant) = bureau.tablet("first", "inspector")?;
    let property =
        office.says(&["new", "fire_prevention_property", "--in", BUCKET, "name=taint-4711"])?;
    office.says(&["sync"])?;
    first.says(&["sync"])?;
    let record =
        first.says(&["new", "fire_inspection", "--about", &property, "inspection_type=regular"])?;
    assert!(first.traces("taint-4711")? > 0);
    bureau.admin(&["grant-end", "--tenant", "fire", "--grant", &grant], &[])?;
    let mut left = false;
    for _ in 0..LOOKS_MAX {
        left = first.says(&["sync"])?.contains("is not yours any more");
        if left {
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    assert!(left, "the end of the grant takes effect");
    assert_eq!(first.traces("taint-4711")?, 0);
    assert_eq!(first.json(&["list"])?.as_array().map(Vec::len), Some(0));
    assert_eq!(first.json(&["status"])?["unsent"], 0, "what was written there was handed in");
    assert_eq!(first.fails(&["show", &record])?.0, Some(1));
    Ok(bureau.server.stop()?)
}

/// Has a tablet of the bureau watch until it has heard of a record that the office begins; gives both.
fn heard(bureau: &Bureau) -> Result<(Tablet, String), Failure> {
    let (office, _) = bureau.tablet("office", "supervisor")?;
    let (first, _) = bureau.tablet("first", "inspector")?;
    let log = bureau.folder.path().join("watch.log");
    let mut watching =
        Watching(first.command(&["watch"])?.stdout(std::fs::File::create(&log)?).spawn()?);
    wait_for(&log, "In step")?;
    let (code, complaint) = first.fails(&["list"])?;
    assert_eq!(code, Some(1));
    assert!(complaint.contains("another program uses the tablet"), "{complaint}");
    let record = office.says(&["new", "fire_prevention_property", "--in", BUCKET, "name=new"])?;
    office.says(&["sync"])?;
    wait_for(&log, &record)?;
    watching.interrupt()?;
    wait_for(&log, "Stopped")?;
    Ok((first, record))
}

#[tokio::test]
async fn a_tablet_that_watches_hears_of_a_change() -> TestResult {
    let bureau = Bureau::open("tablet-watch").await?;
    let (first, record) = heard(&bureau)?;
    assert_eq!(first.json(&["list"])?[0]["rec"], record.as_str());
    Ok(bureau.server.stop()?)
}

#[tokio::test]
async fn a_tablet_syncs_and_watches_over_tls() -> TestResult {
    let bureau = Bureau::open_tls("tablet-tls").await?;
    heard(&bureau)?;
    // By the socket: long polling would have brought it too.
    let told = std::fs::read_to_string(bureau.folder.path().join("server.log"))?;
    let live = |line: &&str| line.contains("/v1/live") && line.contains("\"status\":101");
    assert!(told.lines().any(|line| live(&line)), "{told}");
    assert!(!told.contains("/v1/live/poll"), "{told}");

    // Whoever does not know the authority speaks with nobody.
    let stranger = Tablet(bureau.folder.path().join("stranger"));
    let enrol = ["enrol", "--server", &bureau.server.url, "--tenant", "fire", "--code", "ABC"];
    let (code, complaint) = stranger.fails(&enrol)?;
    assert_eq!(code, Some(3), "{complaint}");
    Ok(bureau.server.stop()?)
}

#[tokio::test]
async fn each_failure_has_its_exit_code_and_a_way_out() -> TestResult {
    let bureau = Bureau::open("tablet-failures").await?;
    let (first, _) = bureau.tablet("first", "supervisor")?;
    let nobody = Tablet(bureau.folder.path().join("nobody"));
    let (code, complaint) = nobody.fails(&["sync"])?;
    assert_eq!(code, Some(1));
    assert!(complaint.contains("enrol it first"), "{complaint}");
    let enrol = ["enrol", "--server", &bureau.server.url, "--tenant", "fire", "--code", "WRONG"];
    let (code, complaint) = nobody.fails(&enrol)?;
    assert_eq!(code, Some(1));
    assert!(complaint.contains("401"), "{complaint}");
    let record = first.says(&["new", "fire_prevention_property", "--in", BUCKET, "name=x"])?;
    let (code, complaint) = first.fails(&["rem-row", &record, "findings", "nowhere"])?;
    assert_eq!(code, Some(4));
    assert!(complaint.contains("no row"), "{complaint}");
    assert_eq!(first.fails(&["set", "0000", "name", "y"])?.0, Some(1));
    assert_eq!(first.fails(&["new", "fire_prevention_property"])?.0, Some(2), "no bucket");
    bureau.server.stop()?;
    let (code, complaint) = first.fails(&["sync"])?;
    assert_eq!(code, Some(3));
    assert!(complaint.contains("everything is kept"), "{complaint}");
    assert_eq!(first.json(&["status"])?["unsent"], 1);
    Ok(())
}

#[tokio::test]
async fn a_retired_tablet_hands_in_its_work_and_gets_nothing() -> TestResult {
    let bureau = Bureau::open("tablet-revoked").await?;
    let (first, _) = bureau.tablet("first", "supervisor")?;
    let device = first.json(&["status"])?["device"].as_str().ok_or("a device")?.to_owned();
    bureau.admin(&["device-revoke", "--tenant", "fire", "--device", &device], &[])?;
    let mut quarantined = Value::Null;
    for _ in 0..LOOKS_MAX {
        // A running server hears of it within seconds.
        first.says(&["new", "fire_prevention_property", "--in", BUCKET, "name=last"])?;
        first.says(&["sync"])?;
        let status = first.json(&["status"])?;
        assert_eq!(status["unsent"], 0);
        quarantined = status["quarantined"].clone();
        if quarantined[0] != Value::Null {
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    assert_eq!(quarantined[0]["code"], "revoked", "{quarantined}");
    Ok(bureau.server.stop()?)
}
