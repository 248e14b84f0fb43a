//! Smaller pictures and facts of what was uploaded, made by workers: [`Worker`] is one process for one blob.

pub mod film;
mod process;

pub use process::{Failure, Outcome, Rendered, WALL_MAX, Worker};
