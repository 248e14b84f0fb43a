//! What people with tablets do.

use super::house::{self, buckets, new_grant};
use super::oracle::canary;
use super::plan::Fault;
use super::tablet::Tablet;
use super::world::{Event, World};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use server::admin;
use sync_protocol::change::{Home, Path, RowPath};
use sync_protocol::form::Role;
use sync_protocol::id::{RecordId, RecordType};
use sync_protocol::record::Record;
use sync_protocol::replica::{Draft, Edit, Input};
use sync_protocol::text::sentences;

/// The most tablets of a world, copies among them.
const TABLETS_MAX: usize = 6;
/// The longest narrative that people write here, in bytes: worlds stay small.
const NARRATIVE_BYTES_MAX: usize = 400;

impl World {
    /// People are enrolled and granted what they begin with.
    pub(super) async fn people_begin(&mut self) -> Result<()> {
        for at in 0..self.plan.tablets {
            let user = *self.house.people.get(at).context("a person")?;
            let granted = self.dice.below(7) + 1;
            for (place, bucket) in buckets().into_iter().enumerate() {
                if granted >> place & 1 == 1 {
                    let hold = !self.dice.hits(60);
                    let role = if self.dice.hits(150) { Role::Reader } else { Role::Inspector };
                    let new = new_grant(user, bucket, role, None, None, hold);
                    admin::grants::create(self.house.state()?, &house::House::operator(), new)
                        .await?;
                }
            }
            let mut tablet = Tablet::begin(at, user, self.now, &mut self.dice);
            if self.plan.has(Fault::Clocks) {
                tablet.offset = self.dice.millis(-172_800_000, 172_800_000);
            }
            self.tablets.push(tablet);
            self.input(at, Input::Start)?;
            self.set_online(at, true)?;
        }
        Ok(())
    }

    fn a_tablet(&mut self) -> usize {
        self.dice.below(self.tablets.len())
    }

    /// Somebody does something.
    pub(super) async fn act(&mut self) -> Result<()> {
        let at = self.a_tablet();
        if self.office_acts().await? {
            return Ok(());
        }
        if self.plan.has(Fault::Rogue) && self.dice.hits(self.plan.rate(Fault::Rogue)) {
            return self.rogue().await;
        }
        if self.plan.has(Fault::Replay) && self.dice.hits(self.plan.rate(Fault::Replay)) {
            return self.replay().await;
        }
        if self.tablet_suffers(at)? {
            return Ok(());
        }
        match self.dice.below(20) {
            0..=3 => self.begin_visit(at),
            4 => self.begin_note(at),
            5 => self.begin_late(at),
            6 | 7 => {
                self.note(format!("tablet {at} is asked to sync"));
                self.input(at, Input::SyncWanted)
            }
            8 => self.input(at, Input::Poked),
            _ => self.edit(at),
        }
    }

