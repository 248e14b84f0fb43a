//! The tablet's clocks: the wall, which people set, and one that counts sleep and never jumps.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant as Monotonic, SystemTime, UNIX_EPOCH};
use sync_protocol::clock::{ClockReading, Instant, UnixMillis};

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Both clocks at one moment.
    fn read(&self) -> ClockReading;
}

/// Where Linux names the run of its clocks, and how long it runs, sleep included.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const UPTIME: &str = "/proc/uptime";

/// The clocks of this machine.
#[derive(Clone, Debug)]
pub struct SystemClock {
    boot: Option<String>,
    started: Monotonic,
    run: String,
}

impl SystemClock {
    /// The clocks of this machine; `run` names this process where the machine does not tell its boots apart.
    pub fn new(run: String) -> Self {
        let boot = std::fs::read_to_string(BOOT_ID).ok().filter(|_| uptime_ms().is_some());
        let boot = boot.map(|id| format!("b_{}", id.trim()));
        Self { boot, started: Monotonic::now(), run }
    }
}

impl Clock for SystemClock {
    fn read(&self) -> ClockReading {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where the tablet reads the wall clock"
        )]
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Instant(UnixMillis(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)));
        let (mono, boot) = if let (Some(boot), Some(mono)) = (&self.boot, uptime_ms()) {
            (mono, boot.clone())
        } else {
            let mono = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
            (mono, self.run.clone())
        };
        ClockReading { now, mono, boot }
    }
}

/// Milliseconds since the machine started.
fn uptime_ms() -> Option<i64> {
    let text = std::fs::read_to_string(UPTIME).ok()?;
    let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    let seconds: i64 = seconds.parse().ok()?;
    let hundredths: i64 = hundredths.parse().ok()?;
    Some(seconds * 1_000 + hundredths * 10)
}

/// A clock whose wall somebody has set wrong.
#[derive(Clone, Debug)]
pub struct ShiftedClock {
    inner: Arc<dyn Clock>,
    by_ms: Arc<AtomicI64>,
}

impl ShiftedClock {
    /// Shifts the wall clock of `inner` by so many milliseconds.
    pub fn new(inner: Arc<dyn Clock>, by_ms: i64) -> Self {
        Self { inner, by_ms: Arc::new(AtomicI64::new(by_ms)) }
    }

    /// Sets the shift anew.
    pub fn shift(&self, by_ms: i64) {
        self.by_ms.store(by_ms, Ordering::Relaxed);
    }
}

impl Clock for ShiftedClock {
    fn read(&self) -> ClockReading {
        let reading = self.inner.read();
        let now = Instant(reading.now.0.plus(self.by_ms.load(Ordering::Relaxed)));
        ClockReading { now, ..reading }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_run_backwards_within_a_boot() {
        let clock = SystemClock::new("run".to_owned());
        let (first, second) = (clock.read(), clock.read());
        assert_eq!(first.boot, second.boot);
        assert!(second.mono >= first.mono);
        assert!(first.boot.len() <= 64, "{}", first.boot);
    }

    #[test]
    fn a_shift_moves_the_wall_and_nothing_else() {
        let inner: Arc<dyn Clock> = Arc::new(SystemClock::new("run".to_owned()));
        let clock = ShiftedClock::new(Arc::clone(&inner), 86_400_000);
        let (shifted, plain) = (clock.read(), inner.read());
        assert!((shifted.now.0.since(plain.now.0) - 86_400_000).abs() < 5_000);
        assert!((shifted.mono - plain.mono).abs() < 5_000);
        clock.shift(0);
        assert!(clock.read().now.0.since(plain.now.0).abs() < 5_000);
    }
}
