//! The commands of `genba`.

mod admin;
mod serve;

use crate::config::Config;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// The program `genba`, from its arguments to its end.
///
/// A worker is told apart before anything else: what it gives up must not be shared with threads of a runtime.
pub fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|command| command == image_worker::COMMAND) {
        return image_worker::run();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(cli.run())
}

/// Records of field work: offline on tablets, together on this server.
#[derive(Debug, Parser)]
#[command(name = "genba", version)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

/// Where the settings come from: file, variables `GENBA_…`, flags; the last word wins.
#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// The configuration file.
    #[arg(long, global = true, env = "GENBA_CONFIG")]
    config: Option<PathBuf>,
    /// The database: `sqlite:PATH` or `postgres://…`
    #[arg(long, global = true)]
    database_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve(serve::Serve),
    /// Administers the database of a server, running or not.
    Admin {
        #[command(subcommand)]
        command: admin::Admin,
    },
    /// Checks the configuration and says what is wrong with it.
    CheckConfig,
    /// Prints the description of the API.
    Openapi,
}

impl Settings {
    fn read(&self) -> anyhow::Result<Config> {
        let config = Config::load(self.config.as_deref())?;
        let mut config = config.with_variables(|name| std::env::var(name).ok())?;
        if let Some(url) = &self.database_url {
            config.database.url.clone_from(url);
        }
        Ok(config)
    }
}

impl Cli {
    /// Does what the command line says.
    pub async fn run(self) -> anyhow::Result<()> {
        let config = self.settings.read()?;
        match self.command {
            Command::Serve(serve) => serve.run(config).await,
            Command::Admin { command } => {
                config.check()?;
                command.run(&config).await
            }
            Command::CheckConfig => {
                config.check()?;
                say("the configuration holds");
                Ok(())
            }
            Command::Openapi => {
                say(&serde_json::to_string_pretty(&crate::routes::document())?);
                Ok(())
            }
        }
    }
}

/// Says on standard error why the program failed, as a chain of causes.
#[expect(clippy::print_stderr, reason = "it is where an operator looks")]
fn complain(error: &anyhow::Error) {
    eprintln!("Error: {error:?}");
}

/// Says something to the operator.
#[expect(clippy::print_stdout, reason = "what a command answers goes to standard output")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}
