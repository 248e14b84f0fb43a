//! Whole-system tests of Genba, and the programs that play them.

pub mod bench;
pub mod bureau;
pub mod collect;
pub mod crash;
pub mod field_day;
pub mod forge;
pub mod link;
pub mod power;
pub mod sim;
pub mod uploads;
