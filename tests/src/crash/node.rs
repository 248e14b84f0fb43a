//! A server in this process, on a database of either kind.

use super::line::Line;
use anyhow::Result;
use axum::Router;
use server::clock::Clock;
use server::random::SeededRandom;
use server::{AppState, Parts};
use std::sync::Arc;
use storage::{Options, Store};

/// One server.
#[derive(Debug)]
pub struct Node {
    /// Its state.
    pub state: AppState,
    /// Its service.
    pub app: Router,
}

impl Node {
    /// Opens a server on a database.
    pub async fn open(options: &Options, clock: Arc<dyn Clock>, seed: u64) -> Result<Self> {
        let parts = Parts {
            store: Store::open(options).await?,
            clock,
            random: Arc::new(SeededRandom::new(seed)),
            objects: server::media::in_memory(),
            config: Arc::default(),
        };
        let state = AppState::open(parts).await?;
        let app = server::app(&state);
        Ok(Self { state, app })
    }

    /// A line to this server.
    pub fn line(&self) -> Line {
        Line::direct(vec![self.app.clone()])
    }
}
