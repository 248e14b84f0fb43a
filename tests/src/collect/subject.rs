//! One photo, what the rules promise of it, and whether they keep it.

use super::scene::{AUTHOR, Look, PHOTO_BYTES, Scene, Standing};
use crate::uploads::camera::Shot;
use server::clock::Clock as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use sync_protocol::blob::MediaType;
use sync_protocol::clock::UnixMillis;
use sync_protocol::id::RecordId;
use uuid::Uuid;

/// How long a photo is kept that nothing names.
const KEPT_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// A photo, and what the rules promise of it.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) shot: Shot,
    pub(super) rec: RecordId,
    promise: Mutex<Promise>,
}

/// What the rules promise of a photo.
#[derive(Clone, Copy, Debug, Default)]
struct Promise {
    /// A change of the author names it: it is had or needed.
    named: bool,
    /// It was named while it was there, or came when it was named: from then on it stays.
    stays: bool,
    /// When somebody last showed all its bytes: it stays for its grace.
    shown_at: Option<UnixMillis>,
}

impl Subject {
    /// A photo of its own.
    pub(super) fn new(number: u64, seed: u64) -> Self {
        Self {
            shot: Shot::new(MediaType::Heic, PHOTO_BYTES, seed),
            rec: RecordId(Uuid::from_u128(u128::from(number) + 1)),
            promise: Mutex::default(),
        }
    }

    fn promise(&self) -> MutexGuard<'_, Promise> {
        self.promise.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody has shown all its bytes.
    pub(super) fn was_shown(&self, by: usize, at: UnixMillis) {
        let mut promise = self.promise();
        promise.shown_at = Some(at);
        promise.stays |= by == AUTHOR && promise.named;
    }

    /// A change of the author names it, when it stood so.
    pub(super) fn was_named(&self, standing: Standing) {
        let mut promise = self.promise();
        promise.named = true;
        promise.stays |= standing == Standing::Have;
    }
}

/// What is named is there to the last byte, or its author is told to send it; what was promised is there.
pub(super) async fn judge(
    scene: &Scene,
    subject: &Subject,
    wrongs: &mut Vec<String>,
) -> Option<Look> {
    let look = match scene.look(subject.rec, &subject.shot).await {
        Ok(look) => look,
        Err(why) => {
            wrongs.push(format!("a photo that is there cannot be read: {why:#}"));
            return None;
        }
    };
    let young = |at: UnixMillis| scene.clock.now().since(at) < KEPT_MS;
    let Promise { named, stays, shown_at } = *subject.promise();
    let was_just_shown = shown_at.is_some_and(young);
    let has = look.standing == Standing::Have;
    for (what, is_wrong) in [
        (
            "a photo that is named is neither had nor needed",
            named == (look.standing == Standing::Unnamed),
        ),
        ("a photo that was named and there was removed", stays && !has),
        ("a photo that has just been uploaded was removed", was_just_shown && !look.there),
        ("a record does not show what its author is told to be had", look.is_shown != has),
        ("the bytes are others", look.there && look.bytes.as_ref() != Some(&subject.shot.bytes)),
    ] {
        if is_wrong {
            wrongs.push(what.to_owned());
        }
    }
    Some(look)
}
