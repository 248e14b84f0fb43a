//! Photos and video: bytes arrive by tus 1.0.0, lie in the object store, are read back, and are collected.
//!
//! An upload is a list of parts. A part is an object, written once under a fresh name and durable before a row says that
//! it is there; a finished blob *is* the parts of the upload that brought it. So nothing is copied at the end, no object
//! is ever changed, and what no row names can be removed.

mod buffer;
pub mod collect;
mod finish;
mod hasher;
mod inflow;
mod intake;
mod lease;
mod metadata;
pub mod objects;

pub mod place;
pub mod quota;
pub mod ranges;
pub mod reading;
pub mod render;
mod sender;
pub mod tus;
pub mod upload;

pub use buffer::{GROWTH_BYTES_MAX, Growth, PART_BYTES_MAX, STEP_BYTES};
pub use finish::finish;
pub use hasher::Hasher;
pub use intake::TAIL_BYTES_MIN;
pub use metadata::Declared;
pub use objects::{ObjectError, Objects, in_memory};
pub use sender::Sender;
