//! The offline client: a tablet's replica over a local SQLite database, and the calls to the server.
//!
//! [`Tablet`] is the shell around [`sync_protocol::replica::Replica`]: it commits the writes of every step before it
//! does anything else, sends what the replica asks to be sent, and gives the answers back. A program that shows records
//! to people needs nothing else; `genba-tablet` is one.

mod advice;
mod chance;
mod clock;
mod database;
mod error;
mod forms;
mod http;
mod key;
mod live;
mod media;
mod profile;
mod tablet;

pub use advice::{
    Advice, Answered, Became, Clause, Entry, Fate, Mode, Question, STILLS_MAX, Still, Thread,
    Urgency,
};
pub use chance::OsChance;
pub use clock::{Clock, ShiftedClock, SystemClock};
pub use database::Database;
pub use error::TabletError;
pub use forms::Forms;
pub use http::{Api, Connection, Reply};
pub use key::DeviceKey;
pub use live::News;
pub use media::{
    Captured, Facts, MediaFolder, MediaNews, MediaStanding, Network, Size, Uploading, Why,
};
pub use profile::{Enrolment, MediaOn, Profile};
pub use tablet::{Progress, SyncReport, Tablet};
