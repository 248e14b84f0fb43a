//! Every method of the store, on both databases, each test on a fresh one.

#![expect(clippy::indexing_slicing, reason = "a test that finds too few rows has to fail")]

mod audit;
mod blob_refs;
mod blobs;
mod cancel;
mod copies;
mod devices;
#[cfg(feature = "faults")]
mod faults;
mod forms;
mod grants;
mod journal;
mod keys;
mod lists;
mod people;
mod placements;
mod plans;
mod pointers;
mod prefix;
mod quarantine;
mod received;
mod records;
mod renders;
mod replicas;
mod sample;
mod schema;
mod seals;
mod settings;
mod tenants;
mod uploads;
