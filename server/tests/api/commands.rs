//! The command line: what an operator types, what comes back, what is refused.

use crate::support::TestResult;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder with a database of its own.
struct Desk {
    dir: PathBuf,
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_dir_all(&self.dir);
    }
}

impl Desk {
    fn new() -> TestResult<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let next = NEXT.fetch_add(1, Ordering::SeqCst);
        let dir = std::env::temp_dir().join(format!("genba-cli-{}-{next}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    fn run(&self, arguments: &str, input: &str) -> TestResult<Output> {
        let url = format!("sqlite:{}", self.dir.join("genba.db").display());
        let mut child = Command::new(env!("CARGO_BIN_EXE_genba"))
            .args(arguments.split_whitespace())
            .env_clear()
            .env("GENBA_DATABASE_URL", url)
            .current_dir(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().ok_or("an input")?.write_all(input.as_bytes())?;
        Ok(child.wait_with_output()?)
    }

    /// Runs a command that succeeds and gives its answer.
    fn answer(&self, arguments: &str, input: &str) -> TestResult<Value> {
        let output = self.run(arguments, input)?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments}: {told}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Runs a command that fails and gives what it says.
    fn refusal(&self, arguments: &str, input: &str) -> TestResult<String> {
        let output = self.run(arguments, input)?;
        assert!(!output.status.success(), "{arguments}");
        Ok(String::from_utf8(output.stderr)?)
    }
}

const TENANT: &str = "admin tenant-create --tenant fire --name-ja 消防局 --name-en Fire";
const USER: &str = "admin user-create --tenant fire --login mori --name Mori --password-stdin";

fn text(value: &Value, member: &str) -> String {
    value.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[test]
fn a_bureau_is_set_up_from_the_command_line() -> TestResult {
    let desk = Desk::new()?;
    assert_eq!(text(&desk.answer(TENANT, "")?, "tenant"), "fire");
    let user = desk.answer(USER, "correct horse battery\n")?;
    assert_eq!(text(&user, "user").len(), 36);
    let grant = desk.answer(
        "admin grant --tenant fire --login mori --bucket station:fs-south --role inspector \
         --from 2026-04-01T00:00:00.000Z --to 2099-04-01T00:00:00.000Z",
        "",
    )?;
    let code = desk.answer("admin enrol-code --tenant fire --login mori", "")?;
    assert_eq!(text(&code, "code").len(), 15);
    let end = format!("admin grant-end --tenant fire --grant {}", text(&grant, "grant"));
    desk.answer(&end, "")?;
    let forms = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/forms");
    let publish = format!(
        "admin form-publish --tenant fire {0}/district.json {0}/fire_inspection.json",
        forms.display()
    );
    let published = desk.answer(&publish, "")?;
    assert_eq!(published, desk.answer(&publish, "")?, "once more changes nothing");
    assert_eq!(desk.answer("admin devices --tenant fire", "")?, serde_json::json!([]));
    desk.answer("admin backup-done --tenant fire --seq 0", "")?;
    assert_eq!(text(&desk.answer("admin new-epoch --tenant fire", "")?, "epoch").len(), 36);
    assert_eq!(text(&desk.answer("admin keys-rotate", "")?, "kid").len(), 43);
    assert_eq!(text(&desk.answer("admin keys-rotate --void", "")?, "kid").len(), 43);
    for command in ["user-deactivate", "user-activate"] {
        desk.answer(&format!("admin {command} --tenant fire --login mori"), "")?;
    }
    let password = "admin user-password --tenant fire --login mori --password-stdin";
    desk.answer(password, "another long secret\n")?;
    Ok(())
}

#[test]
fn what_cannot_be_done_is_said() -> TestResult {
    let desk = Desk::new()?;
    desk.answer(TENANT, "")?;
    desk.answer(USER, "correct horse battery\n")?;
    let unknown = "01990000-0000-7000-8000-000000000000";
    for (arguments, told) in [
        (TENANT.to_owned(), "the tenant is there"),
        (USER.to_owned(), "the login is taken"),
        ("admin user-password --tenant fire --login mori".to_owned(), "--password-stdin"),
        ("admin enrol-code --tenant fire --login hara".to_owned(), "fire has no user hara"),
        ("admin enrol-code --tenant a/b --login mori".to_owned(), "not a tenant"),
        (format!("admin device-revoke --tenant fire --device {unknown}"), "no such device"),
        (format!("admin device-stolen --tenant fire --device {unknown}"), "no such device"),
        (format!("admin grant-end --tenant fire --grant {unknown}"), "no such grant"),
        ("admin backup-done --tenant fire --seq 9".to_owned(), "the journal ends at 0"),
        ("admin new-epoch --tenant welfare".to_owned(), "no such tenant"),
        ("admin form-publish --tenant fire nothing.json".to_owned(), "cannot read nothing.json"),
        (
            "admin grant --tenant fire --login mori --bucket x --role inspector".to_owned(),
            "not a bucket",
        ),
        (
            "admin grant --tenant fire --login mori --bucket a:b --role king".to_owned(),
            "a role is inspector",
        ),
        (
            "admin grant --tenant fire --login mori --bucket a:b --role reader --from now"
                .to_owned(),
            "write an instant as",
        ),
        ("serve --listen 0.0.0.0:0".to_owned(), "there is no TLS"),
        ("serve --config nothing.toml".to_owned(), "cannot read nothing.toml"),
        ("check-config --config nothing.toml".to_owned(), "cannot read nothing.toml"),
        ("serve --database-url mysql://x --listen 127.0.0.1:0".to_owned(), "cannot open"),
    ] {
        let refusal = desk.refusal(&arguments, "long enough secret\n")?;
        assert!(refusal.contains(told), "{arguments}: {refusal}");
    }
    Ok(())
}

#[test]
fn a_command_makes_no_database_by_accident() -> TestResult {
    let desk = Desk::new()?;
    for arguments in [
        "admin devices --tenant fire",
        "admin keys-rotate",
        "admin user-create --tenant fire --login mori --name Mori",
        "admin devices --tenant fire --database-url sqlite:elsewhere.db",
    ] {
        let refusal = desk.refusal(arguments, "")?;
        for told in ["there is no database at ", "GENBA_DATABASE_URL", "genba serve"] {
            assert!(refusal.contains(told), "{arguments}: {refusal}");
        }
    }
    assert_eq!(std::fs::read_dir(&desk.dir)?.count(), 0, "no file was made");
    desk.answer(TENANT, "")?;
    desk.answer("admin devices --tenant fire", "")?;
    Ok(())
}

#[test]
fn the_description_is_printed_and_the_defaults_hold() -> TestResult {
    let desk = Desk::new()?;
    assert_eq!(desk.answer("openapi", "")?, server::routes::document());
    let output = desk.run("check-config", "")?;
    assert_eq!(String::from_utf8(output.stdout)?.trim(), "the configuration holds");
    Ok(())
}
