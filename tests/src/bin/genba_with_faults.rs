//! The server's own `main`, in a build that can be told where to die and which rule to break.

use clap::Parser as _;
use server::cli::Cli;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Cli::parse().run().await
}
