//! The commands for photos and video.

use super::open::find;
use super::out::{json, say};
use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json as object};
use std::path::{Path, PathBuf};
use sync_protocol::blob::{BlobHash, BlobRef};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::RecordId;
use sync_protocol::replica::BlobState;
use tablet::{Facts, MediaNews, MediaOn, Network, Size, Tablet, TabletError, Uploading};

/// What is photographed or filmed, and where it goes.
#[derive(Debug, Args)]
pub(super) struct CaptureArgs {
    /// The record: its id, or the beginning or end of it.
    record: String,
    /// The field that takes photos: photos.
    field: String,
    /// The file. It is copied; the original stays where it is.
    file: PathBuf,
    /// What it shows.
    #[arg(long)]
    caption: Option<String>,
    /// Where it was taken.
    #[arg(long)]
    place: Option<String>,
    /// The row that it belongs to: findings/ROW.
    #[arg(long)]
    at: Option<String>,
    /// The SHA-256 of the video whose still it is.
    #[arg(long)]
    poster_of: Option<BlobHash>,
    /// When it was taken, as 2026-11-22T14:03:11.201Z; the time of the file unless given.
    #[arg(long)]
    taken_at: Option<String>,
}

/// What the tablet is connected to.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum NetworkArg {
    /// A network that costs nothing.
    #[default]
    Wifi,
    /// A mobile network: photos and videos wait, unless `policy --media-on mobile` was said.
    Mobile,
}

impl From<NetworkArg> for Network {
    fn from(network: NetworkArg) -> Self {
        match network {
            NetworkArg::Wifi => Self::Wifi,
            NetworkArg::Mobile => Self::Mobile,
        }
    }
}

/// Over which networks photos and videos travel.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum MediaOnArg {
    /// Over Wi-Fi only: on a mobile network they wait.
    Wifi,
    /// Over mobile networks too.
    Mobile,
}

impl From<MediaOnArg> for MediaOn {
    fn from(networks: MediaOnArg) -> Self {
        match networks {
            MediaOnArg::Wifi => Self::Wifi,
            MediaOnArg::Mobile => Self::Mobile,
        }
    }
}

/// In which size a photo is fetched.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum SizeArg {
    /// As it was taken.
    #[default]
    Original,
    /// For a screen.
    Screen,
    /// For a list.
    Thumb,
}

impl From<SizeArg> for Size {
    fn from(size: SizeArg) -> Self {
        match size {
            SizeArg::Original => Self::Original,
            SizeArg::Screen => Self::Screen,
            SizeArg::Thumb => Self::Thumb,
        }
    }
}

pub(super) async fn capture(tablet: &mut Tablet, args: &CaptureArgs, video: bool) -> Result<()> {
    let rec = find(tablet, &args.record)?;
    let taken_at = args.taken_at.as_deref().map(instant).transpose()?;
    expect_kind(&args.file, video)?;
    let facts = Facts {
        taken_at,
        place: args.place.clone(),
        caption: args.caption.clone(),
        at: args.at.clone(),
        poster_of: args.poster_of,
    };
    let captured = tablet.capture(rec, &args.field, &args.file, &facts).await?;
    say(captured.row);
    say(format_args!(
        "{} {} is saved on this tablet ({}).",
        captured.blob.kind.mime(),
        short(captured.blob.sha256),
        HumanBytes(captured.blob.bytes)
    ));
    Ok(())
}

fn instant(text: &str) -> Result<UnixMillis> {
    UnixMillis::parse(text)
        .ok_or_else(|| anyhow!("{text:?} is not an instant: write 2026-11-22T14:03:11.201Z"))
}

/// A person who says `photo` of a video has taken the wrong file.
fn expect_kind(file: &Path, video: bool) -> Result<(), TabletError> {
    let Some(kind) = tablet::MediaFolder::kind_of(file)? else { return Ok(()) };
    match (kind.is_video(), video) {
        (true, false) => Err(TabletError::NotTaken(format!(
            "{} is a video: use `genba-tablet video`",
            file.display()
        ))),
        (false, true) => Err(TabletError::NotTaken(format!(
            "{} is a photo: use `genba-tablet photo`",
            file.display()
        ))),
        (true, true) | (false, false) => Ok(()),
    }
}

/// A photo or a video as a program reads it.
#[derive(Serialize)]
struct Line {
    sha256: BlobHash,
    rec: RecordId,
    mime: &'static str,
    bytes: u64,
    state: BlobState,
    sent: u64,
    why: String,
}

