//! Opening the tablet of a folder, and finding its records by what a person types.

use anyhow::Result;
use std::path::PathBuf;
use std::sync::Arc;
use sync_protocol::id::RecordId;
use sync_protocol::replica::Chance as _;
use tablet::{Clock, OsChance, ShiftedClock, SystemClock, Tablet, TabletError};

/// Where the tablet lies and how its clock is set.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    pub(super) clock_shift_s: i64,
}

impl Place {
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        let run = format!("r_{:032x}", OsChance.bits());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(run));
        if self.clock_shift_s == 0 {
            return clock;
        }
        Arc::new(ShiftedClock::new(clock, self.clock_shift_s.saturating_mul(1_000)))
    }

    pub(super) async fn open(&self) -> Result<Tablet> {
        Ok(Tablet::open(&self.dir, self.clock()).await?)
    }
}

/// Finds the one record whose id begins or ends with `text`.
pub(super) fn find(tablet: &Tablet, text: &str) -> Result<RecordId> {
    let mut found = Vec::new();
    for rec in tablet.replica().records() {
        let id = rec.to_string();
        if id == text {
            return Ok(rec);
        }
        if !text.is_empty() && (id.starts_with(text) || id.ends_with(text)) {
            found.push(rec);
        }
    }
    let asked = |what: String| Err(TabletError::Asked(what).into());
    match found.as_slice() {
        [one] => Ok(*one),
        [] => asked(format!("there is no record {text} on this tablet: see `genba-tablet list`")),
        several => asked(format!("{} records match {text}: give more of the id", several.len())),
    }
}
