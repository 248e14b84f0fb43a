//! The load: tablets that write and sync until they are told to stop, and a person who edits and moves online.

use super::acks::Acks;
use super::dice::Dice;
use super::line::Line;
use super::site::{Person, Site};
use super::tablet::Tablet;
use anyhow::{Result, bail};
use axum::http::Method;
use serde_json::json;
use server::clock::{Clock as _, SystemClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use sync_protocol::id::{ChangeId, RecordId};
use sync_protocol::replica::Chance as _;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Records that are written to; few, so that tablets meet.
pub const RECORDS_MAX: usize = 32;
/// The longest pause of a tablet between two syncs, in milliseconds.
const PAUSE_MS: u64 = 60;
/// Requests after which a newcomer gives its place to the next.
const NEWCOMER_ROUNDS: usize = 5;
/// Unsent changes after which a tablet only syncs.
const OUTBOX_MAX: usize = 60;
/// Rounds in which a tablet must come to rest once all is well.
const ROUNDS_MAX: usize = 400;
/// How often a command is sent again until it is answered.
const REPEATS_MAX: usize = 2_000;

/// What the workers share.
#[derive(Clone, Debug)]
pub struct Shop {
    /// The bureau.
    pub site: Arc<Site>,
    /// What was promised.
    pub acks: Arc<Acks>,
    /// Set when the work is over.
    pub over: Arc<AtomicBool>,
    /// How often a command was answered with a failure of the server.
    pub failures: Arc<AtomicU32>,
}

impl Shop {
    /// Opens: the journal of promises stands in `folder`.
    pub fn open(site: Site, folder: &std::path::Path) -> Result<Self> {
        Ok(Self {
            site: Arc::new(site),
            acks: Arc::new(Acks::begin(&folder.join("acknowledged"))?),
            over: Arc::default(),
            failures: Arc::default(),
        })
    }

    /// Ends the work: everybody finishes what is under way.
    pub fn close(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    fn is_open(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    /// Lets a tablet write and sync over a line until the work is over.
    pub fn put_to_work(&self, mut tablet: Tablet, line: Line) -> JoinHandle<Result<Tablet>> {
        let shop = self.clone();
        tokio::spawn(async move {
            while shop.is_open() {
                if tablet.replica.outbox_len() < OUTBOX_MAX {
                    for _ in 0..=tablet.dice.below(3) {
                        tablet.write_something(RECORDS_MAX)?;
                    }
                }
                tablet.clock.now.0 = SystemClock.now();
                let now = tablet.clock.now.0;
                let status = tablet.exchange(&shop.site, &line, &shop.acks, now).await?;
                let pause =
                    if status == Some(200) { tablet.dice.below(PAUSE_MS) } else { PAUSE_MS };
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            Ok(tablet)
        })
    }

    /// Lets new databases of a person enter again and again, so that buckets are being paged all the time.
    pub fn put_newcomers(&self, person: Person, seed: u64, line: Line) -> JoinHandle<Result<()>> {
        let shop = self.clone();
        tokio::spawn(async move {
            for seed in seed.. {
                let mut tablet = Tablet::new(person, seed, SystemClock.now());
                for _ in 0..NEWCOMER_ROUNDS {
                    if !shop.is_open() {
                        return Ok(());
                    }
                    let now = SystemClock.now();
                    tablet.exchange(&shop.site, &line, &shop.acks, now).await?;
                    tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
                }
            }
            Ok(())
        })
    }

    /// Lets a supervisor edit and move records online until the work is over.
    ///
    /// A command without an answer is sent again with the same id: it must have one effect.
    pub fn put_online(&self, person: Person, seed: u64, line: Line) -> JoinHandle<Result<u32>> {
        let shop = self.clone();
        tokio::spawn(async move {
            let mut dice = Dice::new(seed);
            let mut done = 0;
            while shop.is_open() {
                let token = shop.site.token(person, SystemClock.now());
                let list = line.call(Method::GET, "/v1/records?limit=20", &token, None).await;
                let listed = list.map(|reply| reply.json()).unwrap_or_default();
                let records: Vec<RecordId> = listed
                    .get("records")
                    .and_then(serde_json::Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(|row| row.get("rec")?.as_str()?.parse().ok())
                    .collect();
                if let Some(rec) = dice.pick(&records).copied() {
                    shop.command(&mut dice, person, rec, &line).await?;
                    done += 1;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(done)
        })
    }

    async fn command(
        &self,
        dice: &mut Dice,
        person: Person,
        rec: RecordId,
        line: &Line,
    ) -> Result<()> {
        let id = ChangeId(Uuid::from_u128(dice.bits()));
        let id = ChangeId(uuid::Builder::from_random_bytes(*id.0.as_bytes()).into_uuid());
        let (path, body) = if dice.below(4) == 0 {
            let to = if dice.below(2) == 0 { "station:a" } else { "station:b" };
            (format!("/v1/records/{rec}/move"), json!({ "id": id, "to": [to] }))
        } else {
            let value = format!("{}", dice.below(1_000));
            let ops = json!([{ "o": "set", "f": "grade", "v": value, "x": [] }]);
            (format!("/v1/records/{rec}/changes"), json!({ "id": id, "ops": ops }))
        };
        for _ in 0..REPEATS_MAX {
            let token = self.site.token(person, SystemClock.now());
            let reply = line.call(Method::POST, &path, &token, Some(body.to_string())).await;
            match reply.as_ref().map(|reply| reply.status) {
                Some(200) => return self.acks.note(&[(id, None)]),
                Some(404) => return Ok(()),
                Some(500 | 503) | None => {}
                Some(other) => bail!("a command was answered {other}: {reply:?}"),
            }
            if reply.is_some() {
                self.failures.fetch_add(1, Ordering::SeqCst);
            }
            if !self.is_open() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("a command was never answered")
    }
}

/// Lets tablets sync without writing until none of them has anything to do.
pub async fn settle(shop: &Shop, tablets: &mut [Tablet], line: &Line) -> Result<()> {
    // Twice: what the last one pushed, the first ones pull after it.
    for _ in 0..2 {
        for tablet in &mut *tablets {
            for _ in 0..ROUNDS_MAX {
                tablet.clock.now.0 = SystemClock.now();
                let now = tablet.clock.now.0;
                tablet.exchange(&shop.site, line, &shop.acks, now).await?;
                if tablet.is_settled() {
                    break;
                }
            }
        }
    }
    Ok(())
}
