//! The tablet's side against a plain server: promises one by one, then whole histories.

#![expect(
    clippy::indexing_slicing,
    clippy::maybe_infinite_iter,
    clippy::needless_pass_by_value,
    clippy::unwrap_used,
    reason = "a test that is wrong about its own world should stop"
)]

mod garbage;
mod media;
mod promises;
mod schedule;
mod server;
mod tablet;
mod world;
