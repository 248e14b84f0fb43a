//! Reading: a session with everything that was said in it, in one order for everybody.

use super::{ITEM, MESSAGE, SESSION, STILL, birth, state, text};
use crate::error::TabletError;
use crate::tablet::Tablet;
use serde::Serialize;
use std::collections::BTreeMap;
use sync_protocol::blob::BlobHash;
use sync_protocol::clock::Instant;
use sync_protocol::id::{RecordId, UserId};
use sync_protocol::record::Record;
use sync_protocol::view::{Deleted, STATUS, View};

/// A session and what was said in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Thread {
    /// The session.
    pub session: RecordId,
    /// The inspection that it is about.
    pub about: Option<RecordId>,
    /// `asked`, `withdrawn`, `answered` or `ended`.
    pub state: String,
    /// What was asked.
    pub question: String,
    /// How soon an answer was needed.
    pub urgency: Option<String>,
    /// Where.
    pub place: Option<String>,
    /// Who asked.
    pub asked_by: Option<UserId>,
    /// When, by the clocks as the server corrects them.
    pub asked_at: Option<Instant>,
    /// What came of it.
    pub outcome: Option<String>,
    /// What was said, in the order in which it was; what this tablet has not sent yet stands last.
    pub entries: Vec<Entry>,
}

/// A message, a still or a piece of advice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The record.
    pub rec: RecordId,
    /// Its kind: `advice_message`, `advice_still` or `advice_item`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who said it.
    pub by: Option<UserId>,
    /// When.
    pub at: Option<Instant>,
    /// Whether the server has it.
    pub sent: bool,
    /// The words; of a still its caption.
    pub text: Option<String>,
    /// The photo.
    pub photo: Option<BlobHash>,
    /// The clause, in words or as a record.
    pub clause: Option<String>,
    /// The page of a manual.
    pub manual_page: Option<String>,
    /// The edition of that page.
    pub manual_edition: Option<String>,
    /// What became of a piece of advice.
    pub fate: Option<Became>,
}

/// What became of a piece of advice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Became {
    /// `given`, `acknowledged`, `followed` or `not_followed`.
    pub state: String,
    /// Who on site said so; nobody yet of what was only given.
    pub by: Option<UserId>,
    /// When.
    pub at: Option<Instant>,
    /// Why it was not followed.
    pub why: Option<String>,
    /// Whether the server has that.
    pub sent: bool,
    /// Whether the advice was written anew after that: what was acknowledged is in its history.
    pub changed_since: bool,
}

impl Tablet {
    /// A session with everything that was said in it.
    ///
    /// The order is the effective time of the change that began each entry, stamped once by the server, then the id of
    /// that change: every tablet shows the same one.
    pub fn thread(&self, session: RecordId) -> Result<Thread, TabletError> {
        let said = self.said().remove(&session).unwrap_or_default();
        self.thread_of(session, said)
    }

    /// Every session on the tablet that is not deleted, the oldest first.
    pub fn threads(&self) -> Result<Vec<Thread>, TabletError> {
        let mut said = self.said();
        let mut threads = Vec::new();
        for rec in self.replica().records().filter(|rec| self.kind_and_subject(*rec).0 == SESSION) {
            match self.thread_of(rec, said.remove(&rec).unwrap_or_default()) {
                Err(TabletError::NotTaken(_)) => {}
                thread => threads.push(thread?),
            }
        }
        threads.sort_by_key(|thread| (thread.asked_at, thread.session));
        Ok(threads)
    }

    fn thread_of(
        &self,
        session: RecordId,
        mut said: Vec<(RecordId, Record)>,
    ) -> Result<Thread, TabletError> {
        let (record, view) = self.shown(session, SESSION)?;
        let (asked_at, asked_by) = who(&record);
        said.sort_by_cached_key(|(rec, other)| (self.place_unsent(*rec), birth(other)));
        let mut entries = Vec::with_capacity(said.len());
        for (rec, other) in said {
            entries.extend(self.entry(rec, &other)?);
        }
        Ok(Thread {
            session,
            about: record.about,
            state: state(self.form_of(SESSION)?, &view),
            question: text(&view, "question").unwrap_or_default(),
            urgency: text(&view, "urgency"),
            place: text(&view, "place"),
            asked_by,
            asked_at,
            outcome: text(&view, "outcome"),
            entries,
        })
    }

    /// What was said, by session.
    fn said(&self) -> BTreeMap<RecordId, Vec<(RecordId, Record)>> {
        let mut said: BTreeMap<RecordId, Vec<(RecordId, Record)>> = BTreeMap::new();
        for rec in self.replica().records() {
            let (kind, subject) = self.kind_and_subject(rec);
            let is_said = [MESSAGE, STILL, ITEM].contains(&kind.as_str());
            if let (true, Some(session)) = (is_said, subject)
                && let Some(record) = self.replica().displayed(rec)
            {
                said.entry(session).or_default().push((rec, record));
            }
        }
        said
    }

    /// The kind and the subject of a record; a received one is not put together for it.
    fn kind_and_subject(&self, rec: RecordId) -> (String, Option<RecordId>) {
        let of = |record: &Record| (record.kind.to_string(), record.about);
        let shown = || self.replica().displayed(rec).as_ref().map(of);
        self.replica().received(rec).map(of).or_else(shown).unwrap_or_default()
    }

    /// Where a record that the server has not sent back stands among this tablet's own; none for the others.
    fn place_unsent(&self, rec: RecordId) -> Option<usize> {
        if self.replica().received(rec).is_some() {
            return None;
        }
        self.replica().own_changes().position(|own| own.rec == rec)
    }

    /// An entry as people see it; none of one that is deleted.
    fn entry(&self, rec: RecordId, record: &Record) -> Result<Option<Entry>, TabletError> {
        let form = self.form_of(record.kind.as_str())?;
        let view = View::of(record, form);
        if view.deleted == Deleted::Yes {
            return Ok(None);
        }
        let (at, by) = who(record);
        let waits = self.replica().own_changes().any(|own| own.rec == rec && own.waits);
        let words = if record.kind.as_str() == STILL { "caption" } else { "text" };
        Ok(Some(Entry {
            rec,
            kind: record.kind.to_string(),
            by,
            at,
            sent: !waits || self.replica().received(rec).is_some(),
            text: text(&view, words),
            photo: self.media_of(rec).first().map(|(_, _, blob)| blob.sha256),
            clause: text(&view, "clause_text").or_else(|| text(&view, "clause")),
            manual_page: text(&view, "manual_page"),
            manual_edition: text(&view, "manual_edition"),
            fate: (record.kind.as_str() == ITEM).then(|| became(&view, state(form, &view), !waits)),
        }))
    }
}

fn who(record: &Record) -> (Option<Instant>, Option<UserId>) {
    let birth = birth(record);
    (birth.map(|(at, _, _)| Instant(at)), birth.map(|(_, _, by)| by))
}

fn became(view: &View, state: String, sent: bool) -> Became {
    let step = view.fields.get(STATUS);
    let version = step.and_then(|step| step.versions.iter().find(|v| v.value == step.shown));
    let advice = view.fields.iter().filter(|(path, _)| *path != STATUS);
    let written = advice.flat_map(|(_, field)| &field.versions).map(|version| version.t_eff).max();
    Became {
        state,
        by: version.and_then(|version| version.by),
        at: version.map(|version| Instant(version.t_eff)),
        why: step.and_then(|step| step.shown.get("why")?.as_str()).map(str::to_owned),
        sent,
        changed_since: version.is_some_and(|version| written > Some(version.t_eff)),
    }
}
