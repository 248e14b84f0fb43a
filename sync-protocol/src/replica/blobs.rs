//! The blobs that own changes name: which of them the server needs, and when the tablet may let go of one.

use super::state::Attempt;
use super::{KEEP_RECEIVED_MS, Notice, Output, Replica};
use crate::blob::{BlobHash, BlobRef, MediaType};
use crate::clock::UnixMillis;
use crate::id::RecordId;
use crate::wire::{BLOBS_MAX, Blobs, Status};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How a blob of the tablet stands with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlobState {
    /// The server has not spoken of it: its change waits to be sent, or was received a moment ago.
    Waiting,
    /// To be uploaded.
    Needed,
    /// Uploaded from here, and not yet told to be stored.
    Uploaded,
    /// Stored at the server, verified and durable there.
    Had,
    /// Its bytes are not on this tablet.
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Blob {
    bytes: u64,
    #[serde(rename = "mime", with = "mime")]
    kind: MediaType,
    state: BlobState,
    /// Whether the server has spoken of it since its change was received.
    asked: bool,
    /// When the server was first heard to have it, in the server's time, and what was durable then.
    had_at: Option<UnixMillis>,
    durable_then: Option<i64>,
}

/// A blob that own changes name, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnBlob {
    /// What it is.
    pub blob: BlobRef,
    /// How it stands with the server.
    pub state: BlobState,
    /// The record of the first change that names it; none when it is to be let go of.
    pub rec: Option<RecordId>,
    /// Whether every record that names it was left: kept for the server's sake, and not to be shown.
    pub sealed: bool,
}

/// A media type by its name.
mod mime {
    use crate::blob::MediaType;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(kind: &MediaType, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.mime())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<MediaType, D::Error> {
        let name = String::deserialize(from)?;
        MediaType::of_mime(&name).ok_or_else(|| D::Error::custom("not a media type of a blob"))
    }
}

impl Blob {
    const fn new(named: BlobRef) -> Self {
        Self {
            bytes: named.bytes,
            kind: named.kind,
            state: BlobState::Waiting,
            asked: false,
            had_at: None,
            durable_then: None,
        }
    }

    /// Whether the server is still to get it from here.
    const fn is_unsent(&self) -> bool {
        matches!(self.state, BlobState::Waiting | BlobState::Needed | BlobState::Uploaded)
    }
}

