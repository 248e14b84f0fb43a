//! Collection against uploads and references: in every order that chance finds, nothing that is needed goes.
//!
//! Calls of the real server, its real collection and what a received change does are actors. Each stops before and after
//! every call of the object store and between its transactions, and chance says who goes on. So another may come
//! between any two steps that are not one transaction.

mod gated;
mod play;
mod run;
mod scene;
mod subject;

pub use run::{Plan, Report, run};
