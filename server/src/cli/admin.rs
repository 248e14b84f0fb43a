//! `genba admin …`: works on the database itself, beside a running server or without one. Answers are JSON lines.

use super::say;
use super::serve::{Missing, open_store};
use crate::admin::users::NewUser;
use crate::admin::{Actor, devices, forms, grants, import, tenants, users};
use crate::auth::keyring;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::media::in_memory;
use crate::random::OsRandom;
use crate::state::{AppState, Parts};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::BufRead as _;
use std::path::PathBuf;
use std::sync::Arc;
use storage::{DeviceState, User};
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::Role;
use sync_protocol::id::{Bucket, DeviceId, Seq, Tenant};
use uuid::Uuid;

/// Where a password comes from when it does not come from standard input.
const PASSWORD_VARIABLE: &str = "GENBA_PASSWORD";

#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Makes a tenant.
    TenantCreate {
        /// What commands and sign-ins call it: 1 to 64 letters, digits, `_` and `-`, as fire.
        #[arg(long)]
        tenant: Tenant,
        /// Its name in Japanese.
        #[arg(long)]
        name_ja: String,
        /// Its name in English.
        #[arg(long)]
        name_en: String,
        /// Its time zone.
        #[arg(long, default_value = "Asia/Tokyo")]
        time_zone: String,
    },
    /// Makes a user, with a password if one is given.
    UserCreate {
        #[command(flatten)]
        who: Who,
        /// The user's name, as colleagues read it.
        #[arg(long)]
        name: String,
        /// The user administers the tenant.
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        password: Password,
    },
    /// Sets a user's password.
    UserPassword {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        password: Password,
    },
    /// Says that a user no longer works here.
    UserDeactivate(Who),
    /// Says that a user works here again.
    UserActivate(Who),
    /// Gives a user a bucket in a role for a time.
    Grant(Grant),
    /// Ends a grant.
    GrantEnd {
        /// The tenant, as fire.
        #[arg(long)]
        tenant: Tenant,
        /// The id of the grant, as `grant` answered.
        #[arg(long)]
        grant: Uuid,
        /// When, as 2027-03-31T15:00:00.000Z; now, if not said.
        #[arg(long, value_parser = instant)]
        at: Option<UnixMillis>,
    },
    /// Makes a one-time code that enrols a tablet for a user.
    EnrolCode(Who),
    /// Lists the devices of a tenant.
    Devices {
        /// The tenant, as fire.
        #[arg(long)]
        tenant: Tenant,
    },
    /// Retires a device: it may only hand in what it holds.
    DeviceRevoke(Device),
    /// Reports a device stolen: it is refused and its calls raise an alarm.
    DeviceStolen(Device),
    /// Publishes forms.
    FormPublish {
        /// The tenant, as fire.
        #[arg(long)]
        tenant: Tenant,
        /// JSON files, one form each.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Takes over ledgers of the office; the same file again changes nothing.
    Import {
        /// The tenant, as fire.
        #[arg(long)]
        tenant: Tenant,
        /// JSON files of `{"records": [...]}`; fixtures/README.md tells how a row is written.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Notes that a backup holds everything up to a seq.
    BackupDone {
        /// The tenant, as fire.
        #[arg(long)]
        tenant: Tenant,
        /// The seq up to which the backup holds everything.
        #[arg(long)]
        seq: i64,
    },
    /// Begins another history, after a restore.
    NewEpoch {
        /// The tenant, as fire.
        #[arg(long)]
        tenant: Tenant,
    },
    /// Makes a new key for access tokens; the ones before it verify for 24 hours more.
    KeysRotate {
        /// A key has leaked: the ones before are void at once, and every tablet asks for a new token.
        #[arg(long)]
        void: bool,
    },
}

/// A user by login.
#[derive(Debug, Args)]
pub(super) struct Who {
    /// The tenant, as fire.
    #[arg(long)]
    tenant: Tenant,
    /// The name that the user signs in with.
    #[arg(long)]
    login: String,
}

/// A password; never on the command line, where others can read it.
#[derive(Debug, Args)]
pub(super) struct Password {
    /// Reads the password from standard input; otherwise from `GENBA_PASSWORD`.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub(super) struct Device {
    /// The tenant, as fire.
    #[arg(long)]
    tenant: Tenant,
    /// The id of the device, as `devices` lists it.
    #[arg(long)]
    device: DeviceId,
}

#[derive(Debug, Args)]
pub(super) struct Grant {
    #[command(flatten)]
    who: Who,
    /// The bucket, as station:fs-south.
    #[arg(long)]
    bucket: Bucket,
    /// inspector, caseworker, supervisor, adviser, approver, auditor or reader.
    #[arg(long, value_parser = role)]
    role: Role,
    /// From when, as 2027-03-31T15:00:00.000Z; now, if not said.
    #[arg(long, value_parser = instant)]
    from: Option<UnixMillis>,
    /// Until when; open, if not said.
    #[arg(long, value_parser = instant)]
    to: Option<UnixMillis>,
    /// The bucket is read online and never reaches a tablet.
    #[arg(long)]
    online: bool,
}

fn instant(text: &str) -> Result<UnixMillis, &'static str> {
    UnixMillis::parse(text).ok_or("write an instant as 2027-03-31T15:00:00.000Z")
}

fn role(word: &str) -> Result<Role, &'static str> {
    serde_json::from_value(Value::from(word)).map_err(
        |_| "a role is inspector, caseworker, supervisor, adviser, approver, auditor or reader",
    )
}

