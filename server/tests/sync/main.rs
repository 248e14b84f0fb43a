//! The sync service held to its rules: every test runs on both databases, with its own clock and chance.
#![expect(clippy::indexing_slicing, reason = "a JSON value answers null for what is not there")]

mod bad_changes;
mod bad_requests;
mod buckets;
mod console;
mod forms;
mod grants;
mod leases;
mod lists;
mod media;
mod moves;
mod mutation;
mod outcomes;
mod pull;
mod quarantine;
mod scenes;
mod seals;
mod status;
mod support;
mod times;
mod waiting;
mod wire;
