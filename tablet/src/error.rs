//! What can go wrong on a tablet, each with the way out.

use crate::key::BadKey;
use std::path::PathBuf;
use sync_protocol::replica::{DamagedRow, Refused};

/// Why the tablet could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TabletError {
    /// There is no tablet in this folder.
    #[error("there is no tablet in {0}: enrol it first")]
    NotEnrolled(PathBuf),
    /// There is a tablet in this folder already.
    #[error("{0} holds a tablet already: choose an empty folder for another one")]
    Enrolled(PathBuf),
    /// Another program uses this tablet.
    #[error("another program uses the tablet in {0}: end it first")]
    InUse(PathBuf),
    /// A file cannot be read or written.
    #[error("{path} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The device key cannot be used.
    #[error("the device key cannot be used")]
    Key(#[from] BadKey),
    /// The local database failed.
    #[error("the local database failed")]
    Database(#[from] sqlx::Error),
    /// The local database does not keep what it is asked to keep.
    #[error("the local database does not run safely: {0}")]
    Unsafe(String),
    /// A row of the local database cannot be read.
    #[error("the local database is damaged")]
    Damaged(#[from] DamagedRow),
    /// A photo or a video was not taken in.
    #[error("{0}")]
    NotTaken(String),
    /// Nothing was authored.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The server could not be reached.
    #[error("the server cannot be reached: check the address and the network")]
    Unreachable(#[source] reqwest::Error),
    /// The server refused.
    #[error("the server refused ({status} {name}): {title}")]
    Problem {
        /// The HTTP status.
        status: u16,
        /// The name of the problem.
        name: String,
        /// What it says.
        title: String,
        /// How long the server asks to wait.
        retry_after_ms: Option<i64>,
    },
    /// The server answered something else than expected.
    #[error("the server's answer cannot be read: {0}")]
    Unreadable(String),
    /// Syncing did not go through.
    #[error("the sync did not go through ({status} {why}): everything is kept, try again later")]
    SyncFailed {
        /// The HTTP status; 0 when no answer came.
        status: u16,
        /// What was answered.
        why: String,
    },
    /// The text is in step, and photos or videos wait.
    #[error(
        "the text is in step; photos and videos that wait: {waiting} ({why}). Everything is kept, try again later"
    )]
    MediaWaits {
        /// How many wait.
        waiting: usize,
        /// Why.
        why: String,
    },
    /// The form of this kind is not on the tablet.
    #[error("there is no form for {0} on this tablet: sync first, or check the name")]
    NoForm(String),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Asked(String),
}

impl TabletError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
