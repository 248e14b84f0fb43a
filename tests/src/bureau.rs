//! A bureau with a real server, and tablets of the command line: what a person types, and what is told.

use crate::field_day::office::Office;
use crate::field_day::server::{Certificate, Server, database_url, program};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use storage::testing::{Folder, TestResult};

/// Why a step of a test failed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The bucket that everybody is granted.
pub const BUCKET: &str = "station:fs-south";
const FORMS: [&str; 9] = [
    "advice_item",
    "advice_message",
    "advice_session",
    "advice_still",
    "clause",
    "fire_inspection",
    "fire_prevention_property",
    "manual_edition",
    "manual_page",
];
const PASSWORD_VARIABLE: &str = "GENBA_PASSWORD";
const PASSWORD: &str = "a-long-demo-password";
/// How long a poke may take to arrive: thirty seconds, in steps.
pub const LOOKS_MAX: u32 = 300;
/// How long a step is.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A bureau with its server and a folder for everything.
#[derive(Debug)]
pub struct Bureau {
    /// Where everything lies.
    pub folder: Folder,
    /// The server.
    pub server: Server,
    /// What the tablets are told to trust, if it is not what the system knows.
    ca: Option<PathBuf>,
}

impl Bureau {
    /// Opens a bureau of that name.
    pub async fn open(name: &str) -> Result<Self, Failure> {
        let folder = Self::prepare(name)?;
        let server = Server::start(folder.path(), &reqwest_client()).await?;
        Ok(Self { folder, server, ca: None })
    }

