//! The commands for advice: asking from the site, answering from the office, and saying what became of it.

mod thread;

use super::open::find;
use super::out::say;
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use tablet::{Advice, Clause, Fate, Mode, Question, Still, Tablet, TabletError, Urgency};

/// What is asked, answered or shown.
#[derive(Debug, Subcommand)]
pub(super) enum Advise {
    /// Ask for advice about an inspection; it goes with the next sync.
    Ask(AskArgs),
    /// Answer a question: in words, by a piece of advice, or by both.
    Answer(AnswerArgs),
    /// Add a message to the thread of a session.
    Say {
        /// The session.
        session: String,
        /// What is said.
        #[arg(long)]
        text: String,
    },
    /// Add a still to the thread of a session.
    Still {
        /// The session.
        session: String,
        /// The photo. It is copied; the original stays where it is.
        file: PathBuf,
        /// What it shows.
        #[arg(long)]
        caption: Option<String>,
    },
    /// Show a session with everything that was said in it.
    Show {
        /// The session.
        session: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Acknowledge a piece of advice, and say whether it was followed.
    Acknowledge {
        /// The piece of advice.
        item: String,
        /// Whether it was followed.
        #[arg(long, value_enum)]
        followed: Option<YesNo>,
        /// Why it was not.
        #[arg(long, requires = "followed", required_if_eq("followed", "no"))]
        why: Option<String>,
    },
    /// Take back a question that nobody has answered.
    Withdraw {
        /// The session.
        session: String,
    },
    /// End a session that was answered.
    End {
        /// The session.
        session: String,
        /// What came of it.
        #[arg(long)]
        outcome: String,
    },
    /// List the sessions on this tablet.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// A question.
#[derive(Debug, Args)]
pub(super) struct AskArgs {
    /// The inspection: its id, or the beginning or end of it.
    inspection: String,
    /// What is asked.
    #[arg(long)]
    question: String,
    /// How soon an answer is needed.
    #[arg(long, value_enum, default_value_t)]
    urgency: UrgencyArg,
    /// Where.
    #[arg(long)]
    place: Option<String>,
    /// A photo of it; may be said several times.
    #[arg(long)]
    still: Vec<PathBuf>,
}

/// An answer.
#[derive(Debug, Args)]
pub(super) struct AnswerArgs {
    /// The session: its id, or the beginning or end of it.
    session: String,
    /// What is said.
    #[arg(long, required_unless_present = "item")]
    text: Option<String>,
    /// A piece of advice, which whoever is on site acknowledges.
    #[arg(long)]
    item: Option<String>,
    /// What the advice rests on: the id of a clause, or its name.
    #[arg(long, requires = "item")]
    clause: Option<String>,
    /// The page of a manual, by its id; the edition is quoted with it.
    #[arg(long, requires = "item")]
    page: Option<String>,
}

/// How soon an answer is needed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum UrgencyArg {
    /// Somebody waits on site.
    #[default]
    OnSite,
    /// Before the day is over.
    Today,
    /// It has time.
    Later,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum YesNo {
    /// It was.
    Yes,
    /// It was not.
    No,
}

pub(super) async fn advise(tablet: &mut Tablet, what: Advise) -> Result<()> {
    match what {
        Advise::Ask(args) => ask(tablet, args).await,
        Advise::Answer(args) => answer(tablet, args).await,
        Advise::Say { session, text } => {
            let session = find(tablet, &session)?;
            say(tablet.say(session, &text).await?);
            Ok(())
        }
        Advise::Still { session, file, caption } => {
            let session = find(tablet, &session)?;
            say(tablet.send_still(session, &Still { file, caption }).await?);
            Ok(())
        }
        Advise::Show { session, json } => thread::show(tablet, &session, json),
        Advise::Acknowledge { item, followed, why } => {
            acknowledge(tablet, &item, followed, why).await
        }
        Advise::Withdraw { session } => {
            let session = find(tablet, &session)?;
            tablet.withdraw(session).await?;
            say(format_args!("{session} is taken back on this tablet."));
            Ok(())
        }
        Advise::End { session, outcome } => {
            let session = find(tablet, &session)?;
            tablet.end(session, &outcome).await?;
            say(format_args!("{session} is ended on this tablet."));
            Ok(())
        }
        Advise::List { json } => thread::list(tablet, json),
    }
}

async fn ask(tablet: &mut Tablet, args: AskArgs) -> Result<()> {
    let inspection = find(tablet, &args.inspection)?;
    let (urgency, mode) = match args.urgency {
        UrgencyArg::OnSite => (Urgency::OnSite, Mode::Stills),
        UrgencyArg::Today => (Urgency::Today, Mode::Later),
        UrgencyArg::Later => (Urgency::Later, Mode::Later),
    };
    let still = |file| Still { file, caption: None };
    let question = Question {
        text: args.question,
        urgency,
        mode,
        place: args.place,
        stills: args.still.into_iter().map(still).collect(),
    };
    let session = tablet.ask(inspection, &question).await?;
    say(session);
    say("The question is saved on this tablet; it goes with the next `sync`.");
    Ok(())
}

async fn answer(tablet: &mut Tablet, args: AnswerArgs) -> Result<()> {
    let session = find(tablet, &args.session)?;
    let advice = match args.item {
        None => None,
        Some(text) => Some(Advice {
            text,
            clause: args.clause.map(clause),
            page: args.page.map(|page| find(tablet, &page)).transpose()?,
        }),
    };
    let answered = tablet.answer(session, args.text.as_deref(), advice.as_ref()).await?;
    if let Some(message) = answered.message {
        say(format_args!("message {message}"));
    }
    if let Some(item) = answered.item {
        say(format_args!("advice {item}"));
    }
    say("The answer is saved on this tablet; it goes with the next `sync`.");
    Ok(())
}

/// A whole id is a clause of the tablet; everything else is what the adviser calls it.
fn clause(typed: String) -> Clause {
    typed.parse().map_or_else(|_| Clause::Words(typed), Clause::Record)
}

async fn acknowledge(
    tablet: &mut Tablet,
    item: &str,
    followed: Option<YesNo>,
    why: Option<String>,
) -> Result<()> {
    let item = find(tablet, item)?;
    let fate = match (followed, why) {
        (None, _) => Fate::Acknowledged,
        (Some(YesNo::Yes), None) => Fate::Followed,
        (Some(YesNo::Yes), Some(_)) => {
            let told = "--why says why advice was not followed: leave it out".to_owned();
            return Err(TabletError::NotTaken(told).into());
        }
        (Some(YesNo::No), why) => Fate::NotFollowed { why: why.unwrap_or_default() },
    };
    tablet.acknowledge(item, &fate).await?;
    say(format_args!("{item} is acknowledged on this tablet."));
    Ok(())
}
