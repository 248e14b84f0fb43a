//! One bureau with its people, their tablets and one form, written into an empty database.

use anyhow::Result;
use server::auth::access::{Bearer, Names, Scope, sign};
use server::auth::keyring::{KeySet, Keyring, PURPOSE};
use server::random::{Random, SeededRandom};
use storage::{Device, DeviceState, FormRow, Grant, Store, TenantRow, User};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Bucket, DeviceId, EpochId, Tenant, UserId};
use sync_protocol::value::hash_of;
use uuid::Uuid;

/// The form of the records that are written.
pub const FORM: &str = include_str!("form.json");
/// The kind of the records that are written.
pub const KIND: &str = "visit";
/// Where users' ids begin.
const USERS: u128 = 0x1000;
/// Where devices' ids begin.
const DEVICES: u128 = 0x2000;

/// A person and the tablet of this person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// The person.
    pub user: UserId,
    /// The tablet.
    pub device: DeviceId,
}

impl Person {
    /// The n-th person.
    pub const fn nth(n: u128) -> Self {
        Self {
            user: UserId(Uuid::from_u128(USERS + n)),
            device: DeviceId(Uuid::from_u128(DEVICES + n)),
        }
    }
}

/// A role in a bucket.
pub type Right<'a> = (&'a str, &'a str);

/// A bureau in a database.
#[derive(Clone, Debug)]
pub struct Site {
    /// The bureau.
    pub tenant: Tenant,
    /// Its people; the first one supervises.
    pub people: Vec<Person>,
    keys: KeySet,
    names: Names,
}

/// The bucket `station:<name>`.
pub fn station(name: &str) -> Bucket {
    format!("station:{name}").parse().expect("a station is a bucket")
}

impl Site {
    /// Makes a bureau in which everybody inspects in two stations and the first person supervises both.
    pub async fn make(store: &Store, people: u128, now: UnixMillis) -> Result<Self> {
        let rights: Vec<Vec<Right<'_>>> = (0..people)
            .map(|n| {
                let mut rights = vec![("a", "inspector"), ("b", "inspector")];
                if n == 0 {
                    rights.extend([("a", "supervisor"), ("b", "supervisor")]);
                }
                rights
            })
            .collect();
        Self::with(store, &rights, now).await
    }

    /// Makes a bureau of people with these rights.
    pub async fn with(store: &Store, rights: &[Vec<Right<'_>>], now: UnixMillis) -> Result<Self> {
        let random = SeededRandom::new(1);
        let random: &dyn Random = &random;
        let tenant: Tenant = "fire".parse()?;
        let row = TenantRow {
            id: tenant.clone(),
            name_ja: "消防局".to_owned(),
            name_en: "Fire bureau".to_owned(),
            time_zone: "Asia/Tokyo".to_owned(),
            created_at: now,
        };
        let mut tx = store.write().await?;
        tx.tenants().insert(&row, EpochId(random.uuid_v7(now))).await?;
        tx.forms().publish(&tenant, &form(now)?).await?;
        let mut people = Vec::with_capacity(rights.len());
        for (n, rights) in (0_u128..).zip(rights) {
            let person = Person::nth(n);
            tx.users().insert(&tenant, &user(person, n)).await?;
            tx.devices().insert(&tenant, &device(person, n, now)).await?;
            for (bucket, role) in rights {
                let grant = Grant {
                    id: random.uuid_v7(now),
                    user: person.user,
                    bucket: station(bucket),
                    role: (*role).to_owned(),
                    from_at: now,
                    to_at: None,
                    hold: true,
                    granted_by: person.user,
                    granted_at: now,
                };
                tx.grants().insert(&tenant, &grant).await?;
            }
            people.push(person);
        }
        tx.commit().await?;
        Keyring::open(store, random, now).await?;
        let stored = store.read().await?.keys().list(PURPOSE).await?;
        let keys = KeySet::of(&stored, now)?;
        let audience = server::config::Audience::default().0;
        let names = Names { issuer: audience.clone(), audience };
        Ok(Self { tenant, people, keys, names })
    }

    /// An access token of a person's tablet, good for five minutes.
    pub fn token(&self, person: Person, now: UnixMillis) -> String {
        let bearer = Bearer {
            tenant: self.tenant.clone(),
            user: person.user,
            device: person.device,
            scope: Scope::Full,
        };
        sign(&self.keys, &self.names, bearer, Uuid::from_u128(1), now).expect("a stored key signs")
    }
}

fn form(now: UnixMillis) -> Result<FormRow> {
    Ok(FormRow {
        type_: KIND.parse()?,
        version: 1,
        body: FORM.as_bytes().to_vec(),
        hash: hash_of(FORM.as_bytes()),
        published_at: now,
    })
}

fn user(person: Person, n: u128) -> User {
    User {
        id: person.user,
        login: format!("inspector-{n}"),
        name: "山田 花子".to_owned(),
        password_hash: None,
        admin: false,
        active: true,
        not_before: UnixMillis(0),
        failed_count: 0,
        locked_until: None,
    }
}

fn device(person: Person, n: u128, now: UnixMillis) -> Device {
    Device {
        id: person.device,
        user: person.user,
        name: format!("tablet {n}"),
        public_key: "{}".to_owned(),
        thumbprint: format!("thumb-{n}"),
        enrolled_at: now,
        state: DeviceState::Active,
        state_at: now,
        last_seen_at: None,
        last_seq: None,
    }
}
