//! `make bench`: prints every figure of docs/operations.md beside the raw limit of the same run.

use anyhow::Result;
use clap::Parser;
use genba_tests::bench::{Part, broadcast, process, table};
use std::io::Write as _;

/// Measures the server against the limits of this machine.
#[derive(Debug, Parser)]
struct Arguments {
    /// The parts to measure; all of them if none is named.
    parts: Vec<Part>,
    /// Smaller amounts: to see that it works, not for the record.
    #[arg(long)]
    quick: bool,
    /// Prints JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// Is the bare broadcaster that pokes are compared with.
    #[arg(long, hide = true)]
    broadcast: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    process::open_files_max()?;
    if arguments.broadcast {
        return broadcast::serve().await;
    }
    let parts = if arguments.parts.is_empty() { Part::ALL.to_vec() } else { arguments.parts };
    let mut lines = Vec::new();
    for part in parts {
        lines.extend(part.run(arguments.quick).await?);
    }
    let text = if arguments.json { table::json_text(&lines) } else { table::markdown(&lines) };
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}
