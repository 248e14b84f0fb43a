//! Who waits for news, and how they are told that there is some.
//!
//! A poke says only that there is something new; data comes through the one pull path. So a poke may be lost, doubled
//! or early, and nothing here needs to be durable.

mod held;
mod hub;
pub mod poll;
pub mod socket;
mod watchman;

pub use held::{Standing, standing};
pub use hub::{Kind, Listening, POLLS_PER_DEVICE_MAX, Pokes, SOCKETS_PER_DEVICE_MAX, Signal};
pub use watchman::start;
