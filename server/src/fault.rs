//! Named places where tests let the server die or err. Without the feature `faults` nothing of it is compiled in.

/// Dies at once when `CRASH_AT` names this point, at its k-th passing: `push.after_commit:3`.
#[cfg(feature = "faults")]
pub fn crash_point(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Ok(wanted) = std::env::var("CRASH_AT") else { return };
    let (point, passing) = wanted.rsplit_once(':').unwrap_or((&wanted, "1"));
    if point == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == passing.parse().unwrap_or(1) {
        std::process::abort();
    }
}

/// Dies at once when `CRASH_AT` names this point; compiled to nothing here.
#[cfg(not(feature = "faults"))]
#[inline]
pub const fn crash_point(_name: &str) {}

pub use sync_protocol::fault::planted;

#[cfg(feature = "faults")]
pub use sync_protocol::fault::plant;

/// Plants the fault that `GENBA_FAULT` names, if it names one.
#[cfg(feature = "faults")]
pub fn plant_from_environment() {
    if let Ok(name) = std::env::var("GENBA_FAULT") {
        plant(&name);
    }
}

/// Plants nothing, here.
#[cfg(not(feature = "faults"))]
#[inline]
pub const fn plant_from_environment() {}