    /// What goes wrong with a tablet, if something does now.
    fn tablet_suffers(&mut self, at: usize) -> Result<bool> {
        let rate = |world: &Self, fault| world.plan.rate(fault);
        if self.dice.hits(rate(self, Fault::Cut)) {
            self.note(format!("tablet {at} loses its network"));
            self.set_online(at, false)?;
            let away = self.dice.millis(1_000, 7_200_000);
            self.foresee(away, Event::Online { tablet: at });
        } else if self.dice.hits(rate(self, Fault::Clocks)) {
            let offset = self.dice.millis(-172_800_000, 172_800_000);
            self.note(format!("the clock of tablet {at} jumps to {offset}"));
            let tablet = self.tablets.get_mut(at).context("a tablet")?;
            tablet.offset = offset;
        } else if self.dice.hits(rate(self, Fault::CrashTablet)) {
            let now = self.now;
            let tablet = self.tablets.get_mut(at).context("a tablet")?;
            tablet.boot += 1;
            tablet.booted_at = now;
            self.crash(at, "and reboots")?;
        } else if self.dice.hits(rate(self, Fault::CloneTablet)) {
            self.clone_tablet(at)?;
        } else if self.dice.hits(rate(self, Fault::RestoreTablet)) {
            self.restore_tablet(at)?;
        } else if self.dice.hits(rate(self, Fault::Poison)) {
            let replica = self.tablets.get(at).and_then(|tablet| tablet.replica.as_ref());
            let id = replica.and_then(|replica| replica.own_changes().find(|own| own.waits));
            if let Some(id) = id.map(|own| own.id) {
                self.note(format!("the server will fail at {id}"));
                self.oracle.poison = Some((id, 2));
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn clone_tablet(&mut self, at: usize) -> Result<()> {
        if self.tablets.len() >= TABLETS_MAX {
            return Ok(());
        }
        let mut copy = self.tablets.get(at).context("a tablet")?.clone();
        copy.stop();
        copy.boot += 100;
        let new = self.tablets.len();
        self.note(format!("tablet {at} is copied; the copy is tablet {new}"));
        self.tablets.push(copy);
        self.start(new)
    }

    fn restore_tablet(&mut self, at: usize) -> Result<()> {
        let tablet = self.tablets.get_mut(at).context("a tablet")?;
        let Some(saved) = tablet.saved.take() else {
            tablet.saved = Some(tablet.rows.clone());
            self.note(format!("the disk of tablet {at} is copied"));
            return Ok(());
        };
        tablet.stop();
        tablet.go_back_to(saved);
        self.note(format!("tablet {at} goes back to an older copy of its disk"));
        self.account_for_lost_disk();
        self.start(at)
    }

    /// What was only on a disk that is gone is lost by no fault of ours; what only the server has is noted.
    fn account_for_lost_disk(&mut self) {
        let kept = self.on_tablets();
        let gone: Vec<_> = (self.oracle.authored.iter())
            .filter(|(_, hash)| !kept.contains(*hash))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            if self.eye.has.contains_key(&id) {
                self.oracle.fragile.insert(id);
            } else {
                self.oracle.authored.remove(&id);
            }
        }
    }

    pub(super) fn new_record(&mut self) -> RecordId {
        let rec = RecordId(self.dice.uuid());
        self.oracle.canaries.insert(canary(rec), rec);
        rec
    }

    fn begin_visit(&mut self, at: usize) -> Result<()> {
        let bucket = self.dice.pick(&buckets()).cloned().context("a bucket")?;
        let rec = self.new_record();
        let edits = vec![Edit::New(Home::In(bucket)), title(rec, self.dice.below(100))];
        self.author(at, rec, "visit", edits)
    }

    fn begin_late(&mut self, at: usize) -> Result<()> {
        if !self.plan.has(Fault::LateForm) {
            return self.begin_visit(at);
        }
        let bucket = self.dice.pick(&buckets()).cloned().context("a bucket")?;
        let rec = self.new_record();
        let edits = vec![Edit::New(Home::In(bucket)), title(rec, self.dice.below(100))];
        self.author(at, rec, "late", edits)
    }

    fn begin_note(&mut self, at: usize) -> Result<()> {
        let Some((subject, _)) = self.shown(at, "visit") else { return self.begin_visit(at) };
        let rec = self.new_record();
        let edits = vec![Edit::New(Home::About(subject)), title(rec, self.dice.below(100))];
        self.author(at, rec, "note", edits)
    }

    /// A record that a tablet shows.
    fn shown(&mut self, at: usize, kind: &str) -> Option<(RecordId, Record)> {
        let replica = self.tablets.get(at)?.replica.as_ref()?;
        let all: Vec<(RecordId, Record)> = replica
            .records()
            .filter_map(|rec| Some((rec, replica.displayed(rec)?)))
            .filter(|(_, record)| kind.is_empty() || record.kind.as_str() == kind)
            .collect();
        self.dice.pick(&all).cloned()
    }

    fn edit(&mut self, at: usize) -> Result<()> {
        let Some((rec, record)) = self.shown(at, "") else { return self.begin_visit(at) };
        let mut edits = Vec::new();
        for _ in 0..=self.dice.below(3) {
            let edit = self.an_edit(rec, &record);
            edits.push(edit);
        }
        let kind = record.kind.as_str().to_owned();
        self.author(at, rec, &kind, edits)
    }

    fn an_edit(&mut self, rec: RecordId, record: &Record) -> Edit {
        let path = |field: &str| Path::Field(field.to_owned());
        let word = format!("{} 値{}", canary(rec), self.dice.below(50));
        if record.kind.as_str() != "visit" {
            return match self.dice.below(4) {
                0 => self.narrative(rec, record, "opinion"),
                1 => Edit::Del { why: None },
                _ => Edit::Set(path("title"), json!(word)),
            };
        }
        let row = RowPath { field: "findings".to_owned(), row: format!("r{}", self.dice.below(3)) };
        let there = record
            .lists
            .get("findings")
            .and_then(|rows| rows.get(&row.row))
            .is_some_and(|row| !row.presences.is_empty());
        match self.dice.below(14) {
            0..=2 => Edit::Set(path("title"), json!(word)),
            3 | 4 => self.narrative(rec, record, "opinion"),
            5 => {
                let result = ["bad", "good", "na"].get(self.dice.below(3)).copied();
                Edit::Set(path("checks.F07.result"), json!(result))
            }
            6 => self.narrative(rec, record, "checks.F07.remark"),
            7 => Edit::Set(path("unknown.field"), json!({"of": word})),
            8 if there => Edit::Rem { at: row, why: Some(word) },
            9 if there => Edit::Pos { at: row, pos: format!("b{}", self.dice.below(9)) },
            8..=10 if there => Edit::Set(Path::Cell(row, "severity".to_owned()), json!(word)),
            11 => {
                let row = format!("p{}", self.dice.below(4));
                let at = RowPath { field: "received_by".into(), row };
                Edit::Add { at, pos: None, value: Some(json!({"name": word})) }
            }
            12 if !record.deletions.is_empty() => Edit::Undel,
            12 => Edit::Del { why: Some(word) },
            13 => Edit::Set(path("decision"), json!(word)),
            _ => Edit::Add { at: row, pos: Some(format!("a{}", self.dice.below(9))), value: None },
        }
    }

    fn narrative(&mut self, rec: RecordId, record: &Record, field: &str) -> Edit {
        let shown = record.fields.get(field).and_then(|register| register.live.values().next());
        let shown = shown.and_then(|sibling| sibling.value.as_str()).unwrap_or_default();
        let mut parts: Vec<String> = sentences(shown).map(str::to_owned).collect();
        let at = self.dice.below(parts.len() + 1);
        if at < parts.len() && (self.dice.hits(300) || shown.len() > NARRATIVE_BYTES_MAX) {
            parts.remove(at);
        }
        let at = at.min(parts.len());
        parts.insert(at, format!("{} 文{}。", canary(rec), self.dice.below(1_000)));
        Edit::Set(Path::Field(field.to_owned()), Value::String(parts.concat()))
    }

    pub(super) fn author(
        &mut self,
        at: usize,
        rec: RecordId,
        kind: &str,
        edits: Vec<Edit>,
    ) -> Result<()> {
        let kind: RecordType = kind.parse()?;
        let count = edits.len();
        let draft = Draft { rec, kind, sv: 1, edits };
        let tablet = self.tablets.get_mut(at).context("a tablet")?;
        let clock = tablet.clock(self.now);
        let Some(replica) = &mut tablet.replica else { return Ok(()) };
        match replica.author(&draft, &clock, &mut self.dice) {
            Err(refused) => self.note(format!("tablet {at}: {refused}")),
            Ok((id, step)) => {
                self.note(format!("tablet {at} authors {id}: {count} ops on {} {rec}", draft.kind));
                self.execute(at, step)?;
                self.check_tablet(at)?;
            }
        }
        Ok(())
    }
}

fn title(rec: RecordId, number: usize) -> Edit {
    Edit::Set(Path::Field("title".to_owned()), json!(format!("{} 題{number}", canary(rec))))
}
