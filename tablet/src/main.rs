//! `genba-tablet`: a tablet for the command line.

mod cli;

use clap::Parser as _;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(cli::run(cli::Args::parse())).await
}
