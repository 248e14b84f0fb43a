//! The shell around the replica: its files, its calls, and what it does when they fail.

#![expect(
    clippy::indexing_slicing,
    clippy::large_futures,
    reason = "a test that is wrong about its own world should stop; it polls its futures once"
)]

mod advice;
mod calls;
mod fake;
mod files;
mod media;
mod tus;
