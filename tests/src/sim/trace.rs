//! What happened in a world, and its hash: the same seed gives the same.

/// The lines of a world's history.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    lines: Vec<String>,
    hash: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self { lines: Vec::new(), hash: 0xCBF2_9CE4_8422_2325 }
    }
}

impl Trace {
    /// Notes what happened at an instant.
    pub(super) fn note(&mut self, at: i64, what: impl AsRef<str>) {
        let line = format!("{:>10.3}  {}", millis_as_seconds(at), what.as_ref());
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self.lines.push(line);
    }

    /// The hash over all lines.
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    /// The lines.
    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "worlds last days, which a double counts in milliseconds"
)]
fn millis_as_seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}
