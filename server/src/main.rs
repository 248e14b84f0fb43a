//! The program `genba`.

use clap::Parser as _;
use server::cli::Cli;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Cli::parse().run().await
}
