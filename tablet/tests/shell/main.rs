//! The shell around the replica: its files, its calls, and what it does when they fail.

mod calls;
mod fake;
mod files;
mod media;
mod tus;
