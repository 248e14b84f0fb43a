//! The commands of `genba-tablet`.

mod advise;
mod edit;
mod load;
mod media;
mod open;
mod out;
mod show;
mod status;
mod sync;
mod value;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use sync_protocol::id::{Bucket, RecordType, Tenant};
use tablet::TabletError;

const CODES: &str = "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the server was not reached or did not take the \
                     sync or a photo (everything is kept); 4 the edit was refused on the tablet.";

/// A tablet for the command line: it records offline and syncs when it finds a network.
#[derive(Debug, Parser)]
#[command(name = "genba-tablet", version, after_help = CODES)]
pub(crate) struct Args {
    /// The folder of the tablet.
    #[arg(long, global = true, env = "GENBA_TABLET_DIR", default_value = "genba-tablet")]
    dir: PathBuf,
    /// Shift the wall clock by so many seconds, as on a tablet whose clock is wrong.
    #[arg(long, global = true, allow_negative_numbers = true, default_value_t = 0)]
    clock_shift: i64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enrol this tablet with a one-time code.
    Enrol {
        /// The address of the server.
        #[arg(long)]
        server: String,
        /// The bureau.
        #[arg(long)]
        tenant: Tenant,
        /// The code, as shown.
        #[arg(long)]
        code: String,
        /// What you call this tablet.
        #[arg(long, default_value = "command line")]
        name: String,
        /// The certificate of the city's own authority, in PEM.
        #[arg(long)]
        ca: Option<PathBuf>,
    },
    /// Begin a record.
    New {
        /// The kind: `fire_inspection`, `case_visit` …
        kind: RecordType,
        /// The record that it is about: its id, or the beginning or end of it.
        #[arg(long, conflicts_with = "bucket", required_unless_present = "bucket")]
        about: Option<String>,
        /// The bucket that it lies in, as station:fs-south.
        #[arg(long = "in")]
        bucket: Option<Bucket>,
        /// What it says: path=value.
        fields: Vec<String>,
    },
    /// Answer a field or a cell.
    Set {
        /// The record: its id, or the beginning or end of it.
        record: String,
        /// The path: checks.F07.result, or findings/ROW/severity.
        path: String,
        /// The value.
        value: String,
    },
    /// Add a row or an element to a list.
    AddRow {
        /// The record: its id, or the beginning or end of it.
        record: String,
        /// The list.
        list: String,
        /// The id of the row; a new one unless given. In a multiple choice it is the code.
        #[arg(long)]
        row: Option<String>,
        /// What it says: cell=value.
        cells: Vec<String>,
    },
    /// Remove a row.
    RemRow {
        /// The record: its id, or the beginning or end of it.
        record: String,
        /// The list.
        list: String,
        /// The row.
        row: String,
        /// Why.
        #[arg(long)]
        why: Option<String>,
    },
    /// Delete a record.
    Delete {
        /// The record: its id, or the beginning or end of it.
        record: String,
        /// Why.
        #[arg(long)]
        why: Option<String>,
    },
    /// Take back the deletion of a record.
    Undelete {
        /// The record: its id, or the beginning or end of it.
        record: String,
    },
    /// Show a record: what it says, who wrote what, and what else was entered.
    Show {
        /// The record: its id, or the beginning or end of it.
        record: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the records on this tablet.
    List {
        /// Only records of this kind.
        #[arg(long = "type")]
        kind: Option<RecordType>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// List what a person has to decide.
    Conflicts {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Add a photo to a record (JPEG, PNG, WebP or HEIC, up to 50 MiB).
    Photo(media::CaptureArgs),
    /// Add a video to a record (.mp4, .mov or .webm, up to 2 GiB).
    Video(media::CaptureArgs),
    /// Show the photos and videos that are on this tablet, and why one waits.
    Uploads {
        /// Try again what the server did not take.
        #[arg(long)]
        retry: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the photos and videos of a record, or fetch one.
    Media {
        /// The record: its id, or the beginning or end of it.
        record: String,
        /// The SHA-256, or the beginning of it.
        #[arg(requires = "save")]
        sha256: Option<String>,
        /// In which size it is fetched.
        #[arg(long, value_enum, default_value_t)]
        size: media::SizeArg,
        /// The file to write.
        #[arg(long, requires = "sha256")]
        save: Option<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ask for advice about an inspection, answer, and say what became of it.
    #[command(subcommand)]
    Advise(advise::Advise),
    /// Show or choose over which networks photos and videos travel.
    Policy {
        /// The networks from now on; without it the present choice is shown.
        #[arg(long, value_enum)]
        media_on: Option<media::MediaOnArg>,
    },
    /// Sync now: text first, then photos and videos.
    Sync {
        /// What the tablet is connected to.
        #[arg(long, value_enum, default_value_t)]
        network: media::NetworkArg,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Stay in step with the server until Ctrl-C.
    Watch {
        /// What the tablet is connected to.
        #[arg(long, value_enum, default_value_t)]
        network: media::NetworkArg,
    },
    /// Show what waits to be sent, and how the tablet stands with the server.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put load on a server with many tablets that live in memory; prints figures as JSON.
    Load(load::LoadArgs),
}

/// Runs a command; failures are told on standard error.
pub(crate) async fn run(args: Args) -> ExitCode {
    match Box::pin(execute(args)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            out::complain(&failed);
            ExitCode::from(exit_code(&failed))
        }
    }
}

async fn execute(args: Args) -> anyhow::Result<()> {
    let place = open::Place { dir: args.dir, clock_shift_s: args.clock_shift };
    match args.command {
        Command::Enrol { server, tenant, code, name, ca } => {
            sync::enrol(&place, tablet::Enrolment { server, tenant, code, name, ca }).await
        }
        Command::New { kind, about, bucket, fields } => {
            edit::new(&mut place.open().await?, kind, about, bucket, &fields).await
        }
        Command::Set { record, path, value } => {
            edit::set(&mut place.open().await?, &record, &path, &value).await
        }
        Command::AddRow { record, list, row, cells } => {
            edit::add_row(&mut place.open().await?, &record, &list, row, &cells).await
        }
        Command::RemRow { record, list, row, why } => {
            edit::rem_row(&mut place.open().await?, &record, &list, &row, why).await
        }
        Command::Delete { record, why } => {
            edit::delete(&mut place.open().await?, &record, why).await
        }
        Command::Undelete { record } => edit::undelete(&mut place.open().await?, &record).await,
        Command::Show { record, json } => show::show(&place.open().await?, &record, json),
        Command::List { kind, json } => show::list(&place.open().await?, kind.as_ref(), json),
        Command::Conflicts { json } => show::conflicts(&place.open().await?, json),
        Command::Photo(args) => media::capture(&mut place.open().await?, &args, false).await,
        Command::Video(args) => media::capture(&mut place.open().await?, &args, true).await,
        Command::Uploads { retry, json } => {
            media::uploads(&mut place.open().await?, retry, json).await
        }
        Command::Media { record, sha256, size, save, json } => {
            media::media(&place.open().await?, &record, sha256, size, save, json).await
        }
        Command::Advise(what) => advise::advise(&mut place.open().await?, what).await,
        Command::Policy { media_on } => media::policy(&mut place.open().await?, media_on),
        Command::Sync { network, json } => {
            sync::sync(&mut place.open().await?, network.into(), json).await
        }
        Command::Watch { network } => sync::watch(&mut place.open().await?, network.into()).await,
        Command::Status { json } => status::status(&place.open().await?, json),
        Command::Load(load) => load::load(&place, load).await,
    }
}

fn exit_code(failed: &anyhow::Error) -> u8 {
    match failed.downcast_ref::<TabletError>() {
        Some(
            TabletError::SyncFailed { .. }
            | TabletError::MediaWaits { .. }
            | TabletError::Unreachable(_),
        ) => 3,
        Some(TabletError::Refused(_) | TabletError::NotTaken(_)) => 4,
        _ => 1,
    }
}
