//! Power cuts: a disk that forgets what was not fsynced, under the real server.
//!
//! [`disk`] is the model of such a disk, [`fuse`] mounts it, [`campaign`] cuts the power under load and looks.

pub mod campaign;
pub mod disk;
pub mod fuse;
