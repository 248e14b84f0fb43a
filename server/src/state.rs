//! What every handler may use: the store, time, chance, keys and the hub of pokes.

use crate::auth::access::Names;
use crate::auth::failures::Failures;
use crate::auth::keyring::{KeyError, Keyring};
use crate::auth::nonce::Nonces;
use crate::auth::password::Passwords;
use crate::bulkhead::Bulkheads;
use crate::clock::Clock;
use crate::config::Config;
use crate::extract::Bodies;
use crate::live::Pokes;
use crate::media::render::Bell;
use crate::media::{Growth, Objects};
use crate::random::Random;
use crate::sync::{Library, Means, Service};
use object_store::ObjectStore;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use storage::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a server is made of; tests and simulated worlds bring their own clock and chance.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Where photos and video lie.
    pub objects: Arc<dyn ObjectStore>,
    /// The settings.
    pub config: Arc<Config>,
}

/// The state of one server; clones share it.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Shared>);

/// What the clones of a state share.
#[derive(Debug)]
pub struct Shared {
    /// The database.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// The settings.
    pub config: Arc<Config>,
    /// Where photos and video lie.
    pub objects: Objects,
    /// Rung when a blob waits for its pictures.
    pub bell: Bell,
    /// The signing keys.
    pub keys: Keyring,
    /// Nonces of assertions.
    pub nonces: Nonces,
    /// The names in our access tokens.
    pub names: Names,
    /// Who waits for news.
    pub pokes: Pokes,
    /// What tablets push and pull.
    pub sync: Service,
    /// The work of password hashing, bounded.
    pub passwords: Passwords,
    /// Failed proofs of identity, counted.
    pub failures: Failures,
    /// How much of each kind of work runs at once.
    pub bulkheads: Bulkheads,
    /// The room that all bodies share.
    pub bodies: Bodies,
    /// The memory that parts of uploads share.
    pub growth: Growth,
    /// Fires when the server is to stop.
    pub stop: CancellationToken,
    /// The tasks that a stop waits for.
    pub tasks: TaskTracker,
    ready: AtomicBool,
}

impl AppState {
    /// Puts a server together: reads or makes its signing keys.
    pub async fn open(parts: Parts) -> Result<Self, KeyError> {
        let Parts { store, clock, random, objects, config } = parts;
        let keys = Keyring::open(&store, &*random, clock.now()).await?;
        let objects = Objects::open(&store, objects, &*random).await?;
        let nonces = Nonces::open(&store, &*random).await?;
        let names =
            Names { issuer: config.issuer().to_owned(), audience: config.audience.0.clone() };
        let pokes = Pokes::default();
        let means = Means {
            store: store.clone(),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            library: Arc::new(Library::default()),
            pokes: pokes.clone(),
        };
        let sync = Service::open(means).await.map_err(KeyError::Storage)?;
        Ok(Self(Arc::new(Shared {
            store,
            clock,
            random,
            config,
            objects,
            bell: Bell::default(),
            keys,
            nonces,
            names,
            pokes,
            sync,
            passwords: Passwords::default(),
            failures: Failures::default(),
            bulkheads: Bulkheads::default(),
            bodies: Bodies::default(),
            growth: Growth::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            ready: AtomicBool::new(true),
        })))
    }

    /// Whether the server takes work.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    /// Says that the server takes no more work, so that a balancer looks elsewhere.
    pub fn retreat(&self) {
        self.ready.store(false, Ordering::SeqCst);
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
