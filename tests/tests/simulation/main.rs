//! Simulated worlds: `SIM_SEEDS` of them from `SIM_FROM` on, and the same seed twice.
//!
//! With the feature `faults` wrong rules are planted instead, and the worlds must notice.

#[cfg(feature = "faults")]
mod planted;
#[cfg(not(feature = "faults"))]
mod worlds;
