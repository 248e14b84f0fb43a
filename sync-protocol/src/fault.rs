//! Wrong rules that tests plant, one at a time, to show that they would notice. Compiled out without the feature.

/// Whether the fault of this name is planted in this process.
#[cfg(feature = "faults")]
pub fn planted(name: &str) -> bool {
    use std::sync::PoisonError;
    PLANTED.read().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(name)
}

#[cfg(feature = "faults")]
static PLANTED: std::sync::RwLock<Option<String>> = std::sync::RwLock::new(None);

/// Plants a fault in this process, in the place of the one before; an empty name plants none.
#[cfg(feature = "faults")]
pub fn plant(name: &str) {
    use std::sync::PoisonError;
    *PLANTED.write().unwrap_or_else(PoisonError::into_inner) =
        Some(name.to_owned()).filter(|name| !name.is_empty());
}

/// Whether the fault of this name is planted; never, here.
#[cfg(not(feature = "faults"))]
#[inline]
pub const fn planted(_name: &str) -> bool {
    false
}
