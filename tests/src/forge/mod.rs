//! Photos and films made by code: honest ones, and [`bombs`].

pub mod bombs;
pub mod film;
pub mod photo;
pub mod png;
