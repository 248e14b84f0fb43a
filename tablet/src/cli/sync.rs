//! The commands that talk to the server.

use super::media;
use super::open::Place;
use super::out::{json, say};
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json as object;
use sync_protocol::replica::{Notice, Phase, Replica};
use tablet::{Enrolment, Network, Progress, Tablet};

pub(super) async fn enrol(place: &Place, enrolment: Enrolment) -> Result<()> {
    let tablet = Tablet::enrol(&place.dir, &enrolment, place.clock()).await?;
    let profile = tablet.profile();
    say(format_args!(
        "Enrolled as {} of {}, device {}.",
        profile.user_name, profile.tenant, profile.device
    ));
    say("Next: genba-tablet sync");
    Ok(())
}

pub(super) async fn sync(tablet: &mut Tablet, network: Network, as_json: bool) -> Result<()> {
    tablet.set_network(network);
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} records {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let media_bar = media::bar();
    let synced = tablet
        .sync(|progress| match progress {
            Progress::Text(replica) => advance(&bar, replica),
            Progress::Media(uploading) => {
                bar.finish_and_clear();
                media::advance(&media_bar, uploading);
            }
        })
        .await;
    bar.finish_and_clear();
    media_bar.finish_and_clear();
    let (notices, news) = (tablet.take_notices(), tablet.take_media_news());
    if !as_json {
        news.iter().for_each(media::tell);
    }
    let report = synced?;
    if as_json {
        return json(&object!({
            "rounds": report.rounds, "answered": report.answered, "waiting": report.waiting,
            "records": tablet.replica().records().count(),
            "uploaded": report.uploaded, "media_waiting": report.media_waiting,
        }));
    }
    for notice in &notices {
        tell(notice);
    }
    say(format_args!(
        "In step with the server: {} changes answered, {} waiting, {} records here.",
        report.answered,
        report.waiting,
        tablet.replica().records().count()
    ));
    media::tell_waiting(tablet);
    Ok(())
}

/// A long first sync shows how far it is: what has come of the buckets on their way, and what was announced.
fn advance(bar: &ProgressBar, replica: &Replica) {
    let paging = replica.buckets().filter(|(_, phase)| matches!(phase, Phase::Paging { .. }));
    let (come, expected) = paging
        .filter_map(|(bucket, _)| replica.progress(bucket))
        .fold((0, 0), |(come, expected), (c, e)| {
            (come + c as u64, expected + e.max(0).unsigned_abs())
        });
    bar.set_length(expected.max(come));
    bar.set_position(come);
    bar.set_message(format!("{} to send", replica.outbox_len()));
}

pub(super) async fn watch(tablet: &mut Tablet, network: Network) -> Result<()> {
    tablet.set_network(network);
    let bar = media::bar();
    say("In step with the server until Ctrl-C.");
    let stop = async {
        // Without a handler for Ctrl-C the process simply ends.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let progress = |tablet: &mut Tablet| {
        for notice in tablet.take_notices() {
            tell(&notice);
        }
        tablet.take_media_news().iter().for_each(media::tell);
        match tablet.uploading() {
            Some(uploading) if uploading.sent < uploading.blob.bytes => {
                media::advance(&bar, uploading);
            }
            Some(_) | None => bar.finish_and_clear(),
        }
    };
    tablet.watch(progress, stop).await?;
    say("Stopped. Everything is on this tablet.");
    Ok(())
}

fn tell(notice: &Notice) {
    match notice {
        Notice::Changed(records) => {
            let records: Vec<String> = records.iter().map(ToString::to_string).collect();
            say(format_args!("Changed: {}", records.join(" ")));
        }
        Notice::Quarantined(id) => {
            say(format_args!(
                "Change {id} is kept for a supervisor and not applied (see `status`)."
            ));
        }
        Notice::Settled(id) => say(format_args!("A person has decided on change {id}.")),
        Notice::Forked => {
            say("This tablet was copied or restored: its changes were offered again.");
        }
        Notice::EpochChanged => {
            say("The server was restored: what its backup lacks is offered again.");
        }
        Notice::Left(bucket) => say(format_args!("{bucket} is not yours any more.")),
        Notice::Entered(bucket) => say(format_args!("{bucket} is complete.")),
        Notice::Differs(bucket) => {
            say(format_args!("{bucket} differs from the server: it is fetched anew."));
        }
        Notice::Failed { status, why } => {
            say(format_args!("No success ({status} {why}); trying again."));
        }
        Notice::BlobHad(sha256) => say(format_args!("The server has {sha256}.")),
        Notice::BlobNeeded(_) | Notice::Synced { .. } => {}
    }
}
