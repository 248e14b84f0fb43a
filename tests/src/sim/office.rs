//! What people in the office and the operator do.

use super::eye::{Eye, Stored};
use super::house::{House, LATE_FORM, buckets, new_grant, tenant};
use super::oracle::canary;
use super::plan::Fault;
use super::verdict::{form_of, journal};
use super::world::World;
use anyhow::{Context as _, Result};
use serde_json::json;
use server::admin;
use server::sync::Command;
use std::collections::BTreeSet;
use storage::DeviceState;
use sync_protocol::clock::UnixMillis;
use sync_protocol::form::Role;
use sync_protocol::id::{ChangeId, QuarantineId};
use sync_protocol::record::{Record, RecordBody};
use sync_protocol::seal;
use sync_protocol::view::{self, View};

/// Reads a stored record.
pub(super) fn read(stored: &Stored) -> Result<Record> {
    let body: RecordBody = serde_json::from_slice(&stored.state)?;
    let meta = serde_json::from_slice(&stored.meta)?;
    Ok(Record::read(stored.kind.parse()?, stored.about, &body, meta)?)
}

impl World {
    /// Lets the office do something, if it does now.
    pub(super) async fn office_acts(&mut self) -> Result<bool> {
        let comes = |world: &mut Self, fault| {
            let rate = world.plan.rate(fault);
            world.dice.hits(rate)
        };
        if comes(self, Fault::Grants) {
            self.change_grants().await?;
        } else if comes(self, Fault::Moves) {
            self.move_a_record().await?;
        } else if comes(self, Fault::Seals) {
            self.seal_or_judge().await?;
        } else if comes(self, Fault::Console) {
            self.edit_at_the_console().await?;
        } else if comes(self, Fault::Quarantine) {
            self.look_into_quarantine().await?;
        } else if comes(self, Fault::RestartServer) {
            self.note("the server restarts");
            self.eye.shut().await?;
            self.house.restart().await?;
            self.eye.wake(&self.house.file()).await?;
        } else if comes(self, Fault::RestoreServer) {
            self.back_up_or_restore().await?;
        } else if comes(self, Fault::Revoke) {
            self.revoke().await?;
        } else if comes(self, Fault::LateForm) && self.dice.hits(150) {
            self.publish_late_form().await?;
        } else {
            return Ok(false);
        }
        self.eye.look().await?;
        Ok(true)
    }

    async fn change_grants(&mut self) -> Result<()> {
        self.oracle.grants_changed = true;
        let person = self.dice.below(self.plan.tablets);
        let user = *self.house.people.get(person).context("a person")?;
        let bucket = self.dice.pick(&buckets()).cloned().context("a bucket")?;
        let mut tx = self.house.state()?.store.read().await?;
        let grants = tx.grants().of_users(&tenant(), &[user]).await?;
        drop(tx);
        let open: Vec<_> = grants
            .iter()
            .filter(|grant| grant.bucket == bucket && grant.to_at.is_none_or(|to| to.0 > self.now))
            .collect();
        let ahead = if self.dice.hits(500) { 0 } else { self.dice.millis(1, 6 * 3_600_000) };
        let at = UnixMillis(self.now + ahead);
        let operator = House::operator();
        if let Some(grant) = open.first() {
            self.note(format!("the grant of person {person} on {bucket} ends in {ahead} ms"));
            let ended =
                admin::grants::end(self.house.state()?, &operator, grant.id, Some(at)).await;
            if let Err(problem) = ended {
                self.note(format!("refused: {problem}"));
            }
        } else {
            self.note(format!("person {person} is granted {bucket} in {ahead} ms"));
            let until = self.dice.hits(300).then(|| at.plus(self.dice.millis(1, 6 * 3_600_000)));
            let new = new_grant(user, bucket, Role::Inspector, Some(at), until, true);
            if let Err(problem) = admin::grants::create(self.house.state()?, &operator, new).await {
                self.note(format!("refused: {problem}"));
            }
        }
        Ok(())
    }

    async fn a_record(&mut self) -> Result<Option<Stored>> {
        let all = self.eye.records().await?;
        Ok(self.dice.pick(&all).cloned())
    }

