//! Photos and video: uploads by tus 1.0.0, reading, collection. Each test has its own server and its own object store.

mod access;
mod collection;
mod counted;
mod creation;
mod failing;
mod fickle;
mod place;
mod protocol;
mod quota;
mod reader;
mod reading;
mod scene;
mod sending;
mod together;