pub(super) async fn uploads(tablet: &mut Tablet, retry: bool, as_json: bool) -> Result<()> {
    if retry {
        let again = tablet.retry_stopped().await?;
        if !as_json {
            say(format_args!("Tried again with the next sync: {again}."));
        }
    }
    let standing = tablet.media_standing();
    let sealed = tablet.sealed_media();
    let lines: Vec<Line> = standing
        .iter()
        .map(|standing| Line {
            sha256: standing.blob.sha256,
            rec: standing.rec,
            mime: standing.blob.kind.mime(),
            bytes: standing.blob.bytes,
            state: standing.state,
            sent: standing.sent,
            why: standing.why.to_string(),
        })
        .collect();
    if as_json {
        return json(&object!({ "uploads": lines, "sealed": sealed }));
    }
    for line in &lines {
        say(format_args!(
            "{}  {}  {:<10} {:>10} {:>3} %  {}",
            short(line.sha256),
            line.rec,
            line.mime,
            HumanBytes(line.bytes).to_string(),
            line.sent * 100 / line.bytes.max(1),
            line.why
        ));
    }
    if sealed > 0 {
        say(format_args!("Of records that are not yours any more, {sealed} are still to be sent."));
    }
    say(format_args!("{} photos and videos on this tablet.", lines.len()));
    Ok(())
}

pub(super) async fn media(
    tablet: &Tablet,
    record: &str,
    hash: Option<String>,
    size: SizeArg,
    save: Option<PathBuf>,
    as_json: bool,
) -> Result<()> {
    let rec = find(tablet, record)?;
    let named = tablet.media_of(rec);
    let (Some(hash), Some(save)) = (hash, save) else { return list(&named, as_json) };
    let blob = pick(&named, &hash)?;
    let bytes = tablet.fetch_media(rec, &blob, size.into(), &save).await?;
    say(format_args!("{} holds {}.", save.display(), HumanBytes(bytes)));
    Ok(())
}

fn list(named: &[(String, String, BlobRef)], as_json: bool) -> Result<()> {
    if as_json {
        let of = |(field, row, blob): &(String, String, BlobRef)| -> Value {
            object!({ "field": field, "row": row, "sha256": blob.sha256,
                      "bytes": blob.bytes, "mime": blob.kind.mime() })
        };
        return json(&named.iter().map(of).collect::<Vec<_>>());
    }
    for (field, row, blob) in named {
        say(format_args!(
            "{}  {:<10} {:>10}  {field}/{row}",
            blob.sha256,
            blob.kind.mime(),
            HumanBytes(blob.bytes).to_string()
        ));
    }
    say(format_args!("{} photos and videos; fetch one with SHA --save FILE.", named.len()));
    Ok(())
}

/// The one blob whose hash begins so.
fn pick(named: &[(String, String, BlobRef)], hash: &str) -> Result<BlobRef, TabletError> {
    let begins = |blob: &BlobRef| blob.sha256.to_string().starts_with(hash);
    let mut found: Vec<BlobRef> = named.iter().map(|(_, _, blob)| *blob).filter(begins).collect();
    found.sort_unstable();
    found.dedup_by_key(|blob| blob.sha256);
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(TabletError::Asked(format!(
            "the record names no photo or video {hash}: see `genba-tablet media RECORD`"
        ))),
        several => Err(TabletError::Asked(format!(
            "{} photos or videos begin with {hash}: give more of it",
            several.len()
        ))),
    }
}

pub(super) fn policy(tablet: &mut Tablet, media_on: Option<MediaOnArg>) -> Result<()> {
    if let Some(networks) = media_on {
        tablet.set_media_on(networks.into())?;
    }
    match tablet.profile().media_on {
        MediaOn::Wifi => say("Photos and videos travel over Wi-Fi only."),
        MediaOn::Mobile => say("Photos and videos travel over mobile networks too."),
    }
    Ok(())
}

/// A bar that shows how far the upload under way is.
pub(super) fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

pub(super) fn advance(bar: &ProgressBar, uploading: Uploading) {
    bar.set_length(uploading.blob.bytes);
    bar.set_position(uploading.sent);
    let (what, others) = (uploading.blob.kind.mime(), uploading.others);
    bar.set_message(format!("{what} {}, {others} others wait", short(uploading.blob.sha256)));
}

pub(super) fn tell(news: &MediaNews) {
    match news {
        MediaNews::Uploaded(blob) => {
            say(format_args!("Uploaded {} ({}).", short(blob.sha256), HumanBytes(blob.bytes)));
        }
        MediaNews::Stopped(blob, why) => say(format_args!(
            "The server does not take {} ({why}). It is kept here: tell the office; `uploads --retry` tries again.",
            short(blob.sha256)
        )),
        MediaNews::Lost(blob) => say(format_args!(
            "The bytes of {} are gone or damaged on this tablet: photograph it again.",
            short(blob.sha256)
        )),
    }
}

/// What is left to say when photos and videos stay behind.
pub(super) fn tell_waiting(tablet: &Tablet) {
    let waiting = tablet.replica().unsent_blobs();
    if waiting > 0 {
        say(format_args!(
            "Photos and videos that wait: {waiting}; `genba-tablet uploads` tells why."
        ));
    }
}

/// Enough of a hash for people.
fn short(sha256: BlobHash) -> String {
    sha256.to_string().chars().take(12).collect()
}
