//! `genba admin …`: works on the database itself, beside a running server or without one.

use super::say;
use super::serve::open_store;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::random::OsRandom;
use crate::state::{AppState, Parts};
use clap::Subcommand;
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Makes a new key for access tokens; the ones before it verify for 24 hours more.
    KeysRotate,
}

impl Admin {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let store = open_store(config).await?;
        let parts = Parts {
            store,
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
            config: Arc::new(config.clone()),
        };
        let state = AppState::open(parts).await?;
        match self {
            Self::KeysRotate => {
                let now = state.clock.now();
                let kid = crate::auth::keyring::rotate(&state.store, &*state.random, now).await?;
                say(&kid);
            }
        }
        state.store.close().await;
        Ok(())
    }
}
