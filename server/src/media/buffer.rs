//! The memory of parts that are being received: little for each, and more from what a node has for all of them.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest part: 8 MiB.
pub const PART_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What every part may take: 256 KiB.
pub const STEP_BYTES: usize = 256 * 1024;
/// What all parts of a node may take beyond that: 128 MiB.
pub const GROWTH_BYTES_MAX: usize = 128 * 1024 * 1024;

/// What the parts of a node may take beyond their first step.
#[derive(Debug)]
pub struct Growth(Arc<Semaphore>);

impl Default for Growth {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(GROWTH_BYTES_MAX / STEP_BYTES)))
    }
}

/// The bytes of a part, with what they take of the growth of the node.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    grown: Option<OwnedSemaphorePermit>,
}

impl Buffer {
    /// What was read of a part that goes on; less than a step.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, grown: None }
    }

    /// How many bytes it may take now.
    pub(super) fn room(&self) -> usize {
        let grown = self.grown.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        (STEP_BYTES * (1 + grown)).saturating_sub(self.bytes.len())
    }

    /// Doubles what it may take, up to [`PART_BYTES_MAX`] and to what it is still to get; false where the node has no more.
    pub(super) fn grow(&mut self, growth: &Growth, missing: usize) -> bool {
        let steps = (self.bytes.len() + self.room()) / STEP_BYTES;
        let most = PART_BYTES_MAX / STEP_BYTES - steps;
        let wanted = missing.div_ceil(STEP_BYTES).min(steps).min(most);
        let wanted = u32::try_from(wanted).unwrap_or_default();
        let more = Arc::clone(&growth.0).try_acquire_many_owned(wanted).ok().filter(|_| wanted > 0);
        let Some(more) = more else { return false };
        match &mut self.grown {
            Some(grown) => grown.merge(more),
            none => *none = Some(more),
        }
        self.bytes.reserve_exact(self.room());
        true
    }

    /// The same memory without its bytes.
    pub(super) fn emptied(mut self) -> Self {
        self.bytes.clear();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mut buffer: Buffer) -> Buffer {
        buffer.bytes.resize(buffer.bytes.len() + buffer.room(), 7);
        buffer
    }

    fn grown_to_the_end(growth: &Growth) -> usize {
        let mut buffer = filled(Buffer::default());
        while buffer.grow(growth, usize::MAX) {
            buffer = filled(buffer);
        }
        buffer.bytes.len()
    }

    #[test]
    fn a_part_grows_to_its_bound_and_not_beyond_what_is_missing() {
        let growth = Growth::default();
        assert_eq!(grown_to_the_end(&growth), PART_BYTES_MAX);
        let mut buffer = filled(Buffer::default());
        assert!(!buffer.grow(&growth, 0));
        assert!(buffer.grow(&growth, 1));
        assert_eq!(buffer.room(), STEP_BYTES);
    }

    #[test]
    fn parts_share_what_a_node_has_and_give_it_back() {
        let growth = Growth(Arc::new(Semaphore::new(1)));
        let mut first = filled(Buffer::default());
        assert!(first.grow(&growth, usize::MAX));
        assert_eq!(grown_to_the_end(&growth), STEP_BYTES, "a step is everybody's");
        drop(first);
        assert_eq!(grown_to_the_end(&growth), 2 * STEP_BYTES);
    }
}
