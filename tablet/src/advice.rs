//! Advice as records: a question about an inspection, its thread, and each piece of advice with what became of it.
//!
//! Everything is authored on the tablet, without a network, and goes with the next sync. Who asked, who advised and who
//! acknowledged is what the changes say of their authors; nobody types it.

mod ask;
mod reply;
mod thread;

pub use ask::{Mode, Question, STILLS_MAX, Still, Urgency};
pub use reply::{Advice, Answered, Clause, Fate};
pub use thread::{Became, Entry, Thread};

use crate::error::TabletError;
use crate::tablet::Tablet;
use serde_json::{Value, json};
use sync_protocol::change::{Home, Path};
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::Form;
use sync_protocol::id::{ChangeId, RecordId, RecordType, UserId};
use sync_protocol::record::Record;
use sync_protocol::replica::{Draft, Edit};
use sync_protocol::view::{Deleted, STATUS, View};

const SESSION: &str = "advice_session";
const MESSAGE: &str = "advice_message";
const STILL: &str = "advice_still";
const ITEM: &str = "advice_item";

/// When a record began, and by whose change.
type Birth = (UnixMillis, ChangeId, UserId);

impl Tablet {
    fn form_of(&self, kind: &str) -> Result<&Form, TabletError> {
        let form = kind.parse().ok().and_then(|kind: RecordType| self.forms().get(&kind));
        form.ok_or_else(|| TabletError::NoForm(kind.to_owned()))
    }

    /// Begins a record about another one.
    async fn begin(
        &mut self,
        kind: &str,
        about: RecordId,
        answers: Vec<(&str, Value)>,
    ) -> Result<RecordId, TabletError> {
        let form = self.form_of(kind)?;
        let (kind, sv) = (form.kind.clone(), form.version);
        let answer =
            |(field, value): (&str, Value)| Edit::Set(Path::Field(field.to_owned()), value);
        let edits = std::iter::once(Edit::New(Home::About(about)));
        let edits = edits.chain(answers.into_iter().map(answer)).collect();
        let draft = Draft { rec: self.new_record_id(), kind, sv, edits };
        self.author(&draft).await?;
        Ok(draft.rec)
    }

    /// Takes a record to another state, with what else is answered in the same change.
    async fn advance(
        &mut self,
        rec: RecordId,
        kind: &str,
        to: &str,
        why: Option<&str>,
        answers: Vec<(&str, Value)>,
    ) -> Result<(), TabletError> {
        let (_, view) = self.shown(rec, kind)?;
        let form = self.form_of(kind)?;
        let from = state(form, &view);
        let way = form.statuses.as_ref().and_then(|statuses| statuses.transition(&from, to));
        if way.is_none() {
            return Err(TabletError::NotTaken(format!(
                "{rec} is {from} already: see `genba-tablet advise list`"
            )));
        }
        let mut step = json!({ "from": from, "to": to });
        if let (Some(step), Some(why)) = (step.as_object_mut(), why) {
            step.insert("why".to_owned(), json!(why));
        }
        let all = answers.into_iter().chain([(STATUS, step)]);
        let edits =
            all.map(|(field, value)| Edit::Set(Path::Field(field.to_owned()), value)).collect();
        let draft = Draft { rec, kind: form.kind.clone(), sv: form.version, edits };
        self.author(&draft).await?;
        Ok(())
    }

    /// A record of this kind that is on the tablet and is not deleted.
    fn shown(&self, rec: RecordId, kind: &str) -> Result<(Record, View), TabletError> {
        let record = self.held(rec)?;
        if record.kind.as_str() != kind {
            return Err(TabletError::NotTaken(format!(
                "{rec} is of the kind {}, not {kind}: see `genba-tablet list --type {kind}`",
                record.kind
            )));
        }
        let view = View::of(&record, self.form_of(kind)?);
        if view.deleted != Deleted::No {
            return Err(TabletError::NotTaken(format!(
                "{rec} is deleted: `genba-tablet undelete` takes it back"
            )));
        }
        Ok((record, view))
    }

    fn is_mine(&self, record: &Record) -> bool {
        birth(record).is_some_and(|(_, _, by)| by == self.profile().user)
    }
}

/// The first of the changes that have something live in a record: the one that began it.
fn birth(record: &Record) -> Option<Birth> {
    record.stamps.iter().map(|(id, stamp)| (stamp.t_eff, *id, stamp.by)).min()
}

/// The state that people see.
fn state(form: &Form, view: &View) -> String {
    let to = view.fields.get(STATUS).and_then(|field| field.shown.get("to")?.as_str());
    let initial = form.statuses.as_ref().map(|statuses| statuses.initial.as_str());
    to.or(initial).unwrap_or_default().to_owned()
}

/// The shown text of a field.
fn text(view: &View, field: &str) -> Option<String> {
    view.fields.get(field)?.shown.as_str().map(str::to_owned)
}

fn needs_words(what: &str, words: &str) -> Result<(), TabletError> {
    if words.trim().is_empty() {
        return Err(TabletError::NotTaken(format!("{what} is empty: say it in words")));
    }
    Ok(())
}
