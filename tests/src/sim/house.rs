//! The office's side of a world: the real server over a file, with the world's clock and chance.

use anyhow::{Context as _, Result, bail};
use server::admin::{self, Actor};
use server::auth::access::Scope;
use server::clock::ManualClock;
use server::config::Config;
use server::extract::TabletCaller;
use server::random::SeededRandom;
use server::sync::{Command, Done};
use server::{AppState, Parts};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::{Device, DeviceState, Durability, Options, Store};
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::{Bucket, DeviceId, EpochId, Tenant, UserId};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// When every world begins: 2026-11-22T00:00:00Z.
pub(super) const BEGIN: i64 = 1_795_305_600_000;
/// How many people carry tablets; one more is the rogue, who may nothing.
pub(super) const PEOPLE: usize = 5;

const FORMS: [&str; 2] = [include_str!("visit.json"), include_str!("note.json")];
/// The form that is published late.
pub(super) const LATE_FORM: &str = include_str!("late.json");

/// The one tenant of a world.
pub(super) fn tenant() -> Tenant {
    "fire".parse().expect("one segment")
}

/// The buckets of a world.
pub(super) fn buckets() -> [Bucket; 3] {
    ["station:a", "station:b", "station:c"].map(|text| text.parse().expect("a bucket"))
}

/// The enrolment of the person at this place.
pub(super) fn device(at: usize) -> DeviceId {
    DeviceId(Uuid::from_u128(0xD0_0000 + at as u128))
}

/// Where simulated databases lie: in memory where the machine offers it.
fn shelf() -> PathBuf {
    let shm = PathBuf::from("/dev/shm");
    if shm.is_dir() { shm } else { std::env::temp_dir() }
}

/// A folder that goes away with its owner.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = shelf().join(format!("genba-sim-{}-{n}", std::process::id()));
        std::fs::create_dir(&path).context("the folder of a world")?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// People, forms and devices: the same in all worlds, made once.
#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    boss: UserId,
    people: Vec<UserId>,
}

static TEMPLATE: OnceCell<Template> = OnceCell::const_new();

/// The server, its database, and its clock.
#[derive(Debug)]
pub(super) struct House {
    folder: Folder,
    clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
    state: Option<AppState>,
    /// Supervisor and approver everywhere.
    pub(super) boss: UserId,
    /// Those who carry tablets, and the rogue at the end.
    pub(super) people: Vec<UserId>,
}

fn options(folder: &Path) -> Options {
    let url = format!("sqlite:{}/genba.db", folder.display());
    Options {
        read_connections: 1,
        durability: Durability::VolatileForSimulation,
        ..Options::new(url)
    }
}

async fn open(
    folder: &Path,
    clock: &Arc<ManualClock>,
    random: &Arc<SeededRandom>,
) -> Result<AppState> {
    let store = Store::open(&options(folder)).await?;
    let (clock, random) = (Arc::<ManualClock>::clone(clock), Arc::<SeededRandom>::clone(random));
    let objects = server::media::in_memory();
    let parts = Parts { store, clock, random, objects, config: Arc::new(Config::default()) };
    Ok(AppState::open(parts).await?)
}

async fn make_template() -> Result<Template> {
    let folder = Folder::new()?;
    let clock = Arc::new(ManualClock::at(UnixMillis(BEGIN)));
    let random = Arc::new(SeededRandom::new(u64::MAX));
    let state = open(&folder.0, &clock, &random).await?;
    admin::tenants::create(&state, tenant(), "消防", "Fire", "Asia/Tokyo").await?;
    let actor = Actor { tenant: tenant(), user: None };
    for form in FORMS {
        admin::forms::publish(&state, &actor, form).await?;
    }
    let mut people = Vec::new();
    for at in 0..PEOPLE + 2 {
        let new = admin::users::NewUser {
            login: format!("user{at}"),
            name: format!("user {at}"),
            password: None,
            admin: false,
        };
        people.push(admin::users::create(&state, &actor, new).await?.id);
    }
    let mut tx = state.store.write().await?;
    for (at, user) in people.iter().enumerate() {
        let row = Device {
            id: device(at),
            user: *user,
            name: format!("tablet {at}"),
            public_key: "{}".to_owned(),
            thumbprint: format!("t{at}"),
            enrolled_at: UnixMillis(BEGIN - 3_600_000),
            state: DeviceState::Active,
            state_at: UnixMillis(BEGIN),
            last_seen_at: None,
            last_seq: None,
        };
        tx.devices().insert(&tenant(), &row).await?;
    }
    tx.commit().await?;
    let boss = people.pop().context("a boss")?;
    for bucket in buckets().into_iter().chain(["inbox:unplaced".parse()?]) {
        for role in [sync_protocol::form::Role::Supervisor, sync_protocol::form::Role::Approver] {
            let new = new_grant(boss, bucket.clone(), role, None, None, true);
            admin::grants::create(&state, &actor, new).await?;
        }
    }
    let store = state.store.clone();
    drop(state);
    store.close().await;
    let bytes = std::fs::read(folder.0.join("genba.db"))?;
    Ok(Template { bytes, boss, people })
}