    /// As [`Bureau::open`], with TLS by a certificate that only its own tablets know.
    pub async fn open_tls(name: &str) -> Result<Self, Failure> {
        let folder = Self::prepare(name)?;
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/tests/api/tls");
        let (cert, key) = (files.join("cert.pem"), files.join("key.pem"));
        drop(reqwest_client());
        let known = reqwest::Certificate::from_pem(&std::fs::read(&cert)?)?;
        let client = reqwest::Client::builder().tls_certs_only([known]).build()?;
        let certificate = Certificate { cert: &cert, key: &key };
        let server = Server::start_tls(folder.path(), &client, certificate).await?;
        Ok(Self { folder, server, ca: Some(cert) })
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
    pub fn tablet(&self, login: &str, role: &str) -> Result<(Tablet, String), Failure> {
        self.tablet_by(login, role, &self.server.url)
    }

    /// As [`Bureau::tablet`], with a tablet that reaches the server by another address.
    pub fn tablet_by(
        &self,
        login: &str,
        role: &str,
        server: &str,
    ) -> Result<(Tablet, String), Failure> {
        self.tablet_of(login, role, BUCKET, server)
    }

    /// As [`Bureau::tablet_by`], of a person who is granted another bucket.
    pub fn tablet_of(
        &self,
        login: &str,
        role: &str,
        bucket: &str,
        server: &str,
    ) -> Result<(Tablet, String), Failure> {
        let who = ["--tenant", "fire", "--login", login];
        self.admin(&["user-create", "--name", login], &who)?;
        let grant = self.admin(&["grant", "--bucket", bucket, "--role", role], &who)?;
        let code = self.admin(&["enrol-code"], &who)?;
        let tablet = Tablet(self.folder.path().join(login));
        let code = word(&code, "code")?;
        let mut enrol = vec!["enrol", "--server", server, "--tenant", "fire", "--code", &code];
        let ca = self.ca.as_ref().map(|ca| ca.display().to_string());
        enrol.extend(ca.as_deref().into_iter().flat_map(|ca| ["--ca", ca]));
        tablet.says(&enrol)?;
        tablet.says(&["sync"])?;
        Ok((tablet, word(&grant, "grant")?))
    }

    /// A person who reads a bucket online, signed in at the console.
    pub async fn console(&self, login: &str, role: &str, bucket: &str) -> Result<Office, Failure> {
        let who = ["--tenant", "fire", "--login", login];
        admin_by(
            self.folder.path(),
            &[&["user-create", "--name", login], &who[..]].concat(),
            &[(PASSWORD_VARIABLE, PASSWORD)],
        )?;
        self.admin(&["grant", "--online", "--bucket", bucket, "--role", role], &who)?;
        let (client, url) = (reqwest_client(), &self.server.url);
        Ok(Office::sign_in(&client, url, "fire", login, PASSWORD).await?)
    }

    /// What an operator types, and what is answered.
    pub fn admin(&self, command: &[&str], who: &[&str]) -> Result<Value, Failure> {
        admin(self.folder.path(), &[command, who].concat())
    }
}

fn reqwest_client() -> reqwest::Client {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    reqwest::Client::new()
}

fn word(answer: &Value, name: &str) -> Result<String, Failure> {
    let word = answer.get(name).and_then(Value::as_str);
    Ok(word.ok_or_else(|| format!("no {name} in {answer}"))?.to_owned())
}

fn admin(folder: &Path, command: &[&str]) -> Result<Value, Failure> {
    admin_by(folder, command, &[])
}

fn admin_by(folder: &Path, command: &[&str], variables: &[(&str, &str)]) -> Result<Value, Failure> {
    let database = database_url(folder);
    let output = Command::new(program("genba")?)
        .args(["--database-url", &database, "admin"])
        .args(command)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A tablet by its folder.
#[derive(Debug)]
pub struct Tablet(pub PathBuf);

impl Tablet {
    /// A command of this tablet that has not begun.
    pub fn command(&self, words: &[&str]) -> Result<Command, Failure> {
        let mut command = Command::new(program("genba-tablet")?);
        command.arg("--dir").arg(&self.0).args(words).stdin(Stdio::null());
        Ok(command)
    }

    fn run(&self, words: &[&str]) -> Result<Output, Failure> {
        Ok(self.command(words)?.output()?)
    }

    /// What a command that succeeds prints.
    pub fn says(&self, words: &[&str]) -> Result<String, Failure> {
        let output = self.run(words)?;
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        if output.status.success() {
            return Ok(said.trim().to_owned());
        }
        Err(format!("{words:?} ended with {}: {said} {complained}", output.status).into())
    }

    /// What a command that succeeds prints as JSON.
    pub fn json(&self, words: &[&str]) -> Result<Value, Failure> {
        Ok(serde_json::from_str(&self.says(&[words, &["--json"]].concat())?)?)
    }

    /// A member of what a command prints as JSON; null when it is not there.
    pub fn told(&self, words: &[&str], member: &str) -> Result<Value, Failure> {
        Ok(self.json(words)?.get(member).cloned().unwrap_or_default())
    }

    /// The exit code and the complaint of a command that fails.
    pub fn fails(&self, words: &[&str]) -> Result<(Option<i32>, String), Failure> {
        let output = self.run(words)?;
        Ok((output.status.code(), text(&output.stderr)))
    }

    /// How often a text stands anywhere in the tablet's files.
    pub fn traces(&self, text: &str) -> std::io::Result<usize> {
        let mut count = 0;
        for file in files(&self.0)? {
            let bytes = std::fs::read(file)?;
            count += bytes.windows(text.len()).filter(|w| *w == text.as_bytes()).count();
        }
        Ok(count)
    }
}

/// Every file in a folder and below it.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(files(&path)?);
        } else {
            all.push(path);
        }
    }
    Ok(all)
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A tablet in the background, ended with the test.
#[derive(Debug)]
pub struct Watching(pub Child);

impl Watching {
    /// Says Ctrl-C, and waits for the end.
    pub fn interrupt(&mut self) -> TestResult {
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

/// Waits until a log holds these words.
pub fn wait_for(log: &Path, words: &str) -> TestResult {
    for _ in 0..LOOKS_MAX {
        if std::fs::read_to_string(log)?.contains(words) {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(format!("{words:?} never came: {}", std::fs::read_to_string(log)?).into())
}
