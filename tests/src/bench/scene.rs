//! A database to measure on: one bureau with its forms, its people, their tablets and what they may hold.

use crate::field_day::city;
use anyhow::{Context as _, Result};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};
use server::admin::{Actor, forms, tenants};
use server::auth::access::{self, Bearer, Names, Scope};
use server::auth::keyring::KeySet;
use server::clock::{Clock as _, SystemClock};
use server::random::OsRandom;
use server::state::{AppState, Parts};
use std::path::PathBuf;
use std::sync::Arc;
use storage::{Device, DeviceState, Durability, Grant, Options, Store, User};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Bucket, DeviceId, Tenant, UserId};
use uuid::Uuid;

/// The bureau.
pub const TENANT: &str = "fire";
/// The kind of record that is written here.
pub const KIND: &str = "fire_inspection";

/// A person with a tablet.
#[derive(Clone, Debug)]
pub struct Person {
    /// The user.
    pub user: UserId,
    /// The tablet.
    pub device: DeviceId,
    /// Where its user writes.
    pub bucket: Bucket,
    /// Whether the tablet holds it.
    pub hold: bool,
}

/// A database that is ready for a server, and the keys to call that server with.
#[derive(Debug)]
pub struct Scene {
    /// The bureau.
    pub tenant: Tenant,
    /// Its people.
    pub people: Vec<Person>,
    keys: Arc<KeySet>,
    names: Names,
}

/// Now, by the wall clock.
pub fn now() -> UnixMillis {
    SystemClock.now()
}

/// A version 7 UUID of `rng` at an instant.
pub fn uuid_v7(rng: &mut Pcg64, at: UnixMillis) -> Uuid {
    let mut chance = [0; 10];
    rng.fill_bytes(&mut chance);
    let millis = u64::try_from(at.0).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &chance).into_uuid()
}

/// Opens a store for writing rows that need not survive: it is closed before a server opens it.
pub async fn open_volatile(database: &str) -> Result<Store> {
    let durability = Durability::VolatileForSimulation;
    Ok(Store::open(&Options { durability, ..Options::new(database) }).await?)
}

impl Scene {
    /// Fills an empty database: the same people each time, each with a bucket, held or not, as `bucket_of` says.
    pub async fn prepare(
        database: &str,
        people: u64,
        bucket_of: impl Fn(u64) -> (String, bool),
    ) -> Result<Self> {
        let store = open_volatile(database).await?;
        let parts = Parts {
            store: store.clone(),
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
            objects: server::media::in_memory(),
            config: Arc::default(),
        };
        let state = AppState::open(parts).await?;
        let tenant: Tenant = TENANT.parse()?;
        tenants::create(&state, tenant.clone(), "消防局", "Fire Bureau", "Asia/Tokyo").await?;
        let operator = Actor { tenant: tenant.clone(), user: None };
        for file in form_files()? {
            forms::publish(&state, &operator, &std::fs::read_to_string(&file)?)
                .await
                .with_context(|| file.display().to_string())?;
        }
        let people = (0..people)
            .map(|n| {
                let mut rng = Pcg64::seed_from_u64(n);
                let mut id = || uuid_v7(&mut rng, UnixMillis(1_790_000_000_000));
                let (user, device) = (UserId(id()), DeviceId(id()));
                let (bucket, hold) = bucket_of(n);
                Ok(Person { user, device, bucket: bucket.parse()?, hold })
            })
            .collect::<Result<Vec<_>>>()?;
        settle(&store, &tenant, &people).await?;
        let (keys, names) = (state.keys.now(), state.names.clone());
        store.close().await;
        Ok(Self { tenant, people, keys, names })
    }

    /// An access token, good for five minutes.
    pub fn token(&self, person: &Person) -> Result<String> {
        let bearer = Bearer {
            tenant: self.tenant.clone(),
            user: person.user,
            device: person.device,
            scope: Scope::Full,
        };
        Ok(access::sign(&self.keys, &self.names, bearer, Uuid::nil(), now())?)
    }
}

async fn settle(store: &Store, tenant: &Tenant, people: &[Person]) -> Result<()> {
    let at = now().plus(-86_400_000);
    let mut tx = store.write().await?;
    for person in people {
        let name = person.user.to_string();
        let user = User {
            id: person.user,
            login: name.clone(),
            name,
            password_hash: None,
            admin: false,
            active: true,
            not_before: UnixMillis(0),
            failed_count: 0,
            locked_until: None,
        };
        tx.users().insert(tenant, &user).await?;
        let device = Device {
            id: person.device,
            user: person.user,
            name: "tablet".to_owned(),
            public_key: "{}".to_owned(),
            thumbprint: person.device.to_string(),
            enrolled_at: at,
            state: DeviceState::Active,
            state_at: at,
            last_seen_at: None,
            last_seq: None,
        };
        tx.devices().insert(tenant, &device).await?;
        let grant = Grant {
            id: person.device.0,
            user: person.user,
            bucket: person.bucket.clone(),
            role: "inspector".to_owned(),
            from_at: at,
            to_at: None,
            hold: person.hold,
            granted_by: person.user,
            granted_at: at,
        };
        tx.grants().insert(tenant, &grant).await?;
    }
    Ok(tx.commit().await?)
}

/// The forms of the fixtures, in the order of their names.
fn form_files() -> Result<Vec<PathBuf>> {
    let files = std::fs::read_dir(city::fixtures().join("forms"))?;
    let mut files: Vec<PathBuf> = files.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    Ok(files)
}
