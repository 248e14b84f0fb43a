//! The city is loaded into an empty database: bureaus, people, grants, forms, records.

use super::city::{self, BUREAUS, Bureau, GrantEntry, Person};
use super::server::database_url;
use super::story::{self, People};
use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use server::admin::grants::NewGrant;
use server::admin::users::NewUser;
use server::admin::{Actor, forms, grants, tenants, users};
use server::clock::SystemClock;
use server::random::OsRandom;
use server::state::{AppState, Parts};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use storage::{Options, Store};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::UserId;

/// The city as it was loaded.
#[derive(Debug)]
pub struct City {
    /// The bureaus on the day.
    pub bureaus: BTreeMap<String, Bureau>,
    /// The people by (tenant, login).
    pub users: BTreeMap<(String, String), UserId>,
}

impl City {
    /// The id of a person.
    pub fn user(&self, tenant: &str, login: &str) -> Result<UserId> {
        let found = self.users.get(&(tenant.to_owned(), login.to_owned()));
        found.copied().with_context(|| format!("{tenant} has no {login}"))
    }

    /// The demo password of a person.
    pub fn password(&self, tenant: &str, login: &str) -> Result<&str> {
        let people = self.bureaus.get(tenant).into_iter().flat_map(|bureau| &bureau.people);
        let found = people.into_iter().find(|person| person.login == login);
        Ok(&found.with_context(|| format!("{tenant} has no {login}"))?.password)
    }
}

/// Loads the city as it is on the day of `now` into the database in `folder`.
pub async fn load(folder: &Path, now: UnixMillis) -> Result<City> {
    let state = open(folder).await?;
    let mut city = City { bureaus: BTreeMap::new(), users: BTreeMap::new() };
    for name in BUREAUS {
        let bureau = city::on_the_day(name, now)?;
        begin(&state, &bureau, &mut city.users).await.with_context(|| format!("loading {name}"))?;
        city.bureaus.insert(name.to_owned(), bureau);
    }
    state.store.close().await;
    Ok(city)
}

/// Opens the database in `folder` as a server does that is not on the network.
pub async fn open(folder: &Path) -> Result<AppState> {
    let parts = Parts {
        store: Store::open(&Options::new(database_url(folder))).await?,
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        objects: server::media::in_memory(),
        config: Arc::default(),
    };
    Ok(AppState::open(parts).await?)
}

/// The tenant with its people, grants, forms and records.
async fn begin(
    state: &AppState,
    bureau: &Bureau,
    known: &mut BTreeMap<(String, String), UserId>,
) -> Result<()> {
    let entry = &bureau.tenant;
    let tenant = entry.id.parse()?;
    tenants::create(state, tenant, &entry.ja, &entry.en, &entry.time_zone).await?;
    let operator = Actor { tenant: entry.id.parse()?, user: None };
    let made = bureau.people.iter().map(|person| users::create(state, &operator, new_user(person)));
    for user in try_join_all(made).await? {
        known.insert((entry.id.clone(), user.login), user.id);
    }
    for grant in &bureau.grants {
        let holder = known.get(&(entry.id.clone(), grant.user.clone()));
        let user = *holder.with_context(|| format!("nobody is called {}", grant.user))?;
        grants::create(state, &operator, given(grant, user)?).await?;
    }
    for file in form_files()? {
        forms::publish(state, &operator, &std::fs::read_to_string(&file)?)
            .await
            .with_context(|| file.display().to_string())?;
    }
    let here = known.iter().filter(|((tenant, _), _)| *tenant == entry.id);
    let people: People = here.map(|((_, login), user)| (login.clone(), *user)).collect();
    story::tell(state, &operator.tenant, &people, &bureau.records).await
}

fn new_user(person: &Person) -> NewUser {
    NewUser {
        login: person.login.clone(),
        name: person.name.clone(),
        admin: person.admin,
        password: Some(person.password.clone()),
    }
}

fn given(grant: &GrantEntry, user: UserId) -> Result<NewGrant> {
    let instant =
        |text: &str| UnixMillis::parse(text).with_context(|| format!("{text} is no instant"));
    Ok(NewGrant {
        user,
        bucket: grant.bucket.parse()?,
        role: serde_json::from_value(grant.role.as_str().into())?,
        from_at: Some(instant(&grant.from)?),
        to_at: grant.to.as_deref().map(instant).transpose()?,
        hold: grant.hold,
    })
}

/// The forms of the fixtures, in the order of their names.
fn form_files() -> Result<Vec<std::path::PathBuf>> {
    let files = std::fs::read_dir(city::fixtures().join("forms"))?;
    let mut files: Vec<_> = files.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    Ok(files)
}
