//! Asking: a question about an inspection, with stills of what is seen there.

use super::{SESSION, STILL, needs_words};
use crate::error::TabletError;
use crate::media::{CAPTION_CHARS_MAX, Facts, MediaFolder};
use crate::tablet::Tablet;
use serde_json::{Value, json};
use std::path::PathBuf;
use sync_protocol::form::Home;
use sync_protocol::id::RecordId;

/// The most stills that go with one question.
pub const STILLS_MAX: usize = 12;

/// How soon an answer is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits on site.
    OnSite,
    /// Before the day is over.
    Today,
    /// It has time.
    Later,
}

impl Urgency {
    const fn code(self) -> &'static str {
        match self {
            Self::OnSite => "on_site",
            Self::Today => "today",
            Self::Later => "later",
        }
    }
}

/// How the question is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By stills and text, while somebody is on site.
    Stills,
    /// By text, when the adviser comes to it.
    Later,
}

impl Mode {
    const fn code(self) -> &'static str {
        match self {
            Self::Stills => "stills",
            Self::Later => "later",
        }
    }
}

/// A photo of what the question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Still {
    /// The file. It is copied.
    pub file: PathBuf,
    /// What it shows.
    pub caption: Option<String>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// In words.
    pub text: String,
    /// How soon.
    pub urgency: Urgency,
    /// How.
    pub mode: Mode,
    /// Where, in words.
    pub place: Option<String>,
    /// At most [`STILLS_MAX`].
    pub stills: Vec<Still>,
}

impl Tablet {
    /// Asks for advice about an inspection; tells the session. Nothing is written when the question or a still cannot be
    /// taken.
    pub async fn ask(
        &mut self,
        inspection: RecordId,
        question: &Question,
    ) -> Result<RecordId, TabletError> {
        self.expect_subject(inspection)?;
        needs_words("the question", &question.text)?;
        if question.stills.len() > STILLS_MAX {
            return Err(TabletError::NotTaken(format!(
                "{} stills are too many for one question: at most {STILLS_MAX}, add others with `advise still`",
                question.stills.len()
            )));
        }
        question.stills.iter().try_for_each(check)?;
        let mut answers: Vec<(&str, Value)> = vec![
            ("inspection", json!(inspection)),
            ("question", json!(question.text)),
            ("urgency", json!(question.urgency.code())),
            ("mode", json!(question.mode.code())),
            ("requested_at", json!(self.clock().read().now)),
        ];
        answers.extend(question.place.iter().map(|place| ("place", json!(place))));
        let session = self.begin(SESSION, inspection, answers).await?;
        for still in &question.stills {
            self.add_still(session, still).await?;
        }
        Ok(session)
    }

    /// Adds a still to the thread of a session; tells its record.
    pub async fn send_still(
        &mut self,
        session: RecordId,
        still: &Still,
    ) -> Result<RecordId, TabletError> {
        self.open_session(session)?;
        check(still)?;
        self.add_still(session, still).await
    }

    async fn add_still(
        &mut self,
        session: RecordId,
        still: &Still,
    ) -> Result<RecordId, TabletError> {
        let mut answers = vec![("session", json!(session))];
        answers.extend(still.caption.iter().map(|caption| ("caption", json!(caption))));
        let rec = self.begin(STILL, session, answers).await?;
        self.capture(rec, "photo", &still.file, &Facts::default()).await?;
        Ok(rec)
    }

    fn expect_subject(&self, inspection: RecordId) -> Result<(), TabletError> {
        let record = self.held(inspection)?;
        let Home::About(kinds) = &self.form_of(SESSION)?.home else { return Ok(()) };
        if kinds.contains(&record.kind) {
            return Ok(());
        }
        let kinds: Vec<&str> = kinds.iter().map(sync_protocol::id::RecordType::as_str).collect();
        Err(TabletError::NotTaken(format!(
            "advice is asked about a {}, and this is a {}: see `genba-tablet list`",
            kinds.join(" or a "),
            record.kind
        )))
    }
}

/// What can be known of a still before anything is written.
fn check(still: &Still) -> Result<(), TabletError> {
    let name = still.file.display();
    let kind = MediaFolder::kind_of(&still.file)?.filter(|kind| !kind.is_video());
    let Some(kind) = kind else {
        return Err(TabletError::NotTaken(format!("{name} is no photo: a still is one")));
    };
    let bytes = std::fs::metadata(&still.file).map_err(TabletError::file(&still.file))?.len();
    if bytes > kind.bytes_max() {
        let max = kind.bytes_max();
        return Err(TabletError::NotTaken(format!("{name} has {bytes} bytes: at most {max}")));
    }
    let chars = still.caption.as_ref().map_or(0, |caption| caption.chars().count());
    if chars > CAPTION_CHARS_MAX {
        return Err(TabletError::NotTaken(format!(
            "the caption has {chars} characters: at most {CAPTION_CHARS_MAX}"
        )));
    }
    Ok(())
}
