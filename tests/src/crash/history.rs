//! One seeded history of requests, and all that a server answered to it: the same on both databases.

use super::dice::Dice;
use super::line::{Line, Reply};
use super::look::{Look, look};
use super::node::Node;
use super::site::{Person, Right, Site, station};
use super::tablet::{Tablet, set};
use anyhow::{Context as _, Result};
use axum::http::Method;
use serde_json::{Value, json};
use server::clock::{Clock as _, ManualClock};
use std::sync::Arc;
use storage::{Options, Store};
use sync_protocol::clock::UnixMillis;
use sync_protocol::replica::{Chance as _, Refused};
use uuid::Uuid;

/// When histories begin.
const BEGIN: UnixMillis = UnixMillis(1_795_356_191_201);
/// Records that are written to.
const RECORDS_MAX: usize = 6;

/// What came of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Every status and body, in order.
    pub answers: Vec<(u16, String)>,
    /// The database at the end.
    pub found: Look,
}

/// Somebody's tablets, a server and a clock that stands still unless it is moved.
struct World {
    site: Site,
    line: Line,
    clock: Arc<ManualClock>,
    dice: Dice,
    tablets: Vec<Tablet>,
    answers: Vec<(u16, String)>,
}

/// Plays the history of `seed` on an empty database.
pub async fn play(options: &Options, seed: u64, steps: u32) -> Result<Told> {
    let store = Store::open(options).await?;
    let inspector: &[Right<'_>] = &[("a", "inspector"), ("b", "inspector")];
    let both: Vec<Right<'_>> =
        inspector.iter().copied().chain([("a", "supervisor"), ("b", "supervisor")]).collect();
    let rights = [both, inspector.to_vec(), inspector.to_vec(), vec![("b", "inspector")]];
    let site = Site::with(&store, &rights, BEGIN).await?;
    let clock = Arc::new(ManualClock::at(BEGIN));
    let node = Node::open(options, Arc::<ManualClock>::clone(&clock), seed).await?;
    let mut world = World {
        tablets: (1..).zip(&site.people).map(|(n, who)| Tablet::new(*who, n, BEGIN)).collect(),
        line: node.line(),
        site,
        clock,
        dice: Dice::new(seed),
        answers: Vec::new(),
    };
    for _ in 0..steps {
        world.step().await?;
    }
    let answers = world.answers;
    let found = look(&options.url).await?;
    node.state.store.close().await;
    store.close().await;
    Ok(Told { answers, found })
}

impl World {
    async fn step(&mut self) -> Result<()> {
        let roll = self.dice.below(20);
        let n = usize::try_from(self.dice.below(4))?;
        let supervisor = *self.site.people.first().context("a supervisor")?;
        match roll {
            0..=6 => self.write(n),
            7..=13 => self.sync(n, true).await?,
            14 => self.sync(n, false).await?,
            15 => self.clock.advance(i64::try_from(self.dice.below(90_000))?),
            16 => self.edit_online(supervisor).await?,
            17 => self.move_record(supervisor).await?,
            18 => self.look_into_quarantine(supervisor).await?,
            _ => self.show(n).await?,
        }
        self.clock.advance(7);
        for tablet in &mut self.tablets {
            tablet.pass(7);
        }
        Ok(())
    }

    fn write(&mut self, n: usize) {
        let grade = self.dice.below(8) == 0;
        let Some(tablet) = self.tablets.get_mut(n) else { return };
        let first = tablet.replica.records().next();
        // Only a supervisor may write this field: others find it in quarantine.
        let written = match first.filter(|_| grade) {
            Some(rec) => tablet.author(rec, vec![set("grade", json!("良"))]),
            None if n == 3 && first.is_none() => {
                tablet.begin(&station("b"), "題").map(|(_, id)| id)
            }
            None => tablet.write_something(RECORDS_MAX),
        };
        debug_assert!(!matches!(written, Err(Refused::Unfit(_))), "{written:?}");
    }

    async fn sync(&mut self, n: usize, arrives: bool) -> Result<()> {
        let Some(tablet) = self.tablets.get_mut(n) else { return Ok(()) };
        let Some((attempt, body)) = tablet.request() else { return Ok(()) };
        let token = self.site.token(tablet.person, self.clock.now());
        let reply = self.line.call(Method::POST, "/v1/sync", &token, Some(body)).await;
        let reply = reply.context("a server of this process answers")?;
        tablet.answer(attempt, Some(&reply).filter(|_| arrives));
        self.note(&reply);
        Ok(())
    }

    fn note(&mut self, reply: &Reply) {
        self.answers.push((reply.status, String::from_utf8_lossy(&reply.body).into_owned()));
    }

    async fn ask(
        &mut self,
        who: Person,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value> {
        let token = self.site.token(who, self.clock.now());
        let reply = self.line.call(method, path, &token, body.map(|body| body.to_string())).await;
        let reply = reply.context("a server of this process answers")?;
        self.note(&reply);
        Ok(reply.json())
    }

    async fn some_record(&mut self, who: Person) -> Result<Option<String>> {
        let list = self.ask(who, Method::GET, "/v1/records?limit=20", None).await?;
        let rows = list.get("records").and_then(Value::as_array).cloned().unwrap_or_default();
        let row = self.dice.pick(&rows);
        Ok(row.and_then(|row| row.get("rec")?.as_str()).map(str::to_owned))
    }

    fn change_id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.dice.bits().to_be_bytes()).into_uuid()
    }

    async fn edit_online(&mut self, who: Person) -> Result<()> {
        let Some(rec) = self.some_record(who).await? else { return Ok(()) };
        let value = format!("{}", self.dice.below(100));
        let ops = json!([{ "o": "set", "f": "grade", "v": value, "x": [] }]);
        let body = json!({ "id": self.change_id(), "ops": ops });
        let path = format!("/v1/records/{rec}/changes");
        self.ask(who, Method::POST, &path, Some(body.clone())).await?;
        self.ask(who, Method::POST, &path, Some(body)).await?;
        Ok(())
    }

    async fn move_record(&mut self, who: Person) -> Result<()> {
        let Some(rec) = self.some_record(who).await? else { return Ok(()) };
        let to = if self.dice.below(2) == 0 { json!(["station:a"]) } else { json!(["station:b"]) };
        let body = json!({ "id": self.change_id(), "to": to });
        self.ask(who, Method::POST, &format!("/v1/records/{rec}/move"), Some(body)).await?;
        Ok(())
    }

    async fn look_into_quarantine(&mut self, who: Person) -> Result<()> {
        let list = self.ask(who, Method::GET, "/v1/quarantine?state=open", None).await?;
        let first = list.get("changes").and_then(|rows| rows.get(0)?.get("q")?.as_str());
        let Some(q) = first.map(str::to_owned) else { return Ok(()) };
        let (verb, body) = if self.dice.below(3) == 0 {
            ("close", json!({ "why": "誤記" }))
        } else {
            ("release", json!({}))
        };
        self.ask(who, Method::POST, &format!("/v1/quarantine/{q}/{verb}"), Some(body)).await?;
        Ok(())
    }

    async fn show(&mut self, n: usize) -> Result<()> {
        let who = *self.site.people.get(n).context("a person")?;
        if let Some(rec) = self.some_record(who).await? {
            self.ask(who, Method::GET, &format!("/v1/records/{rec}"), None).await?;
            self.ask(who, Method::GET, &format!("/v1/records/{rec}/history"), None).await?;
        }
        Ok(())
    }
}
