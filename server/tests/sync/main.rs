//! The sync service held to its rules: every test runs on both databases, with its own clock and chance.

mod forms;
mod leases;
mod support;
