//! What is said to a question, and what becomes of the advice.

use super::{ITEM, MESSAGE, SESSION, needs_words, state, text};
use crate::error::TabletError;
use crate::tablet::Tablet;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::record::Record;

const CLAUSE: &str = "clause";
const MANUAL_PAGE: &str = "manual_page";
const EDITION_OF_PAGE: &str = "manual_edition";

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// In words.
    pub text: String,
    /// What it rests on.
    pub clause: Option<Clause>,
    /// The page of a manual; its edition is quoted with it.
    pub page: Option<RecordId>,
}

/// The article that advice rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clause {
    /// One of the clauses on the tablet.
    Record(RecordId),
    /// As the adviser calls it.
    Words(String),
}

/// What an answer began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// The message, if something was said.
    pub message: Option<RecordId>,
    /// The piece of advice, if one was given.
    pub item: Option<RecordId>,
}

/// What becomes of a piece of advice on site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was read.
    Acknowledged,
    /// It was read and followed.
    Followed,
    /// It was read and not followed.
    NotFollowed {
        /// The reason.
        why: String,
    },
}

impl Tablet {
    /// Answers a session in words, by a piece of advice, or by both.
    pub async fn answer(
        &mut self,
        session: RecordId,
        words: Option<&str>,
        advice: Option<&Advice>,
    ) -> Result<Answered, TabletError> {
        let (record, at) = self.open_session(session)?;
        if self.is_mine(&record) {
            return Err(TabletError::NotTaken(
                "you asked this yourself: add to it with `advise say`".to_owned(),
            ));
        }
        if words.is_none() && advice.is_none() {
            return Err(TabletError::NotTaken("an answer has a text or an item".to_owned()));
        }
        words.map_or(Ok(()), |words| needs_words("the answer", words))?;
        let item = advice.map(|advice| self.answers_of(session, advice)).transpose()?;
        let mut answered = Answered::default();
        if let Some(words) = words {
            answered.message = Some(self.add_message(session, words).await?);
        }
        if let Some(item) = item {
            answered.item = Some(self.begin(ITEM, session, item).await?);
        }
        if at == "asked" {
            self.advance(session, SESSION, "answered", None, Vec::new()).await?;
        }
        Ok(answered)
    }

    /// Adds to the thread of a session, from either side; tells the message.
    pub async fn say(&mut self, session: RecordId, words: &str) -> Result<RecordId, TabletError> {
        self.open_session(session)?;
        needs_words("the message", words)?;
        self.add_message(session, words).await
    }

    /// Takes a question back that nobody has answered.
    pub async fn withdraw(&mut self, session: RecordId) -> Result<(), TabletError> {
        let (_, at) = self.open_session(session)?;
        if at != "asked" {
            return Err(TabletError::NotTaken(format!(
                "{session} is {at}: an answered question is ended with `advise end`"
            )));
        }
        self.advance(session, SESSION, "withdrawn", None, Vec::new()).await
    }

    /// Ends a session that was answered, with what came of it.
    pub async fn end(&mut self, session: RecordId, outcome: &str) -> Result<(), TabletError> {
        let (_, at) = self.open_session(session)?;
        needs_words("the outcome", outcome)?;
        if at != "answered" {
            return Err(TabletError::NotTaken(format!(
                "{session} is {at}: a question without an answer is taken back with `advise withdraw`"
            )));
        }
        self.advance(session, SESSION, "ended", None, vec![("outcome", json!(outcome))]).await
    }

    /// Acknowledges a piece of advice, and says whether it was followed.
    pub async fn acknowledge(&mut self, item: RecordId, fate: &Fate) -> Result<(), TabletError> {
        let (record, _) = self.shown(item, ITEM)?;
        if self.is_mine(&record) {
            return Err(TabletError::NotTaken(
                "you gave this advice yourself: whoever is on site acknowledges it".to_owned(),
            ));
        }
        let (to, why) = match fate {
            Fate::Acknowledged => ("acknowledged", None),
            Fate::Followed => ("followed", None),
            Fate::NotFollowed { why } => ("not_followed", Some(why.as_str())),
        };
        why.map_or(Ok(()), |why| needs_words("the reason", why))?;
        self.advance(item, ITEM, to, why, Vec::new()).await
    }

    /// A session that goes on, and its state.
    pub(super) fn open_session(&self, session: RecordId) -> Result<(Record, String), TabletError> {
        let (record, view) = self.shown(session, SESSION)?;
        let at = state(self.form_of(SESSION)?, &view);
        if matches!(at.as_str(), "withdrawn" | "ended") {
            return Err(TabletError::NotTaken(format!(
                "{session} is {at}: begin another one with `advise ask`"
            )));
        }
        Ok((record, at))
    }

    async fn add_message(
        &mut self,
        session: RecordId,
        words: &str,
    ) -> Result<RecordId, TabletError> {
        let answers = vec![("session", json!(session)), ("text", json!(words))];
        self.begin(MESSAGE, session, answers).await
    }

    /// What the record of a piece of advice says; the page and the clause that it names are on the tablet.
    fn answers_of(
        &self,
        session: RecordId,
        advice: &Advice,
    ) -> Result<Vec<(&'static str, Value)>, TabletError> {
        needs_words("the advice", &advice.text)?;
        let mut answers = vec![("session", json!(session)), ("text", json!(advice.text))];
        match &advice.clause {
            Some(Clause::Record(clause)) => {
                self.shown(*clause, CLAUSE)?;
                answers.push(("clause", json!(clause)));
            }
            Some(Clause::Words(words)) => answers.push(("clause_text", json!(words))),
            None => {}
        }
        if let Some(page) = advice.page {
            let (_, view) = self.shown(page, MANUAL_PAGE)?;
            let edition = text(&view, EDITION_OF_PAGE).ok_or_else(|| {
                TabletError::NotTaken(format!(
                    "the page {page} names no edition: quote another one"
                ))
            })?;
            answers.extend([(MANUAL_PAGE, json!(page)), (EDITION_OF_PAGE, json!(edition))]);
        }
        Ok(answers)
    }
}
