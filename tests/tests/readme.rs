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

/// The blocks of shell after a heading, one after the other.
fn blocks_after(text: &str, heading: &str) -> Result<String> {
    let (_, section) = text.split_once(heading).context("the heading is there")?;
    let blocks = section.split("```sh\n").skip(1);
    let blocks: Option<Vec<&str>> =
        blocks.map(|block| Some(block.split_once("\n```")?.0)).collect();
    Ok(blocks.context("every block ends")?.join("\n"))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[test]
fn the_walk_of_the_readme_works_as_it_stands() -> Result<()> {
    let folder = Folder(std::env::temp_dir().join(format!("genba-walk-{}", std::process::id())));
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let walk = blocks_after(&readme, "## By hand")?;
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
    ensure!(told.contains("\"st\":\"ok\""), "the change of curl was not applied:\n{told}");
    let last = told.lines().last().unwrap_or_default();
    ensure!(last.contains("避難口の前の荷物"), "the change of curl is on no tablet: {last}");
    Ok(())
}