/// A grant to be made.
pub(super) fn new_grant(
    user: UserId,
    bucket: Bucket,
    role: sync_protocol::form::Role,
    from_at: Option<UnixMillis>,
    to_at: Option<UnixMillis>,
    hold: bool,
) -> admin::grants::NewGrant {
    admin::grants::NewGrant { user, bucket, role, from_at, to_at, hold }
}

impl House {
    /// Opens the house of a world.
    pub(super) async fn build(seed: u64) -> Result<Self> {
        let template = TEMPLATE.get_or_try_init(make_template).await?;
        let folder = Folder::new()?;
        std::fs::write(folder.0.join("genba.db"), &template.bytes)?;
        let clock = Arc::new(ManualClock::at(UnixMillis(BEGIN)));
        let random = Arc::new(SeededRandom::new(seed));
        let state = open(&folder.0, &clock, &random).await?;
        let (boss, people) = (template.boss, template.people.clone());
        Ok(Self { folder, clock, random, state: Some(state), boss, people })
    }

    /// The running server.
    pub(super) fn state(&self) -> Result<&AppState> {
        self.state.as_ref().context("the server is down")
    }

    /// The file of the database.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.0.join("genba.db")
    }

    /// Sets the server's clock.
    pub(super) fn set_clock(&self, now: i64) {
        self.clock.set(UnixMillis(now));
    }

    /// The operator, who makes grants and publishes forms.
    pub(super) fn operator() -> Actor {
        Actor { tenant: tenant(), user: None }
    }

    /// `POST /v1/sync` by a device: the status and the body of the answer.
    pub(super) async fn sync(&self, device: DeviceId, body: &str) -> Result<(u16, Vec<u8>)> {
        let state = self.state()?;
        let mut tx = state.store.read().await?;
        let row = tx.devices().find(&tenant(), device).await?.context("a device")?;
        drop(tx);
        let scope = if row.state == DeviceState::Active { Scope::Full } else { Scope::Deposit };
        let caller = TabletCaller {
            tenant: tenant(),
            user: row.user,
            device,
            scope,
            enrolled_at: row.enrolled_at,
        };
        match server::sync::sync(state, &caller, body).await {
            Ok(answer) => Ok((200, answer)),
            Err(problem) => {
                let status = problem.status().as_u16();
                if status == 500 {
                    bail!("the server failed: {problem:?}");
                }
                Ok((status, problem.document().to_string().into_bytes()))
            }
        }
    }

    /// A command; `Err` inside when the server refused it.
    pub(super) async fn command(&self, command: Command) -> Result<Result<Done, String>> {
        match self.state()?.sync.command(&tenant(), command).await {
            Ok(done) => Ok(Ok(done)),
            Err(problem) if problem.status().as_u16() >= 500 => {
                bail!("the server failed at a command: {problem:?}")
            }
            Err(problem) => Ok(Err(problem.to_string())),
        }
    }

    async fn stop(&mut self) {
        if let Some(state) = self.state.take() {
            let store = state.store.clone();
            drop(state);
            store.close().await;
        }
    }

    /// Stops and starts the server.
    pub(super) async fn restart(&mut self) -> Result<()> {
        self.stop().await;
        self.state = Some(open(&self.folder.0, &self.clock, &self.random).await?);
        Ok(())
    }

    /// Stops the server for good.
    pub(super) async fn close(mut self) {
        self.stop().await;
    }

    /// Copies the database as it is.
    pub(super) async fn back_up(&mut self) -> Result<()> {
        self.stop().await;
        std::fs::copy(self.file(), self.folder.0.join("backup.db"))?;
        self.restart().await
    }

    /// Puts the copy in the place of the database; with a word to the operator, who begins a new epoch, or without.
    pub(super) async fn restore(&mut self, epoch: Option<Uuid>) -> Result<()> {
        self.stop().await;
        for leftover in ["genba.db-wal", "genba.db-shm"] {
            std::fs::remove_file(self.folder.0.join(leftover)).ok();
        }
        std::fs::copy(self.folder.0.join("backup.db"), self.file())?;
        self.restart().await?;
        if let Some(epoch) = epoch {
            let mut tx = self.state()?.store.write().await?;
            tx.replicas().void_all(&tenant()).await?;
            tx.head().new_epoch(&tenant(), EpochId(epoch)).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
