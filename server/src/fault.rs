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

/// Whether the fault of this name is planted: `GENBA_FAULT` names it, or [`plant`] did for this process.
#[cfg(feature = "faults")]
pub fn planted(name: &str) -> bool {
    let chosen = PLANTED.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    match chosen.as_deref() {
        Some(chosen) => chosen == name,
        None => std::env::var("GENBA_FAULT").is_ok_and(|chosen| chosen == name),
    }
}

#[cfg(feature = "faults")]
static PLANTED: std::sync::RwLock<Option<String>> = std::sync::RwLock::new(None);

/// Plants a fault in this process; an empty name plants none.
#[cfg(feature = "faults")]
pub fn plant(name: &str) {
    *PLANTED.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(name.to_owned());
}

/// Whether the fault of this name is planted; never, here.
#[cfg(not(feature = "faults"))]
#[inline]
pub const fn planted(_name: &str) -> bool {
    false
}
