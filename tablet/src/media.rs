//! Photos and video on the tablet: taken in, uploaded in pieces when the server needs them, and let go of only when it
//! and its backup have them.
//!
//! The bytes lie in a folder beside the database, each file named by its SHA-256. What is to become of them the replica
//! says; here is where they lie, how they travel, and why one waits.

mod capture;
mod fetch;
mod folder;
mod queue;
mod standing;
mod tus;
mod upload;

pub use capture::{Captured, Facts};
pub use fetch::Size;
pub use folder::MediaFolder;
pub use standing::{MediaStanding, Why};
pub use upload::{MediaNews, Network, Uploading};

pub(crate) use capture::CAPTION_CHARS_MAX;
pub(crate) use queue::Queue;
pub(crate) use upload::{Turn, Uploader};