    fn command_id(&mut self) -> ChangeId {
        let millis = u64::try_from(self.now).unwrap_or(0);
        let bytes = self.dice.uuid().into_bytes();
        let random: [u8; 10] = std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0));
        ChangeId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    async fn command(&mut self, what: String, command: Command) -> Result<()> {
        let told = match self.house.command(command).await? {
            Ok(done) => format!("{} changes, head {}", done.changes.len(), done.head),
            Err(refused) => refused,
        };
        self.note(format!("{what}: {told}"));
        Ok(())
    }

    async fn move_a_record(&mut self) -> Result<()> {
        let Some(stored) = self.a_record().await? else { return Ok(()) };
        let mut to = BTreeSet::new();
        for _ in 0..=self.dice.below(2) {
            to.extend(self.dice.pick(&buckets()).cloned());
        }
        let what = format!("{} moves to {to:?}", stored.rec);
        let (user, id) = (self.house.boss, self.command_id());
        self.command(what, Command::Move { user, rec: stored.rec, id, to }).await
    }

    async fn edit_at_the_console(&mut self) -> Result<()> {
        let Some(stored) = self.a_record().await? else { return Ok(()) };
        let record = read(&stored)?;
        let field =
            if self.dice.hits(300) && stored.kind == "visit" { "decision" } else { "title" };
        let live =
            record.fields.get(field).map(|register| register.live.keys().collect::<Vec<_>>());
        let mut x = if self.dice.hits(700) { live.unwrap_or_default() } else { Vec::new() };
        if self.dice.hits(100) {
            // Names of puts at other places have no effect.
            x.extend(record.fields.values().flat_map(|register| register.live.keys()));
        }
        let word = format!("{} 卓{}", canary(stored.rec), self.dice.below(100));
        let ops = json!([{"o": "set", "f": field, "v": word, "x": x}]);
        let any = self.house.people.get(self.dice.below(2)).copied();
        let user = any.filter(|_| self.dice.hits(400)).unwrap_or(self.house.boss);
        let seen_rv = self.dice.hits(500).then_some(stored.rv);
        let (rec, id) = (stored.rec, self.command_id());
        let what = format!("an edit of {rec} at the console");
        self.command(what, Command::Edit { user, rec, id, kind: None, ops, seen_rv }).await
    }

    async fn seal_or_judge(&mut self) -> Result<()> {
        let Some(stored) = self.a_record().await? else { return Ok(()) };
        let (user, rec, id) = (self.house.boss, stored.rec, self.command_id());
        let record = read(&stored)?;
        let beside: Vec<ChangeId> = record.beside.iter().map(|beside| beside.id).collect();
        let judged = self.dice.pick(&beside).copied().filter(|_| self.dice.hits(600));
        if let Some(change) = judged {
            let aside = self.dice.hits(400).then(|| "誤記".to_owned());
            let what = format!("{change} is judged, aside: {}", aside.is_some());
            return self.command(what, Command::Judge { user, rec, id, change, aside }).await;
        }
        if !record.seals.is_empty() && self.dice.hits(500) {
            let what = format!("the seal of {rec} is opened");
            let why = "訂正".to_owned();
            return self.command(what, Command::Unseal { user, rec, id, why }).await;
        }
        let view_hash = would_seal(&mut self.eye, &stored).await?;
        let what = format!("{rec} is sealed at {}", stored.rv);
        self.command(what, Command::Seal { user, rec, id, rv: stored.rv, view_hash }).await?;
        for (seal, text) in self.eye.sealed().await? {
            self.oracle.sealed.entry(seal).or_insert(text);
        }
        Ok(())
    }

    async fn look_into_quarantine(&mut self) -> Result<()> {
        let open = self.eye.quarantined().await?;
        let Some((q, code, _)) = self.dice.pick(&open).cloned() else { return Ok(()) };
        let (user, q) = (self.house.boss, QuarantineId(q));
        let command = if self.dice.hits(600) {
            Command::Release { user, q, why: None }
        } else {
            Command::Close { user, q, why: "重複".to_owned() }
        };
        self.command(format!("a supervisor looks at {q}, {code}"), command).await
    }

    async fn revoke(&mut self) -> Result<()> {
        let at = self.dice.below(self.tablets.len());
        let person = self.tablets.get(at).context("a tablet")?.person;
        if self.tablets.iter().filter(|tablet| !tablet.revoked).count() < 3 {
            return Ok(());
        }
        let id = super::house::device(person);
        let (state, operator) = (self.house.state()?, House::operator());
        let done = admin::devices::set_aside(state, &operator, id, DeviceState::Revoked).await;
        self.note(format!("the device of person {person} is revoked: {}", done.is_ok()));
        for tablet in self.tablets.iter_mut().filter(|tablet| tablet.person == person) {
            tablet.revoked = true;
        }
        Ok(())
    }

    /// The form of what was recorded without one is published.
    pub(super) async fn publish_late_form(&mut self) -> Result<()> {
        if self.oracle.late_form || !self.plan.has(Fault::LateForm) {
            return Ok(());
        }
        self.oracle.late_form = true;
        self.note("the late form is published");
        let state = self.house.state()?;
        admin::forms::publish(state, &House::operator(), LATE_FORM).await?;
        let means = (&state.store, UnixMillis(self.now));
        state.sync.form_published(means, &tenant(), "late".parse()?).await?;
        self.eye.look().await
    }

    /// Judges again what waited for the late form; tells how many changes were released.
    pub(super) async fn judge_late_again(&mut self) -> Result<usize> {
        let kind = "late".parse()?;
        let done = self
            .house
            .command(Command::FormPublished { kind, after: sync_protocol::id::Seq(0) })
            .await?;
        Ok(done.map_err(anyhow::Error::msg)?.fresh)
    }

    async fn back_up_or_restore(&mut self) -> Result<()> {
        if !self.oracle.backed_up || self.dice.hits(600) {
            let head = self.eye.head;
            self.eye.shut().await?;
            self.house.back_up().await?;
            self.eye.wake(&self.house.file()).await?;
            self.oracle.backed_up = true;
            self.note(format!("the server is backed up at {head}"));
            if self.dice.hits(700) {
                let seq = sync_protocol::id::Seq(head);
                admin::tenants::backup_done(self.house.state()?, &House::operator(), seq).await?;
                self.note("and the tablets may rely on it");
            }
            return Ok(());
        }
        let announced = self.dice.hits(700).then(|| self.dice.uuid());
        self.note(format!("the server is restored, announced: {}", announced.is_some()));
        let before = std::mem::take(&mut self.oracle.fragile);
        self.eye.shut().await?;
        self.house.restore(announced).await?;
        self.eye = Eye::open(&self.house.file()).await?;
        for id in before.into_iter().filter(|id| !self.eye.has.contains_key(id)) {
            self.oracle.authored.remove(&id);
        }
        self.oracle.forget_leases();
        self.oracle.sealed = self.eye.sealed().await?;
        self.forget_what_the_backup_lacks().await
    }

    /// Grants, forms and revocations that were made after the backup are gone with it.
    async fn forget_what_the_backup_lacks(&mut self) -> Result<()> {
        let mut tx = self.house.state()?.store.read().await?;
        for tablet in &mut self.tablets {
            let device = super::house::device(tablet.person);
            let row = tx.devices().find(&tenant(), device).await?.context("a device")?;
            tablet.revoked = row.state != DeviceState::Active;
        }
        let forms = tx.forms().current(&tenant()).await?;
        self.oracle.late_form = forms.iter().any(|form| form.type_.as_str() == "late");
        Ok(())
    }
}

/// The hash of the view that a seal made now would freeze.
pub(super) async fn would_seal(eye: &mut Eye, stored: &Stored) -> Result<String> {
    let kind = stored.kind.parse()?;
    let Some(form) = form_of(&stored.kind) else { return Ok(String::new()) };
    let journal = journal(eye, stored.rec).await?;
    let covered: BTreeSet<ChangeId> = seal::covers(&kind, &journal).into_iter().collect();
    let keeps = super::verdict::keeps_bases(form);
    let record = seal::show(&kind, &journal, &covered, &keeps)?;
    let view = View::of(&record, form);
    Ok(view::snapshot(stored.rec, &kind, form.version, &view).view_hash)
}
