//! The sync protocol of Genba: what a tablet and the server share.
//!
//! Wire types, the merge core and the tablet's side as a state machine. Nothing here does I/O, reads a clock or draws
//! a random number: time, chance and ids come in as arguments, so that the server, the tablets and the simulated world
//! run the same code. The normative text is the project's protocol page; names follow it.

pub mod blob;
pub mod change;
pub mod clock;
pub mod fault;
pub mod form;
pub mod id;
pub mod record;
pub mod replica;
pub mod seal;
pub mod text;
pub mod value;
pub mod view;
pub mod wire;
