//! Smaller pictures and facts of what was uploaded, made by workers.
//!
//! A blob whose bytes are proven waits in its row (`render` is `pending`). Whatever node has time takes it with a lease,
//! streams the original into a worker (one process for one blob), stores what comes back as objects beside the original,
//! and then names them in the row, together with the facts, in one transaction. What was not named is swept like anything
//! else that no row names.

pub mod film;
mod job;
mod process;

pub use job::{Bell, next, start};
pub use process::{Failure, Outcome, Rendered, WALL_MAX, Worker};
