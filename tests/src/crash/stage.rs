//! A server, a clock that stands still and a few tablets: where directed histories are played.

use super::line::{Line, Reply};
use super::look::{Look, look};
use super::node::Node;
use super::site::{Person, Right, Site};
use super::tablet::Tablet;
use anyhow::{Context as _, Result};
use axum::http::Method;
use serde_json::Value;
use server::clock::{Clock as _, ManualClock};
use std::sync::Arc;
use storage::testing::{self, TestStore};
use sync_protocol::clock::UnixMillis;

/// When histories begin.
pub const BEGIN: UnixMillis = UnixMillis(1_795_356_191_201);
/// Rounds in which a tablet comes to rest.
const ROUNDS_MAX: usize = 40;

/// The one who supervises both stations.
pub const SUPERVISOR: usize = 0;
/// The one who inspects in station b only.
pub const ONLY_B: usize = 1;
/// One who inspects in both stations.
pub const FIRST: usize = 2;
/// Another who inspects in both stations.
pub const SECOND: usize = 3;

/// A server on a fresh SQLite database with four people.
#[derive(Debug)]
pub struct Stage {
    /// The server.
    pub node: Node,
    /// The bureau.
    pub site: Site,
    /// The server's clock.
    pub clock: Arc<ManualClock>,
    line: Line,
    test: TestStore,
}

impl Stage {
    /// Opens.
    pub async fn open() -> Result<Self> {
        let test = testing::sqlite().await.map_err(anyhow::Error::from_boxed)?;
        let both: &[Right<'_>] = &[("a", "inspector"), ("b", "inspector")];
        let above = [both, &[("a", "supervisor"), ("b", "supervisor")]].concat();
        let rights = [above, vec![("b", "inspector")], both.to_vec(), both.to_vec()];
        let site = Site::with(&test.store, &rights, BEGIN).await?;
        let clock = Arc::new(ManualClock::at(BEGIN));
        let node = Node::open(&test.options, Arc::<ManualClock>::clone(&clock), 1).await?;
        let line = node.line();
        Ok(Self { node, site, clock, line, test })
    }

    /// The n-th person.
    pub fn person(&self, n: usize) -> Result<Person> {
        self.site.people.get(n).copied().context("there are four people")
    }

    /// A new tablet of the n-th person.
    pub fn tablet(&self, n: usize) -> Result<Tablet> {
        let seed = u64::try_from(n)? + 1;
        Ok(Tablet::new(self.person(n)?, seed, self.clock.now()))
    }

    /// Ends all grants of a person, a second ago.
    pub async fn end_grants(&self, person: Person) -> Result<()> {
        let mut tx = self.node.state.store.write().await?;
        for grant in tx.grants().of_users(&self.site.tenant, &[person.user]).await? {
            tx.grants().end(&self.site.tenant, grant.id, self.clock.now()).await?;
        }
        tx.commit().await?;
        self.clock.advance(1_000);
        Ok(())
    }

    /// Calls in the name of a person.
    pub async fn call(
        &self,
        who: Person,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Reply> {
        let token = self.site.token(who, self.clock.now());
        let reply = self.line.call(method, path, &token, body.map(|body| body.to_string())).await;
        reply.context("a server of this process answers")
    }

    /// Sends the text of a request.
    pub async fn send(&self, who: Person, body: String) -> Result<Reply> {
        let token = self.site.token(who, self.clock.now());
        let reply = self.line.call(Method::POST, "/v1/sync", &token, Some(body)).await;
        reply.context("a server of this process answers")
    }

    /// One request of a tablet; its answer may be lost. Tells the answer; none when nothing was sent.
    pub async fn round(&self, tablet: &mut Tablet, arrives: bool) -> Result<Option<Reply>> {
        let Some((attempt, body)) = tablet.request() else { return Ok(None) };
        let reply = self.send(tablet.person, body).await?;
        tablet.answer(attempt, Some(&reply).filter(|_| arrives));
        Ok(Some(reply))
    }

    /// Syncs a tablet until it has nothing to do.
    pub async fn sync(&self, tablet: &mut Tablet) -> Result<()> {
        for _ in 0..ROUNDS_MAX {
            self.clock.advance(1);
            self.round(tablet, true).await?;
            if tablet.is_settled() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The database as it is.
    pub async fn look(&self) -> Result<Look> {
        look(&self.test.options.url).await
    }
}
