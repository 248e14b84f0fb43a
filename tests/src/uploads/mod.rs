//! Uploads over a bad network to servers that die: every photo arrives as the camera saw it, or resumes.
//!
//! [`bucket`] is an S3 service of one test, [`camera`] makes bytes, [`client`] speaks tus and counts what it sends, [`campaign`] throws the faults and judges,
//! in [`deaths`] the server dies at named places, and [`memory`] looks what an upload costs.

pub mod bucket;
pub mod camera;
pub mod campaign;
pub mod client;
pub mod deaths;
pub mod memory;
mod ward;
