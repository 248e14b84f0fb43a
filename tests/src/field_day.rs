//! The field day: a day in the fictional city, played by real tablets against a real server, every claim checked.

#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value answers null for a name that it does not have"
)]

pub mod camera;
pub mod city;
pub mod claims;
pub mod crew;
pub mod demo_clock;
pub mod load;
pub mod office;
pub mod scenes;
pub mod server;
pub mod story;
pub mod weather;
pub mod world;
