//! Servers that die: the real program killed under load, both databases under concurrency, and planted faults.
//!
//! [`site`] writes a bureau into an empty database, [`tablet`]s work against it over a [`line`](mod@line), what a whole 200 has
//! acknowledged stands in [`acks`], and [`look`] reads the database as it is and says what is wrong with it.

pub mod acks;
pub mod campaign;
pub mod child;
pub mod concurrent;
pub mod contend;
pub mod dice;
pub mod directed;
pub mod history;
pub mod judge;
pub mod line;
pub mod look;
pub mod node;
pub mod points;
pub mod postgres;
pub mod site;
pub mod stage;
pub mod tablet;
pub mod work;
