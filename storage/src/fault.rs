//! Faults that tests plant to prove that they can fail: in this process, or by `GENBA_FAULT` in another.
//!
//! `page_cuts_inside_a_seq`, `records_unlocked`, `begin_in_the_caller`, `synchronous_normal`,
//! `blobs_unlocked`, `hash_is_enough`, `removal_unchecked`, `late_lease_names`, `failures_forgotten`.
//! Without the feature `faults` nothing of it is compiled in.

/// Whether the fault of this name is planted.
#[cfg(feature = "faults")]
pub(crate) fn planted(name: &str) -> bool {
    sync_protocol::fault::planted(name)
        || std::env::var("GENBA_FAULT").is_ok_and(|chosen| chosen == name)
}

/// Whether the fault of this name is planted; never, here.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn planted(_name: &str) -> bool {
    false
}
