//! The journal of acknowledgements: what a server has promised, durable before anybody relies on it.

use anyhow::Result;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use sync_protocol::change::Change;
use sync_protocol::id::ChangeId;
use sync_protocol::value::{Hash, hash_of, hash_text};
use sync_protocol::wire::{SyncAnswer, SyncRequest};

/// What was acknowledged, with the hash of its frozen bytes where the author has them.
#[derive(Debug)]
pub struct Acks {
    kept: Mutex<(File, BTreeMap<ChangeId, Option<Hash>>)>,
}

impl Acks {
    /// Begins a journal in this file.
    pub fn begin(path: &Path) -> Result<Self> {
        Ok(Self { kept: Mutex::new((File::create(path)?, BTreeMap::new())) })
    }

    /// Notes what a whole answer to a request acknowledges; tells how many changes it left without a result.
    pub fn note_answer(&self, request: &str, answer: &[u8]) -> Result<usize> {
        let request: SyncRequest<'_> = serde_json::from_str(request)?;
        let answer: SyncAnswer = serde_json::from_slice(answer)?;
        let mut unanswered = 0;
        let mut noted = Vec::new();
        for (n, raw) in (request.push.from..).zip(&request.push.changes) {
            let change = Change::parse(raw.get()).map_err(|refusal| {
                anyhow::anyhow!("a tablet pushes what it cannot read: {}", refusal.why)
            })?;
            if answer.results.iter().any(|result| result.n == Some(n)) {
                noted.push((change.id, Some(hash_of(raw.get().as_bytes()))));
            } else {
                unanswered += 1;
            }
        }
        self.note(&noted)?;
        Ok(unanswered)
    }

    /// Notes acknowledged changes; durable when this returns.
    pub fn note(&self, acknowledged: &[(ChangeId, Option<Hash>)]) -> Result<()> {
        if acknowledged.is_empty() {
            return Ok(());
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, all) = &mut *kept;
        let mut lines = String::new();
        for (id, hash) in acknowledged {
            let told = hash.as_ref().map(hash_text).unwrap_or_default();
            lines.extend([id.to_string(), " ".to_owned(), told, "\n".to_owned()]);
            all.insert(*id, *hash);
        }
        file.write_all(lines.as_bytes())?;
        file.sync_data()?;
        Ok(())
    }

    /// What has been acknowledged until now.
    pub fn all(&self) -> BTreeMap<ChangeId, Option<Hash>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}
