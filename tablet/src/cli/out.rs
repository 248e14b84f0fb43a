//! Standard output: sentences for people, JSON for programs.

use serde::Serialize;
use std::fmt::Display;
use std::io::Write as _;

/// Prints a line. A reader that has gone away is no failure of ours.
pub(super) fn say(line: impl Display) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

/// Prints JSON.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    say(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Tells on standard error what failed and why.
pub(super) fn complain(failed: &anyhow::Error) {
    let causes: Vec<String> = failed.chain().map(ToString::to_string).collect();
    drop(writeln!(std::io::stderr().lock(), "genba-tablet: {}", causes.join(": ")));
}
