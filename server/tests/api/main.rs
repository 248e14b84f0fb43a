//! The API from outside: every test has a server of its own, with its own clock and chance.

mod admin;
mod bodies;
mod commands;
mod enrolment;
mod live;
mod logs;
mod media;
mod network;
mod postgres;
mod routes;
mod sessions;
mod support;
mod tokens;
