//! The worker as a real process: what it makes, what it tells, and what it may not do.

#![expect(clippy::indexing_slicing, reason = "a test that finds too few pixels has to fail")]

mod bombs;
mod confined;
mod facts;
mod job;
mod pictures;
mod run;
mod served;
