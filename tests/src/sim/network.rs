//! The network between tablets and the server: loses, doubles, delays, and lets small bodies through.

use super::house;
use super::oracle::Called;
use super::plan::Fault;
use super::world::{Event, World};
use anyhow::{Context as _, Result, ensure};
use sync_protocol::id::{AttemptId, DeviceId};
use sync_protocol::wire::{INFLATED_BYTES_MAX, Limits};

/// Old requests that are kept to be sent again.
const KEPT_MAX: usize = 40;

impl World {
    fn latency(&mut self) -> i64 {
        if self.dice.hits(self.plan.rate(Fault::Delay)) {
            self.dice.millis(100, 90_000)
        } else {
            self.dice.millis(5, 200)
        }
    }

    /// A tablet sends a request.
    pub(super) fn send(
        &mut self,
        at: usize,
        run: u32,
        attempt: AttemptId,
        body: String,
    ) -> Result<()> {
        let tablet = self.tablets.get(at).context("a tablet")?;
        if !tablet.online {
            return Ok(());
        }
        let pushed = body.matches("\"ops\":").count();
        self.note(format!("tablet {at} sends {} bytes, {pushed} changes", body.len()));
        if self.dice.hits(self.plan.rate(Fault::DropRequest)) {
            self.note("the request is lost");
            return Ok(());
        }
        if self.dice.hits(self.plan.rate(Fault::Duplicate)) {
            let delay = self.latency();
            self.foresee(delay, Event::Request { tablet: at, run, attempt, body: body.clone() });
        }
        let delay = self.latency();
        self.foresee(delay, Event::Request { tablet: at, run, attempt, body });
        Ok(())
    }

    /// A request reaches what stands before the server.
    pub(super) async fn request(
        &mut self,
        at: usize,
        run: u32,
        attempt: AttemptId,
        body: &str,
    ) -> Result<()> {
        let person = self.tablets.get(at).context("a tablet")?.person;
        let (status, answer) = match self.proxy(body) {
            Some(refused) => refused,
            None => self.serve(house::device(person), body).await?,
        };
        self.note(format!("the server answers tablet {at}: {status}, {} bytes", answer.len()));
        let online = self.tablets.get(at).is_some_and(|tablet| tablet.online);
        if !online || self.dice.hits(self.plan.rate(Fault::DropAnswer)) {
            self.note("the answer is lost");
            return Ok(());
        }
        let delay = self.latency();
        self.foresee(delay, Event::Answer { tablet: at, run, attempt, status, body: answer });
        Ok(())
    }

    /// What a proxy, or a server with a bug, refuses.
    fn proxy(&mut self, body: &str) -> Option<(u16, Vec<u8>)> {
        if let Some(most) = self.plan.body_bytes_max.filter(|most| body.len() > *most) {
            let limits = Limits { max_body: most, ..Limits::default() };
            let told = serde_json::json!({"type": "/problems/too-large", "limits": limits});
            let silent = self.dice.hits(500);
            return Some((413, if silent { Vec::new() } else { told.to_string().into_bytes() }));
        }
        let (poison, left) = self.oracle.poison.as_mut()?;
        if !body.contains(&format!("{{\"id\":\"{poison}\"")) {
            return None;
        }
        if body.matches("\"ops\":").count() == 1 {
            if *left == 0 {
                return None;
            }
            *left -= 1;
        }
        Some((500, br#"{"type":"/problems/internal"}"#.to_vec()))
    }

    /// The server answers a request; what it does and says is looked at.
    pub(super) async fn serve(&mut self, device: DeviceId, body: &str) -> Result<(u16, Vec<u8>)> {
        ensure!(body.len() <= INFLATED_BYTES_MAX, "a request of {} bytes", body.len());
        let called = Called::read(device, body)?;
        ensure!(called.changes <= Limits::default().max_push, "{} changes", called.changes);
        let is_replay = self.oracle.answered.contains(&called.hash);
        let before = if is_replay { Some(self.eye.fingerprint().await?) } else { None };
        let (status, answer) = self.house.sync(device, &self.with_page(body)).await?;
        self.tally.requests += 1;
        self.eye.look().await?;
        if let Some(before) = before {
            let after = self.eye.fingerprint().await?;
            ensure!(before == after, "a replay changed the server: {before:?}, {after:?}");
        }
        self.check_scope(device, &answer).await?;
        if status == 200 {
            self.oracle.answered.insert(called.hash);
            self.oracle.note_lease(&called, &answer)?;
        }
        if self.plan.has(Fault::Replay) && self.oracle.requests.len() < KEPT_MAX {
            self.oracle.requests.push((device, body.to_owned()));
        }
        Ok((status, answer))
    }

    /// The request as the world's pages want it: their size takes the place of the tablet's own.
    fn with_page(&self, body: &str) -> String {
        const WANT: &str = "\"want\":{";
        let (Some(bytes), Some((head, want))) = (self.plan.page_bytes, body.split_once(WANT))
        else {
            return body.to_owned();
        };
        let (told, rest) = want.split_once('}').unwrap_or((want, ""));
        let kept =
            told.split(',').filter(|member| !member.is_empty() && !member.contains("max_bytes"));
        let members: Vec<String> = std::iter::once(format!("\"max_bytes\":{bytes}"))
            .chain(kept.map(str::to_owned))
            .collect();
        format!("{head}{WANT}{}}}{rest}", members.join(","))
    }

    /// An old request is sent again, by nobody who waits for the answer.
    pub(super) async fn replay(&mut self) -> Result<()> {
        let at = self.dice.below(self.oracle.requests.len());
        let Some((device, body)) = self.oracle.requests.get(at).cloned() else { return Ok(()) };
        let (status, _) = self.serve(device, &body).await?;
        self.note(format!("an old request of {device} is sent again: {status}"));
        Ok(())
    }
}
