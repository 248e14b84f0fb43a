//! The sync service held to its rules: every test runs on both databases, with its own clock and chance.
#![expect(clippy::indexing_slicing, reason = "a JSON value answers null for what is not there")]

mod bad_changes;
mod bad_requests;
mod console;
mod forms;
mod leases;
mod mutation;
mod outcomes;
mod pull;
mod seals;
mod support;
mod times;
mod wire;
