//! Every method of the store, on both databases, each test on a fresh one.

mod audit;

mod devices;
mod forms;
mod grants;
mod journal;
mod keys;
mod people;
mod placements;

mod pointers;

mod quarantine;
mod received;
mod records;
mod replicas;
mod sample;

mod seals;

mod tenants;