impl Password {
    fn read(&self) -> anyhow::Result<Option<String>> {
        if !self.password_stdin {
            return Ok(std::env::var(PASSWORD_VARIABLE).ok());
        }
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl Admin {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let missing = if self.creates() { Missing::Create } else { Missing::Refuse };
        let parts = Parts {
            store: open_store(config, missing).await?,
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
            // No command touches photos or video.
            objects: in_memory(),
            config: Arc::new(config.clone()),
        };
        let state = AppState::open(parts).await?;
        let answer = self.act(&state).await;
        state.store.close().await;
        say(&answer?.to_string());
        Ok(())
    }

    /// Whether the command begins a bureau, and with it a database where there is none.
    const fn creates(&self) -> bool {
        matches!(self, Self::TenantCreate { .. })
    }

    async fn act(self, state: &AppState) -> anyhow::Result<Value> {
        Ok(match self {
            Self::TenantCreate { tenant, name_ja, name_en, time_zone } => {
                let row = tenants::create(state, tenant, &name_ja, &name_en, &time_zone).await?;
                json!({ "tenant": row.id })
            }
            Self::UserCreate { who, name, admin, password } => {
                let actor = operator(&who.tenant);
                let new = NewUser { login: who.login, name, admin, password: password.read()? };
                json!({ "user": users::create(state, &actor, new).await?.id })
            }
            Self::UserPassword { who, password } => {
                let Some(password) = password.read()? else {
                    bail!("no password: use --password-stdin or {PASSWORD_VARIABLE}");
                };
                let user = user(state, &who).await?;
                users::set_password(state, &operator(&who.tenant), user.id, password).await?;
                json!({ "user": user.id })
            }
            Self::UserDeactivate(who) => activate(state, &who, false).await?,
            Self::UserActivate(who) => activate(state, &who, true).await?,
            Self::Grant(grant) => grant.give(state).await?,
            Self::GrantEnd { tenant, grant, at } => {
                grants::end(state, &operator(&tenant), grant, at).await?;
                json!({ "grant": grant })
            }
            Self::EnrolCode(who) => {
                let user = user(state, &who).await?;
                let (code, expires_at) =
                    devices::code(state, &operator(&who.tenant), user.id).await?;
                json!({ "code": code, "expires_at": expires_at.to_string() })
            }
            Self::Devices { tenant } => list_devices(state, &tenant).await?,
            Self::DeviceRevoke(device) => device.set(state, DeviceState::Revoked).await?,
            Self::DeviceStolen(device) => device.set(state, DeviceState::Stolen).await?,
            Self::FormPublish { tenant, files } => publish(state, &tenant, &files).await?,
            Self::Import { tenant, files } => take_over(state, &tenant, &files).await?,
            Self::BackupDone { tenant, seq } => {
                tenants::backup_done(state, &operator(&tenant), Seq(seq)).await?;
                json!({ "seq": seq })
            }
            Self::NewEpoch { tenant } => {
                json!({ "epoch": tenants::new_epoch(state, &operator(&tenant)).await? })
            }
            Self::KeysRotate { void } => {
                let overlap_ms = if void { 0 } else { keyring::OVERLAP_MS };
                let (now, random) = (state.clock.now(), &*state.random);
                let kid = keyring::replace(&state.store, random, now, overlap_ms).await?;
                json!({ "kid": kid })
            }
        })
    }
}

impl Grant {
    async fn give(self, state: &AppState) -> anyhow::Result<Value> {
        let user = user(state, &self.who).await?;
        let new = grants::NewGrant {
            user: user.id,
            bucket: self.bucket,
            role: self.role,
            from_at: self.from,
            to_at: self.to,
            hold: !self.online,
        };
        let grant = grants::create(state, &operator(&self.who.tenant), new).await?;
        Ok(json!({ "grant": grant.id }))
    }
}

impl Device {
    async fn set(self, state: &AppState, next: DeviceState) -> anyhow::Result<Value> {
        devices::set_aside(state, &operator(&self.tenant), self.device, next).await?;
        Ok(json!({ "device": self.device }))
    }
}

fn operator(tenant: &Tenant) -> Actor {
    Actor { tenant: tenant.clone(), user: None }
}

async fn user(state: &AppState, who: &Who) -> anyhow::Result<User> {
    let mut tx = state.store.read().await?;
    let user = tx.users().find_by_login(&who.tenant, &who.login).await?;
    user.with_context(|| format!("{} has no user {}", who.tenant, who.login))
}

async fn activate(state: &AppState, who: &Who, active: bool) -> anyhow::Result<Value> {
    let user = user(state, who).await?;
    users::set_active(state, &operator(&who.tenant), user.id, active).await?;
    Ok(json!({ "user": user.id, "active": active }))
}

async fn list_devices(state: &AppState, tenant: &Tenant) -> anyhow::Result<Value> {
    let devices = state.store.read().await?.devices().list(tenant, None).await?;
    let rows = devices.iter().map(|device| {
        json!({ "device": device.id, "user": device.user, "name": device.name,
            "state": devices::state_word(device.state) })
    });
    Ok(rows.collect())
}

async fn publish(state: &AppState, tenant: &Tenant, files: &[PathBuf]) -> anyhow::Result<Value> {
    let mut published = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let row = forms::publish(state, &operator(tenant), &text)
            .await
            .with_context(|| format!("cannot publish {}", file.display()))?;
        published.push(json!({ "type": row.type_, "version": row.version }));
    }
    Ok(published.into())
}

async fn take_over(state: &AppState, tenant: &Tenant, files: &[PathBuf]) -> anyhow::Result<Value> {
    let mut told = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let file: import::ImportFile =
            serde_json::from_str(&text).with_context(|| format!("in {}", file.display()))?;
        let done = import::import(state, &operator(tenant), &file.records).await?;
        told.push(json!({ "changes": done.made.len(), "passed": done.passed,
            "quarantined": done.quarantined, "vanished": done.vanished }));
    }
    Ok(told.into())
}
