//! Kills the real server as often as it is told, on each database, and looks for lost acknowledgements.

use anyhow::{Result, ensure};
use clap::Parser;
use genba_tests::crash::campaign::{Plan, Report, run};
use genba_tests::crash::postgres::Postgres;
use std::path::Path;
use storage::testing::Folder;

/// Kills the real server under load and looks for lost acknowledgements.
#[derive(Debug, Parser)]
struct Asked {
    /// How many kills on each database.
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// Decides where and when; the same seed kills in the same order.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let asked = Asked::parse();
    let folder = Folder::new("crash-sqlite")?;
    let url = format!("sqlite:{}/genba.db", folder.path().display());
    let sqlite = campaign("SQLite", url, &asked, folder.path()).await?;
    let folder = Folder::new("crash-postgres")?;
    let server = Postgres::start().await?;
    let url = server.create_database("crash").await?;
    let postgres = campaign("PostgreSQL", url, &asked, folder.path()).await?;
    for report in [&sqlite, &postgres] {
        ensure!(report.wrongs.is_empty() && report.forks == 0, "seed {}: see above", asked.seed);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
async fn campaign(
    engine: &str,
    database_url: String,
    asked: &Asked,
    folder: &Path,
) -> Result<Report> {
    println!("{engine}: {} kills, seed {}", asked.kills, asked.seed);
    let Asked { kills, seed } = *asked;
    let plan = Plan { database_url, kills, seed, fault: String::new(), only_at: None };
    let report = run(&plan, folder).await?;
    for (place, times) in &report.deaths {
        println!("  {times:5} × {place}");
    }
    println!(
        "  {} changes acknowledged, {} commands, {} lost or doubled, slowest start {:?}",
        report.acknowledged,
        report.commands,
        report.wrongs.len(),
        report.slowest_start
    );
    for wrong in &report.wrongs {
        println!("  WRONG: {wrong}");
    }
    Ok(report)
}
