//! Sessions and their threads, for people and for programs.

use crate::cli::open::find;
use crate::cli::out::{json, say};
use crate::cli::show::{author, title};
use anyhow::Result;
use sync_protocol::blob::BlobHash;
use sync_protocol::clock::Instant;
use sync_protocol::id::{RecordId, UserId};
use tablet::{Became, Entry, Tablet, Thread};

pub(super) fn show(tablet: &Tablet, session: &str, as_json: bool) -> Result<()> {
    let thread = tablet.thread(find(tablet, session)?)?;
    if as_json {
        return json(&thread);
    }
    say(format_args!("Advice session {}: {}", thread.session, thread.state));
    if let Some(about) = thread.about {
        say(format_args!("  about {} {about}", called(tablet, about)));
    }
    let place = thread.place.as_ref().map_or(String::new(), |place| format!(", {place}"));
    say(format_args!("  {}{place}", thread.urgency.as_deref().unwrap_or("-")));
    say(format_args!("  {}: {}", by(tablet, thread.asked_by, thread.asked_at), thread.question));
    for entry in &thread.entries {
        tell(tablet, entry);
    }
    if let Some(outcome) = &thread.outcome {
        say(format_args!("  outcome: {outcome}"));
    }
    Ok(())
}

fn tell(tablet: &Tablet, entry: &Entry) {
    let text = entry.text.as_deref().unwrap_or_default();
    let what = match (&entry.fate, entry.photo) {
        (Some(_), _) => format!("advice {}: {text}", entry.rec),
        (None, Some(photo)) => format!("still {}: {text}", short(photo)),
        (None, None) => text.to_owned(),
    };
    let sent = if entry.sent { "" } else { "  (not sent yet)" };
    say(format_args!("  {}: {what}{sent}", by(tablet, entry.by, entry.at)));
    if let Some(clause) = &entry.clause {
        say(format_args!("      clause: {}", called_text(tablet, clause)));
    }
    if let Some(page) = &entry.manual_page {
        let edition = entry.manual_edition.as_deref().unwrap_or_default();
        let (page, edition) = (called_text(tablet, page), called_text(tablet, edition));
        say(format_args!("      manual: {page} ({edition})"));
    }
    if let Some(fate) = &entry.fate {
        say(format_args!("      {}", became(tablet, fate)));
    }
}

fn became(tablet: &Tablet, fate: &Became) -> String {
    if fate.by.is_none() {
        return "not acknowledged yet".to_owned();
    }
    let why = fate.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
    let changed = if fate.changed_since { "  <- the advice was changed after that" } else { "" };
    let sent = if fate.sent { "" } else { "  (not sent yet)" };
    format!("{}{why} - {}{sent}{changed}", fate.state, by(tablet, fate.by, fate.at))
}

pub(super) fn list(tablet: &Tablet, as_json: bool) -> Result<()> {
    let threads = tablet.threads()?;
    if as_json {
        return json(&threads);
    }
    for thread in &threads {
        let open = unacknowledged(thread);
        let mark = match open {
            0 => String::new(),
            n => format!("  <- {n} to be acknowledged"),
        };
        say(format_args!(
            "{}  {:<9} {:<8} {}{mark}",
            thread.session,
            thread.state,
            thread.urgency.as_deref().unwrap_or("-"),
            thread.question
        ));
    }
    say(format_args!("{} sessions.", threads.len()));
    Ok(())
}

fn unacknowledged(thread: &Thread) -> usize {
    let fates = thread.entries.iter().filter_map(|entry| entry.fate.as_ref());
    fates.filter(|fate| fate.by.is_none()).count()
}

fn by(tablet: &Tablet, who: Option<UserId>, at: Option<Instant>) -> String {
    let at = at.map_or_else(|| "-".to_owned(), |at| at.0.to_string());
    format!("{at} {}", author(tablet, who))
}

fn called(tablet: &Tablet, rec: RecordId) -> String {
    title(tablet, rec, 2).unwrap_or_default()
}

/// What a reference names, where the tablet has it; the text itself otherwise.
fn called_text(tablet: &Tablet, reference: &str) -> String {
    let named = reference.parse().ok().and_then(|rec| title(tablet, rec, 2));
    named.unwrap_or_else(|| reference.to_owned())
}

/// Enough of a hash for people.
fn short(sha256: BlobHash) -> String {
    sha256.to_string().chars().take(12).collect()
}
