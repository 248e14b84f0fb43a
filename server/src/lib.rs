//! The service `genba`: what the city's tablets and consoles talk to.
//!
//! `app(&state)` is the whole HTTP service as a [`axum::Router`]: tests and simulated worlds drive it without a
//! socket, with their own clock and chance. `listen` brings it to the network, `cli` to the operator.
//!
//! Layers: `routes` → `auth`, `sync`, `media` → `live`, `storage`. To add a route: a handler in `routes/<name>.rs`, a line in
//! its `routes()`, a section in docs/api.md; its rule of access is an argument without a default.

pub mod admin;
pub mod auth;
pub mod bulkhead;
pub mod cli;
pub mod clock;
pub mod config;
pub mod extract;
pub mod fault;
pub mod listen;
pub mod live;
pub mod media;
pub mod problem;
pub mod random;
pub mod routes;
pub mod state;
pub mod sync;
pub mod telemetry;

pub use state::{AppState, Parts};

/// The whole HTTP service.
pub fn app(state: &AppState) -> axum::Router {
    routes::router(state)
}