impl Replica {
    /// The blobs that own changes name.
    pub fn blobs(&self) -> impl Iterator<Item = OwnBlob> + '_ {
        self.blobs.iter().map(|(sha256, blob)| {
            let orders = self.index.naming.get(sha256).into_iter().flatten();
            let mut metas = orders.filter_map(|order| self.own.get(order)).map(|own| &own.meta);
            OwnBlob {
                blob: BlobRef { sha256: *sha256, bytes: blob.bytes, kind: blob.kind },
                state: blob.state,
                rec: metas.clone().next().map(|meta| meta.rec),
                sealed: metas.all(|meta| meta.sealed || self.is_hidden(meta.rec)),
            }
        })
    }

    /// How a blob stands with the server; none when no own change names it.
    pub fn blob_state(&self, sha256: BlobHash) -> Option<BlobState> {
        self.index.naming.contains_key(&sha256).then(|| self.blobs.get(&sha256))?.map(|b| b.state)
    }

    /// How many blobs the server is still to get from here.
    pub fn unsent_blobs(&self) -> usize {
        self.unsent().count()
    }

    /// Notes the blobs of a change that is kept.
    pub(super) fn name_blobs(&mut self, order: u64) {
        let Some(change) = self.own.get(&order).and_then(|own| own.change.as_ref()) else { return };
        let named: Vec<BlobRef> = BlobRef::named(change).collect();
        for named in named {
            self.index.naming.entry(named.sha256).or_default().insert(order);
            let blob = self.blobs.entry(named.sha256).or_insert_with(|| {
                self.dirty.blobs.insert(named.sha256);
                Blob::new(named)
            });
            // What was lost is there again when it is named again.
            if blob.state == BlobState::Lost {
                *blob = Blob::new(named);
                self.dirty.blobs.insert(named.sha256);
            }
        }
    }

    /// A change is let go of: a blob that nothing names any more goes too.
    pub(super) fn unname_blobs(&mut self, order: u64) {
        for sha256 in self.named_by(order) {
            let Some(orders) = self.index.naming.get_mut(&sha256) else { continue };
            orders.remove(&order);
            if orders.is_empty() {
                self.index.naming.remove(&sha256);
                self.outputs.push(Output::DropBlob { sha256 });
            }
        }
    }

    /// Asks again for what a crash may have kept from being dropped.
    pub(super) fn drop_unnamed(&mut self) {
        let unnamed = self.blobs.keys().filter(|sha256| !self.index.naming.contains_key(sha256));
        self.outputs.extend(unnamed.map(|sha256| Output::DropBlob { sha256: *sha256 }));
    }

    pub(super) fn blob_dropped(&mut self, sha256: BlobHash) {
        if !self.index.naming.contains_key(&sha256) && self.blobs.remove(&sha256).is_some() {
            self.dirty.blobs.insert(sha256);
        }
    }

    pub(super) fn blob_uploaded(&mut self, sha256: BlobHash) {
        if self.blobs.get(&sha256).is_some_and(|blob| blob.state == BlobState::Needed) {
            self.set_blob_state(sha256, BlobState::Uploaded);
        }
    }

    pub(super) fn blob_lost(&mut self, sha256: BlobHash) {
        if self.blobs.get(&sha256).is_some_and(Blob::is_unsent) {
            self.set_blob_state(sha256, BlobState::Lost);
        }
    }

    /// The blobs that the next attempt asks about: first those of which an answer is expected, the oldest first.
    pub(super) fn blobs_to_ask(&self) -> Vec<BlobHash> {
        let mut open: Vec<(u8, u64, BlobHash)> = self
            .blobs
            .iter()
            .filter_map(|(sha256, blob)| {
                let rank = match blob.state {
                    BlobState::Uploaded => 0,
                    BlobState::Waiting => 1,
                    BlobState::Needed => 2,
                    BlobState::Had | BlobState::Lost => return None,
                };
                Some((rank, self.binding(sha256).next()?, *sha256))
            })
            .collect();
        open.sort_unstable();
        open.into_iter().take(BLOBS_MAX).map(|(_, _, sha256)| sha256).collect()
    }

    /// Takes what the answer says of the blobs that the attempt asked about, and of no others.
    pub(super) fn take_blobs(&mut self, answer: &Blobs, attempt: &Attempt, now: UnixMillis) {
        let need: BTreeSet<&BlobHash> = answer.need.iter().collect();
        let have: BTreeSet<&BlobHash> = answer.have.iter().collect();
        for sha256 in &attempt.blobs {
            let received = self.is_received(sha256);
            let durable = self.state.durable;
            let Some(blob) = self.blobs.get_mut(sha256).filter(|blob| blob.is_unsent()) else {
                continue;
            };
            let before = blob.clone();
            if need.contains(sha256) {
                blob.state = BlobState::Needed;
            } else if have.contains(sha256) {
                blob.state = BlobState::Had;
                blob.had_at = Some(now);
                blob.durable_then = durable;
            } else {
                blob.state = BlobState::Waiting;
            }
            blob.asked = received;
            if *blob == before {
                continue;
            }
            let (state, was) = (blob.state, before.state);
            self.dirty.blobs.insert(*sha256);
            match state {
                BlobState::Needed if was != state => self.notice(Notice::BlobNeeded(*sha256)),
                BlobState::Had => self.notice(Notice::BlobHad(*sha256)),
                BlobState::Waiting | BlobState::Needed | BlobState::Uploaded | BlobState::Lost => {}
            }
        }
    }

    /// Under a new replica and in a new history the server says anew what it has.
    pub(super) fn unlearn_blobs(&mut self) {
        for (sha256, blob) in &mut self.blobs {
            let named = BlobRef { sha256: *sha256, bytes: blob.bytes, kind: blob.kind };
            *blob = Blob::new(named);
            self.dirty.blobs.insert(*sha256);
        }
    }

    /// The result of a change came: the server can speak of its blobs now.
    pub(super) fn blobs_received(&mut self, order: u64) {
        for sha256 in self.named_by(order) {
            if let Some(blob) = self.blobs.get_mut(&sha256)
                && std::mem::take(&mut blob.asked)
            {
                self.dirty.blobs.insert(sha256);
            }
        }
    }

    /// Whether a blob calls for a round: uploaded and not yet told to be stored, or never asked about.
    pub(super) fn blobs_call(&self) -> bool {
        self.blobs.iter().any(|(sha256, blob)| match blob.state {
            BlobState::Uploaded => self.binding(sha256).next().is_some(),
            BlobState::Waiting => !blob.asked && self.is_received(sha256),
            BlobState::Needed | BlobState::Had | BlobState::Lost => false,
        })
    }

    /// The records of changes with a blob that the server is still to get from here.
    pub(super) fn recs_with_unsent_blobs(&self) -> impl Iterator<Item = RecordId> + '_ {
        let orders = self.unsent().flat_map(|sha256| self.binding(sha256));
        orders.filter_map(|order| self.own.get(&order)).map(|own| own.meta.rec)
    }

    /// Whether the server's backup holds every blob of a change, as far as the tablet can know.
    ///
    /// A backup that was reported before the server had the blob does not: what became durable since counts, or age.
    pub(super) fn blobs_are_durable(&self, order: u64) -> bool {
        let Some(own) = self.own.get(&order) else { return true };
        let closed = own.meta.outcome.as_ref().is_some_and(|o| o.status == Status::Closed);
        let durable = |sha256: &BlobHash| {
            self.blobs.get(sha256).is_none_or(|blob| match blob.state {
                BlobState::Lost => true,
                BlobState::Had => {
                    let had_for = self.state.server_now.zip(blob.had_at);
                    self.state.durable > blob.durable_then
                        || had_for.is_some_and(|(now, at)| now.since(at) >= KEEP_RECEIVED_MS)
                }
                BlobState::Waiting | BlobState::Needed | BlobState::Uploaded => false,
            })
        };
        closed || own.change.iter().flat_map(BlobRef::named).all(|named| durable(&named.sha256))
    }

    fn set_blob_state(&mut self, sha256: BlobHash, state: BlobState) {
        if let Some(blob) = self.blobs.get_mut(&sha256) {
            blob.state = state;
            self.dirty.blobs.insert(sha256);
        }
    }

    fn unsent(&self) -> impl Iterator<Item = &BlobHash> {
        let unsent = self.blobs.iter().filter(|(_, blob)| blob.is_unsent());
        unsent.map(|(sha256, _)| sha256).filter(|sha256| self.binding(sha256).next().is_some())
    }

    fn named_by(&self, order: u64) -> Vec<BlobHash> {
        let change = self.own.get(&order).and_then(|own| own.change.as_ref());
        change.into_iter().flat_map(BlobRef::named).map(|named| named.sha256).collect()
    }

    /// The changes that hold the tablet to a blob: those that name it and that nobody has closed.
    fn binding(&self, sha256: &BlobHash) -> impl Iterator<Item = u64> + '_ {
        let open = |order: &&u64| {
            let outcome = self.own.get(order).and_then(|own| own.meta.outcome.as_ref());
            outcome.is_none_or(|outcome| outcome.status != Status::Closed)
        };
        self.index.naming.get(sha256).into_iter().flatten().filter(open).copied()
    }

    fn is_received(&self, sha256: &BlobHash) -> bool {
        self.binding(sha256).any(|order| self.own.get(&order).is_some_and(|own| own.meta.answered))
    }
}
