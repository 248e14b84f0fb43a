//! `genba-tablet` against the real server: what a person types on two tablets, and what becomes of it.

use genba_tests::field_day::server::{Server, database_url, program};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use storage::testing::{Folder, TestResult};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const BUCKET: &str = "station:fs-south";
const FORMS: [&str; 2] = ["fire_inspection", "fire_prevention_property"];
/// How long a poke may take to arrive: thirty seconds, in steps.
const LOOKS_MAX: u32 = 300;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A bureau with its server and a folder for everything.
struct Bureau {
    folder: Folder,
    server: Server,
    /// What the tablets are told to trust, if it is not what the system knows.
    ca: Option<PathBuf>,
}

impl Bureau {
    async fn open(name: &str) -> Result<Self, Failure> {
        let folder = Self::prepare(name)?;
        let server = Server::start(folder.path(), &reqwest_client()).await?;
        Ok(Self { folder, server, ca: None })
    }

    /// The bureau in the database, before there is a server.
    fn prepare(name: &str) -> Result<Folder, Failure> {
        let folder = Folder::new(name)?;
        admin(
            folder.path(),
            &["tenant-create", "--tenant", "fire", "--name-ja", "消防", "--name-en", "Fire"],
        )?;
        let forms = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/forms");
        let files: Vec<String> = FORMS
            .iter()
            .map(|form| forms.join(format!("{form}.json")).display().to_string())
            .collect();
        let mut publish = vec!["form-publish", "--tenant", "fire"];
        publish.extend(files.iter().map(String::as_str));
        admin(folder.path(), &publish)?;
        Ok(folder)
    }

    /// A person with a grant and an enrolled, synced tablet.
    fn tablet(&self, login: &str, role: &str) -> Result<(Tablet, String), Failure> {
        let who = ["--tenant", "fire", "--login", login];
        self.admin(&["user-create", "--name", login], &who)?;
        let grant = self.admin(&["grant", "--bucket", BUCKET, "--role", role], &who)?;
        let code = self.admin(&["enrol-code"], &who)?;
        let tablet = Tablet(self.folder.path().join(login));
        let code = code["code"].as_str().ok_or("a code")?;
        let server = &self.server.url;
        let mut enrol = vec!["enrol", "--server", server, "--tenant", "fire", "--code", code];
        let ca = self.ca.as_ref().map(|ca| ca.display().to_string());
        enrol.extend(ca.as_deref().into_iter().flat_map(|ca| ["--ca", ca]));
        tablet.says(&enrol)?;
        tablet.says(&["sync"])?;
        Ok((tablet, grant["grant"].as_str().ok_or("a grant")?.to_owned()))
    }

    fn admin(&self, command: &[&str], who: &[&str]) -> Result<Value, Failure> {
        admin(self.folder.path(), &[command, who].concat())
    }
}

fn reqwest_client() -> reqwest::Client {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    reqwest::Client::new()
}

fn admin(folder: &Path, command: &[&str]) -> Result<Value, Failure> {
    let database = database_url(folder);
    let output = Command::new(program("genba")?)
        .args(["--database-url", &database, "admin"])
        .args(command)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A tablet by its folder.
struct Tablet(PathBuf);

impl Tablet {
    fn command(&self, words: &[&str]) -> Result<Command, Failure> {
        let mut command = Command::new(program("genba-tablet")?);
        command.arg("--dir").arg(&self.0).args(words).stdin(Stdio::null());
        Ok(command)
    }

    fn run(&self, words: &[&str]) -> Result<Output, Failure> {
        Ok(self.command(words)?.output()?)
    }

    /// What a command that succeeds prints.
    fn says(&self, words: &[&str]) -> Result<String, Failure> {
        let output = self.run(words)?;
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        if output.status.success() {
            return Ok(said.trim().to_owned());
        }
        Err(format!("{words:?} ended with {}: {said} {complained}", output.status).into())
    }

    fn json(&self, words: &[&str]) -> Result<Value, Failure> {
        Ok(serde_json::from_str(&self.says(&[words, &["--json"]].concat())?)?)
    }

    /// The exit code and the complaint of a command that fails.
    fn fails(&self, words: &[&str]) -> Result<(Option<i32>, String), Failure> {
        let output = self.run(words)?;
        Ok((output.status.code(), text(&output.stderr)))
    }

    /// How often a text stands anywhere in the tablet's files.
    fn traces(&self, text: &str) -> std::io::Result<usize> {
        let mut count = 0;
        for entry in std::fs::read_dir(&self.0)? {
            let bytes = std::fs::read(entry?.path())?;
            count += bytes.windows(text.len()).filter(|w| *w == text.as_bytes()).count();
        }
        Ok(count)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

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
    std::fs::create_dir(&copy.0)?;
    for entry in std::fs::read_dir(&first.0)? {
        let entry = entry?;
        std::fs::copy(entry.path(), copy.0.join(entry.file_name()))?;
    }
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

#[tokio::test]
async fn a_tablet_that_watches_hears_of_a_change() -> TestResult {
    let bureau = Bureau::open("tablet-watch").await?;
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
    assert_eq!(first.json(&["list"])?[0]["rec"], record.as_str());
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

/// A tablet in the background, ended with the test.
struct Watching(Child);

impl Watching {
    fn interrupt(&mut self) -> TestResult {
        let pid = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.ok_or("a pid")?, rustix::process::Signal::INT)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            drop(self.0.kill());
        }
    }
}

fn wait_for(log: &Path, words: &str) -> TestResult {
    for _ in 0..LOOKS_MAX {
        if std::fs::read_to_string(log)?.contains(words) {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(format!("{words:?} never came: {}", std::fs::read_to_string(log)?).into())
}
