//! The README is run as it stands: whoever pastes its walk into a shell gets what it says.

use anyhow::{Context as _, Result, ensure};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Seconds that the walk may take; `timeout` ends it then, and all that it started.
const WALK_S_MAX: &str = "120";

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The first block of shell after a heading.
fn block_after<'a>(text: &'a str, heading: &str) -> Result<&'a str> {
    let (_, section) = text.split_once(heading).context("the heading is there")?;
    let (_, block) = section.split_once("```sh\n").context("a block begins")?;
    Ok(block.split_once("\n```").context("the block ends")?.0)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[test]
fn the_walk_of_the_readme_works_as_it_stands() -> Result<()> {
    let folder = Folder(std::env::temp_dir().join(format!("genba-walk-{}", std::process::id())));
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let walk = block_after(&readme, "## By hand")?;
    let programs =
        std::env::current_exe()?.ancestors().nth(2).context("the folder of programs")?.to_owned();
    let script = walk
        .replace("cargo build -p server -p tablet", "true")
        .replace("target/debug", &programs.display().to_string())
        .replace("8080", &free_port()?.to_string())
        .replace("walk/", &format!("{}/", folder.0.display()))
        .replace("-p walk", &format!("-p {}", folder.0.display()));
    let script = format!("trap 'kill $server 2> /dev/null' EXIT\n{script}");
    let output = Command::new("timeout")
        .args([WALK_S_MAX, "bash", "-euo", "pipefail", "-c", &script])
        .current_dir(root())
        .stdin(Stdio::null())
        .output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{told}\n{failed}");
    ensure!(told.contains("checks.F12.result"), "no conflict was shown:\n{told}");
    ensure!(
        told.contains("\"conflicts\":[\"checks.F12.result\"]"),
        "the office saw no conflict:\n{told}"
    );
    let last = told.lines().last().unwrap_or_default();
    ensure!(!last.contains("F12"), "the conflict is still there: {last}");
    Ok(())
}
